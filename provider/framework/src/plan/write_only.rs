//! Write-only attributes are never in a plan nor in state.

use super::nested::{entries, map_objects};
use crate::Value;
use crate::schema::{Attribute, Kind};

/// `value` with every write-only attribute null.
pub fn remove(attributes: &[Attribute], value: Value) -> Value {
    if !matches!(value, Value::Map(_)) || !attributes.iter().any(concerns) {
        return value;
    }
    let mut values = entries(value);
    for attribute in attributes.iter().filter(|attribute| concerns(attribute)) {
        let Some(value) = values.get_mut(attribute.name) else {
            continue;
        };
        let inner = std::mem::replace(value, Value::Null);
        *value = match &attribute.kind {
            _ if attribute.write_only => Value::Null,
            Kind::Nested(nesting, nested) => map_objects(*nesting, inner, |_, object| remove(nested, object)),
            Kind::Plain(_) => inner,
        };
    }
    Value::Map(values)
}

/// Whether the attribute is write-only or has one inside.
pub fn concerns(attribute: &Attribute) -> bool {
    attribute.write_only || matches!(&attribute.kind, Kind::Nested(_, nested) if nested.iter().any(concerns))
}
