//! Keeping the earlier spelling of a value that did not change.

use super::nested::{Partners, entries, map_objects};
use crate::schema::{Attribute, Kind, Nesting};
use crate::{Number, Value};

/// `value` with every attribute that means the same as in `earlier` spelled as
/// there, for example equal durations in other words.
pub fn object(attributes: &[Attribute], earlier: &Value, value: Value) -> Value {
    walk(attributes, earlier, value, |_, value| value)
}

/// The same for what a resource's code returned: there, a number that is no
/// more than a double has the digits of the earlier one if that is the same
/// double. What a user writes is always taken to the last digit.
pub fn returned(attributes: &[Attribute], earlier: &Value, value: Value) -> Value {
    walk(attributes, earlier, value, exact)
}

/// Makes a value that differs from the earlier one into what it means.
type Mend = fn(&Value, Value) -> Value;

fn walk(attributes: &[Attribute], earlier: &Value, value: Value, mend: Mend) -> Value {
    if !matches!((&value, earlier), (Value::Map(_), Value::Map(_))) {
        return value;
    }
    let mut values = entries(value);
    for attribute in attributes {
        if let Some(value) = values.get_mut(attribute.name) {
            *value = kept(attribute, earlier.get(attribute.name), std::mem::replace(value, Value::Null), mend);
        }
    }
    Value::Map(values)
}

fn kept(attribute: &Attribute, earlier: &Value, value: Value, mend: Mend) -> Value {
    if value == *earlier {
        return value;
    }
    match &attribute.kind {
        Kind::Plain(_) => {
            let same = |same: fn(&Value, &Value) -> bool| known(earlier) && known(&value) && same(earlier, &value);
            if attribute.same.is_some_and(same) {
                return earlier.clone();
            }
            mend(earlier, value)
        }
        Kind::Nested(Nesting::Single, nested) => walk(nested, earlier, value, mend),
        Kind::Nested(nesting, nested) => {
            let partners = Partners::in_place(*nesting, nested, &value, earlier);
            map_objects(*nesting, value, |place, element| walk(nested, partners.of(place), element, mend))
        }
    }
}

fn known(value: &Value) -> bool {
    !value.is_null() && !value.is_unknown()
}

/// Code that holds numbers as doubles cannot return all the digits it was
/// given; where the double is the same, the digits are taken from before.
fn exact(earlier: &Value, value: Value) -> Value {
    match (earlier, value) {
        (Value::Number(before), Value::Number(now))
            if *before != now && before.as_f64() == now.as_f64() && is_a_double(&now) && !both_words(before, &now) =>
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

/// Whether the number has no more digits than its double.
fn is_a_double(number: &Number) -> bool {
    Number::from_f64(number.as_f64()).as_ref() == Some(number)
        || Number::from_exact(number.as_f64()).as_ref() == Some(number)
}

/// Two integers that differ are different numbers, however large.
fn both_words(a: &Number, b: &Number) -> bool {
    a.as_i64().is_some() && b.as_i64().is_some()
}
