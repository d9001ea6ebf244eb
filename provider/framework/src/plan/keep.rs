//! Keeping the earlier spelling of a value that did not change.

use super::nested::{Partners, entries, map_objects};
use crate::Value;
use crate::schema::{Attribute, Kind, Nesting};

/// `value` with every attribute that means the same as in `earlier` spelled as
/// there: equal durations in other words, and numbers that differ only beyond
/// what a double holds.
pub fn object(attributes: &[Attribute], earlier: &Value, value: Value) -> Value {
    if !matches!((&value, earlier), (Value::Map(_), Value::Map(_))) {
        return value;
    }
    let mut values = entries(value);
    for attribute in attributes {
        if let Some(value) = values.get_mut(attribute.name) {
            *value = kept(attribute, earlier.get(attribute.name), std::mem::replace(value, Value::Null));
        }
    }
    Value::Map(values)
}

fn kept(attribute: &Attribute, earlier: &Value, value: Value) -> Value {
    match &attribute.kind {
        Kind::Plain(_) => {
            let same = |same: fn(&Value, &Value) -> bool| known(earlier) && known(&value) && same(earlier, &value);
            if attribute.same.is_some_and(same) {
                return earlier.clone();
            }
            exact(earlier, value)
        }
        Kind::Nested(Nesting::Single, nested) => object(nested, earlier, value),
        Kind::Nested(nesting, nested) => {
            let partners = Partners::in_place(*nesting, nested, &value, earlier);
            map_objects(*nesting, value, |place, element| object(nested, partners.of(place), element))
        }
    }
}

fn known(value: &Value) -> bool {
    !value.is_null() && !value.is_unknown()
}

/// Provider code that holds numbers as doubles cannot return all the digits it
/// was given; where the double is the same, the digits are taken from before.
fn exact(earlier: &Value, value: Value) -> Value {
    match (earlier, value) {
        (Value::Number(before), Value::Number(now))
            if *before != now && before.as_f64() == now.as_f64() && both_inexact(before, &now) =>
        {
            Value::Number(before.clone())
        }
        (Value::List(before), Value::List(now)) if before.len() == now.len() => {
            Value::List(before.iter().zip(now).map(|(before, now)| exact(before, now)).collect())
        }
        (Value::Map(before), Value::Map(now)) => Value::Map(
            now.into_iter()
                .map(|(key, value)| match before.get(&key) {
                    Some(before) => {
                        let value = exact(before, value);
                        (key, value)
                    }
                    None => (key, value),
                })
                .collect(),
        ),
        (_, value) => value,
    }
}

/// Two integers that differ are different numbers, however large.
fn both_inexact(a: &crate::Number, b: &crate::Number) -> bool {
    a.as_i64().is_none() || b.as_i64().is_none()
}
