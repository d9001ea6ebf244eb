//! Functions: pure computations that configurations call.

use crate::{Field, Model};

/// A pure function. Equal parameters must give equal results.
///
/// The attributes of `Params`, in order, are its parameters; a field of type
/// `Option` takes null. Unknown parameters are never passed: the host takes
/// the result as unknown then.
pub trait Function: Send + Sync + 'static {
    /// The parameters.
    type Params: Model;
    /// The result.
    type Output: Field;
    /// The name after `provider::<provider>::`.
    const NAME: &'static str;
    /// One line for the documentation.
    const SUMMARY: &'static str;
    /// Markdown for the documentation.
    const DESCRIPTION: &'static str = "";

    /// Computes the result.
    fn call(&self, params: Self::Params) -> Result<Self::Output, FunctionError>;
}

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FunctionError {
    /// What was wrong and what would be right.
    pub text: String,
    /// The parameter to blame, counted from zero.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// An error of the function as a whole.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: None }
    }

    /// An error of one parameter, counted from zero.
    pub fn argument(argument: usize, text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: Some(argument) }
    }
}
