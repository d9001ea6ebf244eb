//! Models trained here, from safetensors, run by our own code.

use falaj_api::feature_store::DataType;
use falaj_api::model::Signature;

use super::{Data, Session, Tensor, Tensors, input, no_others};
use crate::model::artifact::from_safetensors;
use crate::model::{Encoded, LABEL, Model, PREDICTION, PROBABILITY, Task};
use crate::{Error, Result};

/// A model trained here.
pub struct Native {
    model: Model,
    signature: Signature,
}

impl Native {
    /// Reads the model from the bytes of a safetensors file.
    ///
    /// # Errors
    /// [`Error::Artifact`] if they are not such a model.
    pub fn load(bytes: &[u8]) -> Result<Self> {
        Ok(Self::new(from_safetensors(bytes)?))
    }

    /// Serves a model that is already in memory.
    pub fn new(model: Model) -> Self {
        let signature = model.signature();
        Self { model, signature }
    }

    fn encode(&self, inputs: &Tensors) -> Result<Encoded> {
        let encoder = &self.model.encoder;
        let mut rows = None;
        let mut encoded = encoder.empty(0);
        for (index, feature) in encoder.features().iter().enumerate() {
            let name = &feature.name;
            let tensor = input(inputs, name)?;
            let count = rows_of(name, tensor)?;
            match rows {
                None => {
                    rows = Some(count);
                    encoded = encoder.empty(count);
                }
                Some(rows) if rows != count => {
                    return Err(Error::Input {
                        name: name.clone(),
                        problem: format!("{count} rows, where the inputs before it have {rows}"),
                    });
                }
                Some(_) => {}
            }
            match (feature.data_type, tensor.convert(name, feature.datatype())?.data()) {
                (DataType::String, Data::Text(values)) => {
                    encoder.push_categories(&mut encoded, index, values.iter().map(|v| Some(v.as_str())));
                }
                (_, Data::Bool(values)) => {
                    let numbers = values.iter().map(|v| f64::from(u8::from(*v))).collect();
                    encoder.push_numbers(&mut encoded, index, numbers);
                }
                (_, data) => {
                    encoder.push_numbers(&mut encoded, index, data.to_doubles().unwrap_or_default());
                }
            }
        }
        Ok(encoded)
    }
}

impl Session for Native {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&self, inputs: &Tensors) -> Result<Tensors> {
        no_others(inputs, &self.signature)?;
        let scores = self.model.score(&self.encode(inputs)?);
        Ok(match self.model.task {
            Task::Regression => vec![(PREDICTION.to_owned(), Tensor::column(Data::F64(scores)))],
            Task::Classification => {
                let labels = scores.iter().map(|p| i64::from(*p >= 0.5)).collect();
                vec![
                    (PROBABILITY.to_owned(), Tensor::column(Data::F64(scores))),
                    (LABEL.to_owned(), Tensor::column(Data::I64(labels))),
                ]
            }
        })
    }
}

/// How many rows an input of shape `[n, 1]` has.
fn rows_of(name: &str, tensor: &Tensor) -> Result<usize> {
    match tensor.shape() {
        [rows, 1] => Ok(*rows),
        other => Err(Error::Input {
            name: name.to_owned(),
            problem: format!("the shape is {other:?}, but the model takes [n, 1]"),
        }),
    }
}
