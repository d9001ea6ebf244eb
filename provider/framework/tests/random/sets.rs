//! Sets of objects that stay as large as they were configured, whatever defaults
//! and the provider fill in.

use tfplugin::Value;
use tfplugin::schema::{Attribute, Kind, Mode, Nesting};

/// The objects without those that may become equal to an earlier one.
pub fn distinct(attributes: &[Attribute], objects: Vec<Value>) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for object in objects {
        if !kept.iter().any(|earlier| may_be_equal(attributes, earlier, &object)) {
            kept.push(object);
        }
    }
    kept
}

fn may_be_equal(attributes: &[Attribute], one: &Value, other: &Value) -> bool {
    attributes.iter().all(|attribute| {
        let (one, other) = (effective(attribute, one), effective(attribute, other));
        match (&attribute.kind, one, other) {
            (_, None, _) | (_, _, None) => true,
            (Kind::Plain(_), Some(one), Some(other)) => one == other,
            (Kind::Nested(nesting, nested), Some(one), Some(other)) => {
                collections_may_be_equal(*nesting, nested, one, other)
            }
        }
    })
}

/// The value that the configuration gives; `None` where the provider does.
fn effective<'o>(attribute: &'o Attribute, object: &'o Value) -> Option<&'o Value> {
    let value = object.get(attribute.name);
    match (&attribute.default, attribute.mode) {
        _ if !value.is_null() => Some(value),
        (Some(default), _) => Some(default),
        (None, Mode::Computed | Mode::OptionalComputed) => None,
        (None, _) => Some(value),
    }
}

fn collections_may_be_equal(nesting: Nesting, attributes: &[Attribute], one: &Value, other: &Value) -> bool {
    let pair = |(one, other): (&Value, &Value)| may_be_equal(attributes, one, other);
    match (nesting, one, other) {
        (Nesting::Single, Value::Map(_), Value::Map(_)) => may_be_equal(attributes, one, other),
        (_, Value::List(one), Value::List(other)) => one.len() == other.len() && one.iter().zip(other).all(pair),
        (Nesting::Map, Value::Map(one), Value::Map(other)) => {
            one.keys().eq(other.keys()) && one.values().zip(other.values()).all(pair)
        }
        (_, Value::Set(one), Value::Set(other)) => {
            one.len() == other.len() && one.iter().all(|one| other.iter().any(|other| pair((one, other))))
        }
        _ => one == other,
    }
}
