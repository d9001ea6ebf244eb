//! ONNX models, run by the ONNX Runtime library.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use falaj_api::model::{Signature, TensorSpec};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{Outlet, Tensor as OrtTensor, TensorElementType, ValueType};

use super::{Data, Session, Tensor, Tensors, input, no_others};
use crate::{Error, Result};

/// The loaded ONNX Runtime library. A process loads it once and keeps it.
#[derive(Clone)]
pub struct OnnxRuntime {
    environment: ort::environment::Environment,
}

/// The oldest release whose interface we are built for.
const OLDEST: &str = "1.24";

impl OnnxRuntime {
    /// Loads the library from this file. Every later call gives the library
    /// that was loaded first.
    ///
    /// # Errors
    /// [`Error::Library`] if the file is missing, is not the library, or is too
    /// old.
    pub fn load(path: &Path) -> Result<Self> {
        static LOADED: OnceLock<OnnxRuntime> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = LOADED.get() {
            return Ok(loaded.clone());
        }
        let error = |problem: String| Error::Library { path: path.display().to_string(), problem };
        if !path.is_file() {
            return Err(error(format!(
                "there is no such file; it comes with ONNX Runtime {OLDEST} or newer, for one in the Python wheel \
                 `onnxruntime`, as capi/libonnxruntime.so.*"
            )));
        }
        let builder = ort::init_from(path).map_err(|e| {
            error(format!("cannot be used ({e}); a library of ONNX Runtime {OLDEST} or newer is needed"))
        })?;
        let environment =
            builder.with_telemetry(false).build().map_err(|e| error(format!("cannot be started ({e})")))?;
        Ok(LOADED.get_or_init(|| Self { environment }).clone())
    }

    /// Loads a model with `copies` sessions, at least one; each runs on the
    /// calling thread only.
    ///
    /// # Errors
    /// [`Error::OnnxRuntime`] if the library refuses the model, or if an input
    /// or output is of a kind that requests cannot carry.
    pub fn session(&self, model: &[u8], copies: usize) -> Result<OnnxSession> {
        let mut sessions = Vec::new();
        for _ in 0..copies.max(1) {
            sessions.push(Mutex::new(self.one(model).map_err(failed)?));
        }
        let signature = match sessions.first() {
            Some(first) => signature(&lock(first))?,
            None => Signature { inputs: Vec::new(), outputs: Vec::new() },
        };
        Ok(OnnxSession { sessions, next: AtomicUsize::new(0), signature })
    }

    fn one(&self, model: &[u8]) -> ort::Result<OrtSession> {
        let builder = OrtSession::builder(&self.environment)?;
        builder
            .with_optimization_level(GraphOptimizationLevel::Level3)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_memory_pattern(true)?
            .commit_from_memory(model)
    }
}

/// A model loaded in ONNX Runtime.
pub struct OnnxSession {
    /// Running needs a session for oneself, so there are some to choose from.
    sessions: Vec<Mutex<OrtSession>>,
    next: AtomicUsize,
    signature: Signature,
}

impl OnnxSession {
    /// A session nobody is using, or else the one whose turn it is.
    fn take(&self) -> Result<MutexGuard<'_, OrtSession>> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len().max(1);
        let (before, after) = self.sessions.split_at(start);
        for session in after.iter().chain(before) {
            match session.try_lock() {
                Ok(free) => return Ok(free),
                Err(TryLockError::Poisoned(free)) => return Ok(free.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let own = after.first().ok_or_else(|| Error::OnnxRuntime("no session".to_owned()))?;
        Ok(lock(own))
    }
}

impl Session for OnnxSession {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn run(&self, inputs: &Tensors) -> Result<Tensors> {
        no_others(inputs, &self.signature)?;
        let mut values: Vec<SessionInputValue<'_>> = Vec::with_capacity(self.signature.inputs.len());
        for spec in &self.signature.inputs {
            let tensor = input(inputs, &spec.name)?;
            check_shape(spec, tensor)?;
            values.push(to_ort(&spec.name, tensor.convert(&spec.name, &spec.datatype)?)?);
        }
        let mut session = self.take()?;
        let outputs = session.run(values.as_slice()).map_err(failed)?;
        let mut answer = Vec::with_capacity(self.signature.outputs.len());
        for (name, value) in outputs.iter() {
            answer.push((name.to_owned(), from_ort(name, &value)?));
        }
        Ok(answer)
    }
}

fn lock(session: &Mutex<OrtSession>) -> MutexGuard<'_, OrtSession> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failed<T>(error: ort::Error<T>) -> Error {
    Error::OnnxRuntime(error.to_string())
}

fn signature(session: &OrtSession) -> Result<Signature> {
    let specs = |outlets: &[Outlet]| outlets.iter().map(spec).collect::<Result<Vec<_>>>();
    Ok(Signature { inputs: specs(session.inputs())?, outputs: specs(session.outputs())? })
}

fn spec(outlet: &Outlet) -> Result<TensorSpec> {
    let name = outlet.name();
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(Error::OnnxRuntime(format!(
            "{name:?} is a sequence or a map, which a request cannot carry; export the model with tensors only (for \
             scikit-learn: zipmap=False)"
        )));
    };
    let datatype = match ty {
        TensorElementType::Float32 => "FP32",
        TensorElementType::Float64 => "FP64",
        TensorElementType::Int32 => "INT32",
        TensorElementType::Int64 => "INT64",
        TensorElementType::Bool => "BOOL",
        TensorElementType::String => "BYTES",
        other => {
            return Err(Error::OnnxRuntime(format!(
                "{name:?} has elements of type {other}, which is not supported; FP32, FP64, INT32, INT64, BOOL and \
                 BYTES are"
            )));
        }
    };
    Ok(TensorSpec { name: name.to_owned(), datatype: datatype.to_owned(), shape: shape.to_vec(), feature_type: None })
}

fn check_shape(spec: &TensorSpec, tensor: &Tensor) -> Result<()> {
    let shape = tensor.shape();
    let fits = |(wanted, given): (&i64, &usize)| *wanted < 0 || usize::try_from(*wanted) == Ok(*given);
    if shape.len() == spec.shape.len() && spec.shape.iter().zip(shape).all(fits) {
        return Ok(());
    }
    Err(Error::Input {
        name: spec.name.clone(),
        problem: format!("the shape is {shape:?}, but the model takes {:?} (-1 is any length)", spec.shape),
    })
}

fn to_ort(name: &str, tensor: Tensor) -> Result<SessionInputValue<'static>> {
    let (shape, data) = tensor.into_parts();
    let value = match data {
        Data::F32(values) => OrtTensor::from_array((shape, values))?.into(),
        Data::F64(values) => OrtTensor::from_array((shape, values))?.into(),
        Data::I32(values) => OrtTensor::from_array((shape, values))?.into(),
        Data::I64(values) => OrtTensor::from_array((shape, values))?.into(),
        Data::Bool(values) => OrtTensor::from_array((shape, values))?.into(),
        Data::Text(values) => {
            if values.iter().any(|v| v.contains('\0')) {
                return Err(Error::Input { name: name.to_owned(), problem: "text must not hold NUL".to_owned() });
            }
            OrtTensor::from_string_array((shape, values.as_slice()))?.into()
        }
    };
    Ok(value)
}

fn from_ort(name: &str, value: &ort::value::DynValue) -> Result<Tensor> {
    let data = match value.dtype().tensor_type() {
        Some(TensorElementType::Float32) => Data::F32(extract(value)?),
        Some(TensorElementType::Float64) => Data::F64(extract(value)?),
        Some(TensorElementType::Int32) => Data::I32(extract(value)?),
        Some(TensorElementType::Int64) => Data::I64(extract(value)?),
        Some(TensorElementType::Bool) => Data::Bool(extract(value)?),
        Some(TensorElementType::String) => Data::Text(value.try_extract_strings()?.1),
        _ => return Err(Error::OnnxRuntime(format!("output {name:?} is of a type that replies cannot carry"))),
    };
    let shape = value.shape().iter().map(|size| usize::try_from(*size).unwrap_or_default());
    Tensor::new(name, shape.collect(), data)
}

fn extract<T: ort::value::PrimitiveTensorElementType + Clone>(value: &ort::value::DynValue) -> Result<Vec<T>> {
    Ok(value.try_extract_tensor::<T>()?.1.to_vec())
}

impl<T> From<ort::Error<T>> for Error {
    fn from(error: ort::Error<T>) -> Self {
        failed(error)
    }
}
