//! Artifacts as they arrive, and the sessions made of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use falaj_api::model::{Signature, TensorSpec};
use falaj_engine::infer::{self, Data, OnnxRuntime, Session, Tensor};

use super::protocol::Format;

/// Values of a trial run's input at most; a larger one is not tried.
const MAX_TRIAL: usize = 1 << 20;

/// The models this process holds, by the digest of their bytes.
pub struct Models {
    /// Or why there is none.
    runtime: Result<OnnxRuntime, String>,
    copies: usize,
    held: HashMap<String, Held>,
    holdings: Arc<Holdings>,
}

/// The digests of the models that are loaded, for others to read.
#[derive(Default)]
pub struct Holdings(Mutex<Vec<String>>);

impl Holdings {
    pub fn list(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, digests: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = digests;
    }
}

/// A model that is ready to answer.
#[derive(Clone)]
pub struct Model {
    pub format: Format,
    pub session: Arc<dyn Session>,
}

enum Held {
    Bytes(Format, Bytes),
    Loaded(Model),
    Wrong(String),
}

impl Models {
    /// `copies` is how many requests of one model may run at the same time.
    pub fn new(runtime: Result<OnnxRuntime, String>, copies: usize) -> Self {
        Self { runtime, copies, held: HashMap::new(), holdings: Arc::default() }
    }

    /// What is loaded, as it will be.
    pub fn holdings(&self) -> Arc<Holdings> {
        self.holdings.clone()
    }

    /// Keeps an artifact. Bytes of another digest are forgotten at once; a
    /// snapshot that refers to them fails with the reason.
    pub fn add(&mut self, digest: String, format: Format, bytes: Bytes) {
        if matches!(self.held.get(&digest), Some(Held::Loaded(_))) {
            return;
        }
        let found = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes));
        let held = if found == digest {
            Held::Bytes(format, bytes)
        } else {
            Held::Wrong(format!("artifact {digest}: the bytes that arrived have the digest {found}"))
        };
        self.held.insert(digest, held);
    }

    /// The model of each digest, loading those that are new; every other
    /// artifact is let go.
    ///
    /// # Errors
    /// Why one of them cannot be served; then nothing is let go.
    pub fn load(&mut self, digests: &BTreeSet<&str>) -> Result<HashMap<String, Model>, String> {
        let mut models = HashMap::new();
        for digest in digests {
            models.insert((*digest).to_owned(), self.one(digest)?);
        }
        self.held.retain(|digest, _| digests.contains(digest.as_str()));
        self.holdings.set(self.held.keys().cloned().collect());
        Ok(models)
    }

    fn one(&mut self, digest: &str) -> Result<Model, String> {
        let (format, bytes) = match self.held.get(digest) {
            Some(Held::Loaded(model)) => return Ok(model.clone()),
            Some(Held::Bytes(format, bytes)) => (*format, bytes.clone()),
            Some(Held::Wrong(reason)) => return Err(reason.clone()),
            None => return Err(format!("artifact {digest} was never sent")),
        };
        let runtime = match (&self.runtime, format) {
            (Ok(runtime), _) => Some(runtime),
            (Err(_), Format::Native) => None,
            (Err(reason), Format::Onnx) => return Err(reason.clone()),
        };
        let kind = match format {
            Format::Onnx => infer::Format::Onnx,
            Format::Native => infer::Format::Safetensors,
        };
        let about = |e: falaj_engine::Error| format!("artifact {digest}: {e}");
        let session = infer::load(kind, &bytes, runtime, self.copies).map_err(about)?;
        try_out(session.as_ref()).map_err(about)?;
        let model = Model { format, session };
        self.held.insert(digest.to_owned(), Held::Loaded(model.clone()));
        Ok(model)
    }
}

/// Whether the session is the model that the signature describes.
///
/// # Errors
/// The first tensor that is not.
pub fn check_signature(declared: &Signature, session: &dyn Session) -> Result<(), String> {
    let actual = session.signature();
    let sides = [("input", &declared.inputs, &actual.inputs), ("output", &declared.outputs, &actual.outputs)];
    for (side, declared, actual) in sides {
        for tensor in declared {
            let same = |t: &&TensorSpec| t.name == tensor.name && t.datatype == tensor.datatype;
            if !actual.iter().any(|t| same(&t)) {
                let (name, datatype) = (&tensor.name, &tensor.datatype);
                return Err(format!("{side} {name:?} of {datatype} is declared, but the model has no such {side}"));
            }
        }
    }
    let extra = actual.inputs.iter().find(|t| !declared.inputs.iter().any(|d| d.name == t.name));
    extra.map_or(Ok(()), |t| Err(format!("the model needs an input {:?} that is not declared", t.name)))
}

/// Runs one row of zeros, so that a model that cannot run is found before it
/// is in force, and the first caller does not wait for what a first run sets up.
fn try_out(session: &dyn Session) -> falaj_engine::Result<()> {
    let mut inputs = Vec::new();
    for spec in &session.signature().inputs {
        let sizes = spec.shape.iter().map(|size| usize::try_from(*size).unwrap_or(1));
        let shape: Vec<usize> = sizes.collect();
        let count = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        let Some(count) = count.filter(|count| *count <= MAX_TRIAL) else { return Ok(()) };
        let data = match spec.datatype.as_str() {
            "FP32" => Data::F32(vec![0.0; count]),
            "INT32" => Data::I32(vec![0; count]),
            "INT64" => Data::I64(vec![0; count]),
            "BOOL" => Data::Bool(vec![false; count]),
            "BYTES" => Data::Text(vec![String::new(); count]),
            _ => Data::F64(vec![0.0; count]),
        };
        inputs.push((spec.name.clone(), Tensor::new(&spec.name, shape, data)?));
    }
    session.run(&inputs).map(drop)
}
