//! Which computed attributes are "known after apply".

use super::nested::{Partners, configured, entries, map_objects};
use crate::schema::{ANY, Attribute, Kind, Mode, Nesting};
use crate::{Refinement, Value};

/// Marks unknown what only the apply will tell: in a new object every computed
/// attribute that the user did not set; in an existing one those that depend,
/// by declaration, on an attribute that changed, and those that must not be
/// null but are (a create that was interrupted).
pub fn object(attributes: &[Attribute], config: &Value, prior: &Value, planned: Value) -> Value {
    // Of an object that is itself not known yet nothing is the provider's to say.
    if !matches!(planned, Value::Map(_)) || config.is_unknown() {
        return planned;
    }
    let mut planned = entries(planned);
    for attribute in attributes {
        if let Some(value) = planned.get_mut(attribute.name) {
            let inner = std::mem::replace(value, Value::Null);
            *value = nested(attribute, config.get(attribute.name), prior.get(attribute.name), inner);
        }
    }
    let mut open: Vec<&Attribute> =
        attributes.iter().filter(|attribute| is_left_to_provider(attribute, config)).collect();
    // An attribute may depend on a computed one, so marking goes on until
    // nothing new is marked.
    loop {
        let (marked, rest): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|attribute| becomes_unknown(attribute, attributes, prior, &planned));
        if marked.is_empty() {
            return Value::Map(planned);
        }
        for attribute in marked {
            planned.insert(attribute.name.to_owned(), unknown(attribute));
        }
        open = rest;
    }
}

fn is_left_to_provider(attribute: &Attribute, config: &Value) -> bool {
    matches!(attribute.mode, Mode::Computed | Mode::OptionalComputed)
        && attribute.default.is_none()
        && config.get(attribute.name).is_null()
}

fn becomes_unknown(
    attribute: &Attribute,
    siblings: &[Attribute],
    prior: &Value,
    planned: &std::collections::BTreeMap<String, Value>,
) -> bool {
    let Value::Map(prior) = prior else {
        return true;
    };
    if (attribute.refined.is_not_null() || attribute.is_block_collection())
        && prior.get(attribute.name).is_none_or(Value::is_null)
    {
        return true;
    }
    let changed = |name: &str| prior.get(name) != planned.get(name);
    attribute.depends_on.iter().any(|dependency| {
        if *dependency == ANY {
            siblings.iter().any(|sibling| sibling.name != attribute.name && !sibling.local && changed(sibling.name))
        } else {
            changed(dependency)
        }
    })
}

/// The unknown value of an attribute, with what its declaration says of it.
pub fn unknown(attribute: &Attribute) -> Value {
    Value::Unknown(if attribute.is_block_collection() { Refinement::not_null() } else { attribute.refined.clone() })
}

fn nested(attribute: &Attribute, config: &Value, prior: &Value, planned: Value) -> Value {
    match &attribute.kind {
        Kind::Plain(_) => planned,
        // Left to the provider as a whole, so nothing inside is the user's.
        Kind::Nested(..) if config.is_null() => planned,
        Kind::Nested(Nesting::Single, attributes) => object(attributes, config, prior, planned),
        Kind::Nested(nesting, attributes) => {
            let partners = Partners::new(*nesting, attributes, config, prior);
            map_objects(*nesting, planned, |place, element| {
                object(attributes, configured(place, config), partners.of(place), element)
            })
        }
    }
}
