//! A struct whose fields are the attributes of an object.

use crate::path::Step;
use crate::schema::{Attribute, Schema};
use crate::{Field, FieldError, Value};

/// The attributes of a resource, a nested object, a provider's configuration,
/// an identity or a function's parameters, declared once on a struct.
///
/// Write it with [`derive(Model)`](tfplugin_derive::Model); a hand-written
/// implementation is equally welcome.
pub trait Model: Sized + Clone + Send + Sync + 'static {
    /// Markdown about the whole object.
    const DESCRIPTION: &'static str = "";
    /// Why and in whose favour the whole object is deprecated.
    const DEPRECATED: Option<&'static str> = None;

    /// The attributes in the order of declaration.
    fn attributes() -> Vec<Attribute>;

    /// Reads a known object.
    fn from_value(value: &Value) -> Result<Self, FieldError>;

    /// Writes the object, all attributes present.
    fn to_value(&self) -> Value;

    /// The same of an object that is not needed any more.
    fn into_value(self) -> Value {
        self.to_value()
    }

    /// The schema of an object that stands for itself.
    fn schema() -> Schema {
        Schema {
            version: 0,
            description: Self::DESCRIPTION.to_owned(),
            deprecated: Self::DEPRECATED.map(str::to_owned),
            attributes: Self::attributes(),
        }
    }
}

/// A model without attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Empty;

impl Model for Empty {
    fn attributes() -> Vec<Attribute> {
        Vec::new()
    }

    fn from_value(_: &Value) -> Result<Self, FieldError> {
        Ok(Self)
    }

    fn to_value(&self) -> Value {
        Value::Map(Default::default())
    }
}

/// Reads one attribute of a known object; used by the derive.
#[doc(hidden)]
pub fn read_attribute<T: Field>(object: &Value, name: &'static str) -> Result<T, FieldError> {
    match object {
        Value::Map(entries) => T::from_value(entries.get(name).unwrap_or(&Value::Null))
            .map_err(|error| error.within(Step::Attribute(name.into()))),
        Value::Unknown(_) => Err(FieldError::unknown()),
        Value::Null => Err(FieldError::null()),
        other => Err(FieldError::wrong(format!("An object was expected, {} was given.", other.describe()))),
    }
}
