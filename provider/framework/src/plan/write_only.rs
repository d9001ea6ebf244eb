//! Write-only attributes are never in a plan nor in state.

use super::nested::{entries, map_objects};
use crate::Value;
use crate::schema::{Attribute, Kind, Nesting};

/// `value` with every write-only attribute null.
pub fn remove(attributes: &[Attribute], value: Value) -> Value {
    if !attributes.iter().any(concerns) {
        return value;
    }
    let mut values = match value {
        Value::Unknown(_) => entries(opened(attributes)),
        Value::Map(values) => values,
        other => return other,
    };
    for attribute in attributes.iter().filter(|attribute| concerns(attribute)) {
        let Some(value) = values.get_mut(attribute.name) else {
            continue;
        };
        let inner = std::mem::replace(value, Value::Null);
        *value = match &attribute.kind {
            _ if attribute.write_only => Value::Null,
            Kind::Nested(Nesting::Single, nested) if attribute.block.is_none() => remove(nested, inner),
            Kind::Nested(nesting, nested) => map_objects(*nesting, inner, |_, object| remove(nested, object)),
            Kind::Plain(_) => inner,
        };
    }
    Value::Map(values)
}

/// An object of which nothing is known but that it will be there: secrets in an
/// unknown object would be unknown too, and a host wants to see them null.
pub fn opened(attributes: &[Attribute]) -> Value {
    attributes.iter().map(|attribute| (attribute.name, Value::unknown())).collect()
}

/// Whether it is write-only, or an attribute within it is.
pub fn concerns(attribute: &Attribute) -> bool {
    attribute.write_only || matches!(&attribute.kind, Kind::Nested(_, nested) if nested.iter().any(concerns))
}
