//! The configuration laid over the prior state, with defaults: what the user
//! wants, before anything is marked unknown.

use super::nested::{Partners, map_objects};
use crate::Value;
use crate::schema::{Attribute, Kind, Mode, Nesting};

/// Proposes an object. An attribute that the user set is as configured; one
/// that only the provider sets, or that the user left out, has its default,
/// else its prior value. `prior` is null on create.
pub fn object(attributes: &[Attribute], config: &Value, prior: &Value) -> Value {
    if !matches!(config, Value::Map(_)) {
        return config.clone();
    }
    attributes
        .iter()
        .map(|attribute| (attribute.name, proposed(attribute, config.get(attribute.name), prior.get(attribute.name))))
        .collect()
}

fn proposed(attribute: &Attribute, config: &Value, prior: &Value) -> Value {
    if config.is_null() {
        return match (&attribute.default, attribute.mode) {
            (Some(default), _) => default.clone(),
            (None, Mode::Computed | Mode::OptionalComputed) => prior.clone(),
            (None, Mode::Required | Mode::Optional) => Value::Null,
        };
    }
    match &attribute.kind {
        Kind::Plain(_) => config.clone(),
        Kind::Nested(Nesting::Single, nested) => object(nested, config, prior),
        Kind::Nested(nesting, nested) => {
            let partners = Partners::new(*nesting, nested, config, prior);
            map_objects(*nesting, config.clone(), |place, element| object(nested, &element, partners.of(place)))
        }
    }
}
