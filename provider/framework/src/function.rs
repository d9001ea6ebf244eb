//! Functions: pure computations that configurations call.

use crate::{Field, Model};

/// A pure function. Equal parameters must give equal results.
///
/// The attributes of `Params`, in order, are its parameters; a field of type
/// `Option` takes null, and the last may be `#[attr(variadic)]`. An unknown
/// argument is passed only to a parameter with `#[attr(allow_unknown)]`: for
/// any other the host takes the result as unknown without a call. A result of
/// type [`crate::Attr`] may be unknown itself; one of type [`crate::Value`]
/// may have any type.
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
    /// Why and in whose favour it is deprecated.
    const DEPRECATED: Option<&'static str> = None;

    /// Computes the result.
    fn call(&self, params: Self::Params) -> Result<Self::Output, FunctionError>;
}

/// Why a function has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FunctionError {
    /// What was wrong and what would be right.
    pub text: String,
    /// The argument to blame, counted from zero, variadic ones too.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// An error of the function as a whole.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: None }
    }

    /// An error of one argument, counted from zero, variadic ones too.
    pub fn argument(argument: usize, text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: Some(argument) }
    }
}
