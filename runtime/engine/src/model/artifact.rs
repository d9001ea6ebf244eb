//! A model as a safetensors file: `layer.N.weight` (inputs x outputs),
//! `layer.N.bias`, and `mean` and `deviation` of the standardised features in
//! their order, all in F64; names, types and categories are JSON in the file's
//! metadata. The same model always gives the same bytes.

use std::collections::HashMap;

use falaj_api::feature_store::DataType;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::encoder::{Encoder, Encoding, Feature};
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
    features: Vec<Column>,
}

/// A feature without its floating-point numbers: those are tensors, because
/// JSON does not keep every bit.
#[derive(Serialize, Deserialize)]
struct Column {
    name: String,
    data_type: DataType,
    /// Of a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<Vec<String>>,
}

const MEAN: &str = "mean";
const DEVIATION: &str = "deviation";

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
        features: model.encoder.features().iter().map(column).collect(),
    };
    let metadata = serde_json::to_string(&metadata).map_err(unreadable)?;
    let scale = model.encoder.features().iter().filter_map(|feature| match feature.encoding {
        Encoding::Standardise { mean, deviation } => Some((mean, deviation)),
        Encoding::OneHot { .. } => None,
    });
    let (means, deviations): (Vec<f64>, Vec<f64>) = scale.unzip();
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = vec![
        (MEAN.to_owned(), vec![means.len()], little_endian(&means)),
        (DEVIATION.to_owned(), vec![deviations.len()], little_endian(&deviations)),
    ];
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
    let scale = doubles(&tensors, MEAN)?.into_iter().zip(doubles(&tensors, DEVIATION)?);
    let features = features(metadata.features, scale)?;
    let model = Model { encoder: Encoder::from_features(features)?, layers, task: metadata.task };
    model.check()?;
    Ok(model)
}

fn column(feature: &Feature) -> Column {
    let values = match &feature.encoding {
        Encoding::Standardise { .. } => None,
        Encoding::OneHot { values } => Some(values.clone()),
    };
    Column { name: feature.name.clone(), data_type: feature.data_type, values }
}

fn features(columns: Vec<Column>, mut scale: impl Iterator<Item = (f64, f64)>) -> Result<Vec<Feature>> {
    let feature = |column: Column| {
        let encoding = match column.values {
            Some(values) => Encoding::OneHot { values },
            None => match scale.next() {
                Some((mean, deviation)) => Encoding::Standardise { mean, deviation },
                None => return Err(Error::Artifact(format!("{:?} has no mean and deviation", column.name))),
            },
        };
        Ok(Feature { name: column.name, data_type: column.data_type, encoding })
    };
    columns.into_iter().map(feature).collect()
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
