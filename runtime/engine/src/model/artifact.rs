//! A model as a safetensors file: `layer.N.weight` (inputs x outputs) and
//! `layer.N.bias` in F64, with everything else as JSON in the file's metadata.
//! The same model always gives the same bytes.

use std::collections::HashMap;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::encoder::{Encoder, Feature};
use super::{Layer, Model, Task};
use crate::{Error, Result};

/// One key only: the library writes metadata in the order of a hash map.
const METADATA_KEY: &str = "falaj.model";
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Metadata {
    format: u32,
    task: Task,
    layers: usize,
    features: Vec<Feature>,
}

/// The model as the bytes of a safetensors file.
///
/// # Errors
/// If the layers do not fit each other.
pub fn to_safetensors(model: &Model) -> Result<Vec<u8>> {
    model.check()?;
    let metadata = Metadata {
        format: FORMAT,
        task: model.task,
        layers: model.layers.len(),
        features: model.encoder.features().to_vec(),
    };
    let metadata = serde_json::to_string(&metadata).map_err(unreadable)?;
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (index, layer) in model.layers.iter().enumerate() {
        let outputs = layer.outputs();
        let shape = vec![layer.weights.len() / outputs.max(1), outputs];
        tensors.push((weight_name(index), shape, little_endian(&layer.weights)));
        tensors.push((bias_name(index), vec![outputs], little_endian(&layer.bias)));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F64, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(unreadable)?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
    safetensors::serialize(views, Some(metadata)).map_err(unreadable)
}

/// Reads a model back from the bytes of a safetensors file.
///
/// # Errors
/// [`Error::Artifact`] if the bytes are not a model written by
/// [`to_safetensors`].
pub fn from_safetensors(bytes: &[u8]) -> Result<Model> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(unreadable)?;
    let metadata = header.metadata().as_ref().and_then(|m| m.get(METADATA_KEY)).ok_or_else(|| {
        Error::Artifact(format!(
            "this safetensors file has no {METADATA_KEY:?} in its metadata; only models trained here can be \
             served from safetensors, export others to ONNX"
        ))
    })?;
    let metadata: Metadata = serde_json::from_str(metadata).map_err(unreadable)?;
    if metadata.format != FORMAT {
        return Err(Error::Artifact(format!(
            "format {} is not known; this release reads format {FORMAT}",
            metadata.format
        )));
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(unreadable)?;
    if metadata.layers > tensors.len() {
        return Err(Error::Artifact("fewer tensors than layers".to_owned()));
    }
    let mut layers = Vec::with_capacity(metadata.layers);
    for index in 0..metadata.layers {
        layers.push(Layer {
            weights: doubles(&tensors, &weight_name(index))?,
            bias: doubles(&tensors, &bias_name(index))?,
        });
    }
    let model = Model { encoder: Encoder::from_features(metadata.features)?, layers, task: metadata.task };
    model.check()?;
    Ok(model)
}

fn weight_name(layer: usize) -> String {
    format!("layer.{layer}.weight")
}

fn bias_name(layer: usize) -> String {
    format!("layer.{layer}.bias")
}

fn little_endian(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn doubles(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f64>> {
    let view = tensors.tensor(name).map_err(unreadable)?;
    if view.dtype() != Dtype::F64 {
        return Err(Error::Artifact(format!("tensor {name:?} is {:?}, F64 is needed", view.dtype())));
    }
    let (values, _) = view.data().as_chunks::<8>();
    Ok(values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::Artifact(error.to_string())
}
