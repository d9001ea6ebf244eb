//! What the server and a model say about themselves.

use falaj_api::model::{Signature, TensorSpec};
use serde::{Deserialize, Serialize};

/// Answer of `GET /v2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerMetadata {
    pub name: &'static str,
    pub version: &'static str,
    pub extensions: &'static [&'static str],
}

/// Answer of `GET /v2/models/{model}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelMetadata {
    pub name: String,
    pub versions: Vec<String>,
    pub platform: String,
    pub inputs: Vec<TensorMetadata>,
    pub outputs: Vec<TensorMetadata>,
}

/// One input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorMetadata {
    pub name: String,
    pub datatype: String,
    /// -1: any length.
    pub shape: Vec<i64>,
}

impl ModelMetadata {
    pub fn new(name: &str, versions: Vec<String>, platform: &str, signature: &Signature) -> Self {
        let tensors = |specs: &[TensorSpec]| specs.iter().map(TensorMetadata::from).collect();
        Self {
            name: name.to_owned(),
            versions,
            platform: platform.to_owned(),
            inputs: tensors(&signature.inputs),
            outputs: tensors(&signature.outputs),
        }
    }
}

impl From<&TensorSpec> for TensorMetadata {
    fn from(spec: &TensorSpec) -> Self {
        Self { name: spec.name.clone(), datatype: spec.datatype.clone(), shape: spec.shape.clone() }
    }
}
