//! The configuration laid over the prior state, with defaults: what the user
//! wants, before anything is marked unknown.

use super::nested::{Place, counterpart, map_objects};
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
            (None, Mode::Computed) => prior.clone(),
            (None, Mode::OptionalComputed) if !was_configured(&attribute.kind, prior) => prior.clone(),
            (None, _) => Value::Null,
        };
    }
    match &attribute.kind {
        Kind::Plain(_) => config.clone(),
        Kind::Nested(Nesting::Single, nested) => object(nested, config, prior),
        Kind::Nested(nesting, nested) => map_objects(*nesting, config.clone(), |place, element| {
            object(nested, &element, counterpart(*nesting, nested, place, prior))
        }),
    }
}

/// Whether a prior nested value must have come from a configuration, because
/// it holds something that only a user can have set. Left out now, it is gone
/// rather than kept.
fn was_configured(kind: &Kind, prior: &Value) -> bool {
    let Kind::Nested(nesting, attributes) = kind else {
        return false;
    };
    let mut configured = false;
    map_objects(*nesting, prior.clone(), |_: Place<'_>, object| {
        configured |= attributes.iter().any(|attribute| {
            let value = object.get(attribute.name);
            !value.is_null() && (!attribute.is_computed() || was_configured(&attribute.kind, value))
        });
        object
    });
    configured
}
