//! Walking nested objects side by side.

use std::collections::BTreeMap;

use crate::Value;
use crate::schema::{Attribute, Kind, Nesting};

/// Which element of `others` goes with which of a collection's elements: by
/// position in a list, by key in a map, by equal configured values in a set.
pub fn counterpart<'o>(nesting: Nesting, attributes: &[Attribute], element: Place<'_>, others: &'o Value) -> &'o Value {
    static NULL: Value = Value::Null;
    let found = match (nesting, element, others) {
        (Nesting::List, Place::Index(index, _), Value::List(others)) => others.get(index),
        (Nesting::Map, Place::Key(key), Value::Map(others)) => others.get(key),
        (Nesting::Set, Place::Index(_, element), Value::Set(others)) => {
            others.iter().find(|other| same_configured(attributes, element, other))
        }
        _ => None,
    };
    found.unwrap_or(&NULL)
}

/// The configured element that a planned element was made from.
pub fn configured<'o>(nesting: Nesting, attributes: &[Attribute], planned: Place<'_>, config: &'o Value) -> &'o Value {
    match (nesting, planned, config) {
        (Nesting::Set, Place::Index(_, planned), Value::Set(elements)) => {
            elements.iter().find(|element| same_configured(attributes, element, planned)).unwrap_or(&Value::Null)
        }
        _ => counterpart(nesting, attributes, planned, config),
    }
}

/// An element's place in its collection.
#[derive(Clone, Copy)]
pub enum Place<'e> {
    /// In a list or a set, with the element itself.
    Index(usize, &'e Value),
    /// In a map.
    Key(&'e str),
}

/// Whether two elements of a set are one object: equal in all that the user
/// may set and did set in `config`.
fn same_configured(attributes: &[Attribute], config: &Value, other: &Value) -> bool {
    attributes.iter().all(|attribute| {
        let (mine, theirs) = (config.get(attribute.name), other.get(attribute.name));
        if attribute.write_only || (mine.is_null() && attribute.is_computed()) {
            return true;
        }
        match (&attribute.kind, mine, theirs) {
            (Kind::Nested(Nesting::Single, nested), Value::Map(_), Value::Map(_)) => {
                same_configured(nested, mine, theirs)
            }
            _ => mine == theirs,
        }
    })
}

/// Applies `change` to each nested object of a known value; null and unknown
/// stay as they are.
pub fn map_objects(nesting: Nesting, value: Value, mut change: impl FnMut(Place<'_>, Value) -> Value) -> Value {
    let mut elements = |elements: Vec<Value>| -> Vec<Value> {
        elements
            .into_iter()
            .enumerate()
            .map(|(index, element)| {
                let original = element.clone();
                change(Place::Index(index, &original), element)
            })
            .collect()
    };
    match (nesting, value) {
        (Nesting::List, Value::List(list)) => Value::List(elements(list)),
        (Nesting::Set, Value::Set(set)) => Value::Set(elements(set)),
        (Nesting::Map, Value::Map(entries)) => Value::Map(
            entries
                .into_iter()
                .map(|(key, element)| {
                    let changed = change(Place::Key(&key), element);
                    (key, changed)
                })
                .collect(),
        ),
        (Nesting::Single, object @ Value::Map(_)) => {
            let original = object.clone();
            change(Place::Index(0, &original), object)
        }
        (_, other) => other,
    }
}

/// Takes the entries of a known object; empty for anything else.
pub fn entries(value: Value) -> BTreeMap<String, Value> {
    match value {
        Value::Map(entries) => entries,
        _ => BTreeMap::new(),
    }
}
