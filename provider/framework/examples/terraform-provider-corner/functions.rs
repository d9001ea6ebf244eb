//! Functions: variadic, with null, with any type, and with errors by argument.

use tfplugin::{Function, FunctionError, Model, Number, Value};

/// What to join.
#[derive(Model, Debug, Clone)]
pub struct JoinParams {
    /// What goes between; nothing if null.
    separator: Option<String>,
    /// The words; null is passed over.
    #[attr(optional, variadic)]
    words: Vec<Option<String>>,
}

/// Joins words.
pub struct Join;

impl Function for Join {
    type Params = JoinParams;
    type Output = String;
    const NAME: &'static str = "join_words";
    const SUMMARY: &'static str = "Words in one text";

    fn call(&self, params: JoinParams) -> Result<String, FunctionError> {
        if let Some(position) = params.words.iter().flatten().position(|word| word.contains(' ')) {
            return Err(FunctionError::argument(position + 1, "a word has no blank in it"));
        }
        let words: Vec<String> = params.words.into_iter().flatten().collect();
        Ok(words.join(params.separator.as_deref().unwrap_or_default()))
    }
}

/// What to wrap.
#[derive(Model, Debug, Clone)]
pub struct WrapParams {
    /// A value of any type.
    value: Value,
}

/// Wraps a value of any type.
pub struct Wrap;

impl Function for Wrap {
    type Params = WrapParams;
    type Output = Value;
    const NAME: &'static str = "wrap";
    const SUMMARY: &'static str = "A value and the name of its type";

    fn call(&self, params: WrapParams) -> Result<Value, FunctionError> {
        let kind = match &params.value {
            Value::Dynamic(typed) => typed.0.name(),
            _ => return Err(FunctionError::new("the value came without its type")),
        };
        Ok([("kind", Value::from(kind)), ("value", params.value)].into_iter().collect())
    }
}

/// What to repeat.
#[derive(Model, Debug, Clone)]
pub struct SameParams {
    /// A number of any digits.
    number: Number,
}

/// A number as it came.
pub struct Same;

impl Function for Same {
    type Params = SameParams;
    type Output = Number;
    const NAME: &'static str = "same_number";
    const SUMMARY: &'static str = "The number, digit by digit";

    fn call(&self, params: SameParams) -> Result<Number, FunctionError> {
        Ok(params.number)
    }
}
