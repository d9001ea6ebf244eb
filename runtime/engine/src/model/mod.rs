//! A trained model: an encoder of the raw features and a small network.
//!
//! Linear and logistic regression are networks without a hidden layer, so
//! scoring, artifacts and export know one shape only. All arithmetic of a
//! trained model is in double precision, here and in the exported graph.

pub mod artifact;
pub mod encoder;

use falaj_api::model::{Signature, TensorSpec};
use serde::{Deserialize, Serialize};

pub use encoder::{Encoded, Encoder};

use crate::{Error, Result};

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub encoder: Encoder,
    /// At least one; ReLU stands between two.
    pub layers: Vec<Layer>,
    pub task: Task,
}

/// What a model answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// The probability of class 1: the last layer goes through the logistic
    /// function.
    Classification,
    /// A number: the last layer as it is.
    Regression,
}

/// `y = x W + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Row-major, one row per input of the layer.
    pub weights: Vec<f64>,
    /// One per output of the layer.
    pub bias: Vec<f64>,
}

impl Layer {
    /// How many outputs the layer has.
    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// The weights from one input to every output.
    fn row(&self, input: usize) -> &[f64] {
        let start = input * self.outputs();
        self.weights.get(start..start + self.outputs()).unwrap_or_default()
    }

    fn add_row(&self, input: usize, factor: f64, sums: &mut [f64]) {
        for (sum, weight) in sums.iter_mut().zip(self.row(input)) {
            *sum += factor * weight;
        }
    }
}

/// Name of the output of a classification: the probability of class 1.
pub const PROBABILITY: &str = "probability";
/// Name of the output of a classification: 1 where the probability is >= 0.5.
pub const LABEL: &str = "label";
/// Name of the output of a regression.
pub const PREDICTION: &str = "prediction";

impl Model {
    /// Checks that the layers fit each other and the encoder.
    ///
    /// # Errors
    /// [`Error::Artifact`] if not.
    pub fn check(&self) -> Result<()> {
        let mut inputs = self.encoder.width();
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.weights.len() != inputs * layer.outputs() {
                return Err(Error::Artifact(format!(
                    "layer {index} has {} weights, but {inputs} inputs and {} outputs need {}",
                    layer.weights.len(),
                    layer.outputs(),
                    inputs * layer.outputs()
                )));
            }
            inputs = layer.outputs();
        }
        if inputs != 1 || self.layers.is_empty() {
            return Err(Error::Artifact("the last layer needs exactly one output".to_owned()));
        }
        Ok(())
    }

    /// One score per row: the probability of class 1, or the predicted number.
    pub fn score(&self, encoded: &Encoded) -> Vec<f64> {
        (0..encoded.rows()).map(|row| self.score_row(encoded, row)).collect()
    }

    fn score_row(&self, encoded: &Encoded, row: usize) -> f64 {
        let mut layers = self.layers.iter();
        let mut values = match layers.next() {
            Some(first) => {
                let mut sums = first.bias.clone();
                encoded.for_each_non_zero(row, |input, value| first.add_row(input, value, &mut sums));
                sums
            }
            None => Vec::new(),
        };
        for layer in layers {
            let mut sums = layer.bias.clone();
            for (input, value) in values.iter().enumerate() {
                layer.add_row(input, value.max(0.0), &mut sums);
            }
            values = sums;
        }
        let output = values.first().copied().unwrap_or(f64::NAN);
        match self.task {
            Task::Classification => logistic(output),
            Task::Regression => output,
        }
    }

    /// What the model takes and gives, in the terms of the Open Inference
    /// Protocol: one input of shape `[-1, 1]` per feature. Numbers (`int64` and
    /// `float64` features) are `FP64`, where `NaN` is a missing value; booleans
    /// are `BOOL`; categories are `BYTES`, where the empty text is missing.
    pub fn signature(&self) -> Signature {
        let spec = |name: &str, datatype: &str| TensorSpec {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![-1, 1],
            feature_type: None,
        };
        let outputs = match self.task {
            Task::Classification => vec![spec(PROBABILITY, "FP64"), spec(LABEL, "INT64")],
            Task::Regression => vec![spec(PREDICTION, "FP64")],
        };
        let inputs = self.encoder.features().iter().map(|feature| TensorSpec {
            feature_type: Some(feature.data_type),
            ..spec(&feature.name, feature.datatype())
        });
        Signature { inputs: inputs.collect(), outputs }
    }
}

/// The logistic function, without overflow.
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}
