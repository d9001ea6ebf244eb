//! Tensors as they come from and go to a prediction request.

use crate::{Error, Result};

/// A dense tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// The values of a tensor, by element type.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
    /// `BYTES` in the Open Inference Protocol, as text.
    Text(Vec<String>),
}

/// Named tensors, in the order of a request or a reply.
pub type Tensors = Vec<(String, Tensor)>;

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of the element type in the Open Inference Protocol.
    pub fn datatype(&self) -> &'static str {
        match self {
            Self::F32(_) => "FP32",
            Self::F64(_) => "FP64",
            Self::I32(_) => "INT32",
            Self::I64(_) => "INT64",
            Self::Bool(_) => "BOOL",
            Self::Text(_) => "BYTES",
        }
    }

    /// The same values as doubles, where they are numbers.
    pub fn to_doubles(&self) -> Option<Vec<f64>> {
        match self {
            Self::F32(values) => Some(values.iter().map(|v| f64::from(*v)).collect()),
            Self::F64(values) => Some(values.clone()),
            Self::I32(values) => Some(values.iter().map(|v| f64::from(*v)).collect()),
            Self::I64(values) => Some(values.iter().map(|v| *v as f64).collect()),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

impl Tensor {
    /// A tensor of this shape.
    ///
    /// # Errors
    /// If the shape and the number of values do not fit; `name` is whose
    /// tensor the error speaks of.
    pub fn new(name: &str, shape: Vec<usize>, data: Data) -> Result<Self> {
        let needed = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if needed != Some(data.len()) {
            return Err(Error::Input {
                name: name.to_owned(),
                problem: format!("the shape {shape:?} does not fit {} values", data.len()),
            });
        }
        Ok(Self { shape, data })
    }

    /// A tensor of shape `[n, 1]`.
    pub fn column(data: Data) -> Self {
        Self { shape: vec![data.len(), 1], data }
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The shape and the values.
    pub fn into_parts(self) -> (Vec<usize>, Data) {
        (self.shape, self.data)
    }

    /// The tensor with its elements as this datatype. Numbers may be widened
    /// (`INT32` to `INT64`, any number to `FP64`, ...) and doubles rounded to
    /// `FP32`; everything else has to be of the right type already.
    ///
    /// # Errors
    /// If the elements are of another type.
    pub fn convert(&self, name: &str, datatype: &str) -> Result<Self> {
        let data = match (&self.data, datatype) {
            (data, wanted) if data.datatype() == wanted => data.clone(),
            (Data::F64(values), "FP32") => Data::F32(values.iter().map(|v| *v as f32).collect()),
            (Data::I32(values), "INT64") => Data::I64(values.iter().map(|v| i64::from(*v)).collect()),
            (Data::I32(values), "FP32") => Data::F32(values.iter().map(|v| *v as f32).collect()),
            (Data::I64(values), "FP32") => Data::F32(values.iter().map(|v| *v as f32).collect()),
            (data, "FP64") => match data.to_doubles() {
                Some(values) => Data::F64(values),
                None => return Err(wrong_datatype(name, data, datatype)),
            },
            (data, _) => return Err(wrong_datatype(name, data, datatype)),
        };
        Ok(Self { shape: self.shape.clone(), data })
    }
}

fn wrong_datatype(name: &str, data: &Data, wanted: &str) -> Error {
    Error::Input {
        name: name.to_owned(),
        problem: format!("the datatype is {}, but the model takes {wanted}", data.datatype()),
    }
}
