//! What can go wrong in the engine, said so that a user can act on it.

/// An error of the engine. Every variant names what was being looked at, what
/// was wrong with it, and where it is not obvious what would be right.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A column that is needed is not there.
    #[error("column {column:?} is missing; the columns present are {present}")]
    MissingColumn { column: String, present: String },

    /// A column is there but has a type that cannot be used.
    #[error("column {column:?} is of type {found}, but {expected} is needed")]
    ColumnType { column: String, found: String, expected: &'static str },

    /// The data as a whole cannot be used: too few rows, one class only, ...
    #[error("{0}")]
    Data(String),

    /// An input of a prediction request does not fit the model's signature.
    #[error("input {name:?}: {problem}")]
    Input { name: String, problem: String },

    /// A model artifact cannot be read, or does not hold what it should.
    #[error("model artifact: {0}")]
    Artifact(String),

    /// The ONNX Runtime library cannot be used.
    #[error("ONNX Runtime library {path}: {problem}")]
    Library { path: String, problem: String },

    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,

    /// A training run did not come to a usable result.
    #[error("training: {0}")]
    Training(String),

    /// ONNX Runtime refused a model or failed to run it.
    #[error("ONNX Runtime: {0}")]
    OnnxRuntime(String),

    /// The tensor library failed.
    #[error("tensor computation: {0}")]
    Tensor(#[from] candle_core::Error),

    /// The columnar library failed.
    #[error("columnar data: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}

/// A result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;
