//! Running models.

pub mod native;
pub mod onnx;
pub mod tensor;

use std::sync::Arc;

use falaj_api::model::Signature;

pub use onnx::OnnxRuntime;
pub use tensor::{Data, Tensor, Tensors};

use crate::Result;

/// A loaded model that answers requests. Many threads may call it at once.
pub trait Session: Send + Sync {
    /// What the model takes and gives.
    fn signature(&self) -> &Signature;

    /// Runs the model on a batch. Inputs may come in any order; all have to be
    /// there, and no others.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if the inputs do not fit the signature: the
    /// caller's fault. Anything else is the model's.
    fn run(&self, inputs: &Tensors) -> Result<Tensors>;
}

/// The file format of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Run by ONNX Runtime.
    Onnx,
    /// Trained here, run by our own code.
    Safetensors,
}

impl Format {
    /// The format of a file by the ending of its name.
    pub fn of_file_name(name: &str) -> Option<Self> {
        match name.rsplit_once('.')?.1 {
            "onnx" => Some(Self::Onnx),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }
}

/// Loads a model from the bytes of its file. ONNX models get `copies` sessions
/// of ONNX Runtime, at least one, which is how many requests they can run at
/// the same time.
///
/// # Errors
/// If the bytes are not a usable model, or if it is ONNX and no `runtime` is
/// given.
pub fn load(format: Format, bytes: &[u8], runtime: Option<&OnnxRuntime>, copies: usize) -> Result<Arc<dyn Session>> {
    match format {
        Format::Safetensors => Ok(Arc::new(native::Native::load(bytes)?)),
        Format::Onnx => {
            let runtime = runtime.ok_or_else(|| {
                crate::Error::OnnxRuntime("an ONNX model needs the ONNX Runtime library, and none is loaded".to_owned())
            })?;
            Ok(Arc::new(runtime.session(bytes, copies)?))
        }
    }
}

/// Finds the input called `name`.
fn input<'a>(inputs: &'a Tensors, name: &str) -> Result<&'a Tensor> {
    inputs
        .iter()
        .find(|(n, _)| n == name)
        .map(|(_, tensor)| tensor)
        .ok_or_else(|| crate::Error::Input { name: name.to_owned(), problem: "missing".to_owned() })
}

/// Refuses inputs the model does not have, and names given twice.
fn no_others(inputs: &Tensors, signature: &Signature) -> Result<()> {
    for (index, (name, _)) in inputs.iter().enumerate() {
        let problem = if !signature.inputs.iter().any(|i| i.name == *name) {
            let names: Vec<&str> = signature.inputs.iter().map(|i| i.name.as_str()).collect();
            format!("the model has no such input; it takes {}", names.join(", "))
        } else if inputs.iter().take(index).any(|(n, _)| n == name) {
            "given twice".to_owned()
        } else {
            continue;
        };
        return Err(crate::Error::Input { name: name.clone(), problem });
    }
    Ok(())
}
