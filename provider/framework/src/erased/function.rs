//! A function behind values.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::crashed;
use crate::function::FunctionError;
use crate::schema::Attribute;
use crate::{Field, Function, Model, Type, Value};

/// A function of any parameters.
pub trait AnyFunction: Send + Sync {
    fn parameters(&self) -> &[Attribute];
    fn output(&self) -> &Type;
    fn summary(&self) -> &'static str;
    fn description(&self) -> &'static str;
    /// Computes the result of arguments in the order of the parameters.
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

/// The face of a typed function.
pub struct TypedFunction<F> {
    function: F,
    parameters: Vec<Attribute>,
    output: Type,
}

impl<F: Function> TypedFunction<F> {
    pub fn new(function: F) -> Self {
        Self { function, parameters: F::Params::attributes(), output: F::Output::kind().to_type() }
    }
}

impl<F: Function> AnyFunction for TypedFunction<F> {
    fn parameters(&self) -> &[Attribute] {
        &self.parameters
    }

    fn output(&self) -> &Type {
        &self.output
    }

    fn summary(&self) -> &'static str {
        F::SUMMARY
    }

    fn description(&self) -> &'static str {
        F::DESCRIPTION
    }

    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError> {
        if arguments.len() != self.parameters.len() {
            return Err(FunctionError::new(format!(
                "{} takes {} arguments, {} were given",
                F::NAME,
                self.parameters.len(),
                arguments.len()
            )));
        }
        let named: Value = self.parameters.iter().map(|parameter| parameter.name).zip(arguments).collect();
        for (position, parameter) in self.parameters.iter().enumerate() {
            for rule in &parameter.validators {
                let value = named.get(parameter.name);
                rule.check(value)
                    .map_err(|problem| FunctionError::argument(position, format!("`{}` {problem}", parameter.name)))?;
            }
        }
        let params =
            F::Params::from_value(&named).map_err(|error| FunctionError::new(error.diagnostic().to_string()))?;
        match catch_unwind(AssertUnwindSafe(|| self.function.call(params))) {
            Ok(result) => result.map(|output| output.to_value()),
            Err(panic) => Err(FunctionError::new(crashed(F::NAME, panic.as_ref()).to_string())),
        }
    }
}
