//! A function behind values.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::crashed;
use crate::function::FunctionError;
use crate::path::Step;
use crate::schema::{Attribute, Validator};
use crate::{Field, FieldError, Function, Model, Type, Value};

/// A parameter, and the type of one argument for it.
pub struct Parameter {
    pub attribute: Attribute,
    pub kind: Type,
}

/// A function of any parameters.
pub trait AnyFunction: Send + Sync {
    /// The parameters that take one argument each.
    fn parameters(&self) -> &[Parameter];
    /// The parameter that takes what arguments are left.
    fn variadic(&self) -> Option<&Parameter>;
    fn output(&self) -> &Type;
    fn summary(&self) -> &'static str;
    fn description(&self) -> &'static str;
    fn deprecated(&self) -> Option<&'static str>;
    /// Computes the result of arguments in the order of the parameters.
    fn call(&self, arguments: Vec<Value>) -> Result<Value, FunctionError>;
}

impl<'f> dyn AnyFunction + 'f {
    /// The parameter that the argument at `position` is for.
    pub fn parameter(&self, position: usize) -> Option<&Parameter> {
        self.parameters().get(position).or(self.variadic())
    }
}

/// The face of a typed function.
pub struct TypedFunction<F> {
    function: F,
    parameters: Vec<Parameter>,
    variadic: Option<Parameter>,
    output: Type,
}

impl<F: Function> TypedFunction<F> {
    pub fn new(function: F) -> Self {
        let mut parameters = Vec::new();
        let mut variadic = None;
        for attribute in F::Params::attributes() {
            match (attribute.variadic, attribute.kind.to_type()) {
                (true, Type::List(element)) => variadic = Some(Parameter { attribute, kind: *element }),
                (_, kind) => parameters.push(Parameter { attribute, kind }),
            }
        }
        Self { function, parameters, variadic, output: F::Output::kind().to_type() }
    }

    fn check_count(&self, given: usize) -> Result<(), FunctionError> {
        let fixed = self.parameters.len();
        if given == fixed || (given > fixed && self.variadic.is_some()) {
            return Ok(());
        }
        let or_more = if self.variadic.is_some() { " or more" } else { "" };
        Err(FunctionError::new(format!("{} takes {fixed}{or_more} arguments, {given} were given", F::NAME)))
    }

    /// The argument that the error is about.
    fn blame(&self, error: FieldError) -> FunctionError {
        let diagnostic = error.diagnostic();
        let steps = diagnostic.path.steps();
        let position = match steps.first() {
            Some(Step::Attribute(name)) => {
                self.parameters.iter().position(|parameter| parameter.attribute.name == *name).or_else(|| {
                    let index = match steps.get(1) {
                        Some(Step::Index(index)) => usize::try_from(*index).unwrap_or_default(),
                        _ => 0,
                    };
                    Some(self.parameters.len() + index)
                })
            }
            _ => None,
        };
        FunctionError { argument: position, text: diagnostic.to_string() }
    }
}

fn check(rules: &[Validator], name: &str, position: usize, value: &Value) -> Result<(), FunctionError> {
    if value.is_null() || value.is_unknown() {
        return Ok(());
    }
    rules.iter().try_for_each(|rule| {
        rule.check(value).map_err(|problem| FunctionError::argument(position, format!("`{name}` {problem}")))
    })
}

impl<F: Function> AnyFunction for TypedFunction<F> {
    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn variadic(&self) -> Option<&Parameter> {
        self.variadic.as_ref()
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

    fn deprecated(&self) -> Option<&'static str> {
        F::DEPRECATED
    }

    fn call(&self, mut arguments: Vec<Value>) -> Result<Value, FunctionError> {
        self.check_count(arguments.len())?;
        let left = arguments.split_off(self.parameters.len());
        let mut named = std::collections::BTreeMap::new();
        for (position, (parameter, value)) in self.parameters.iter().zip(arguments).enumerate() {
            let Attribute { name, validators, .. } = &parameter.attribute;
            check(validators, name, position, &value)?;
            named.insert((*name).to_owned(), value);
        }
        if let Some(parameter) = &self.variadic {
            let Attribute { name, validators, .. } = &parameter.attribute;
            for (position, value) in (self.parameters.len()..).zip(&left) {
                check(validators, name, position, value)?;
            }
            named.insert((*name).to_owned(), Value::List(left));
        }
        let params = F::Params::from_value(&Value::Map(named)).map_err(|error| self.blame(error))?;
        match catch_unwind(AssertUnwindSafe(|| self.function.call(params))) {
            Ok(result) => result.map(|output| output.to_value()),
            Err(panic) => Err(FunctionError::new(crashed(F::NAME, panic.as_ref()).to_string())),
        }
    }
}
