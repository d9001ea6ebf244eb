//! Nested blocks: attributes of nested objects in the older syntax. What is
//! absent is empty with them, not null, except for a single block; only where
//! the provider may fill one in does null say that the user wrote none.

use std::collections::BTreeMap;

use super::nested::{entries, map_objects};
use crate::Value;
use crate::schema::{Attribute, Kind, Nesting};

/// `value` with every absent collection of blocks empty.
pub fn fill(attributes: &[Attribute], value: Value) -> Value {
    walk(attributes, value, &|_, nesting, value| if value.is_null() { empty(nesting) } else { value })
}

/// A configuration as a host sends it. One that knows computed blocks sends
/// null for those that the user left out.
pub fn configured(attributes: &[Attribute], config: Value, computed_blocks: bool) -> Value {
    walk(attributes, config, &|attribute, nesting, value| {
        let absent = is_absent(attribute, &value);
        match (absent, computed_blocks && attribute.is_computed()) {
            (true, true) => Value::Null,
            (true, false) => empty(nesting),
            (false, _) => value,
        }
    })
}

/// Whether the user left it out.
pub fn is_absent(attribute: &Attribute, value: &Value) -> bool {
    value.is_null()
        || (attribute.block.is_some()
            && match value {
                Value::List(elements) | Value::Set(elements) => elements.is_empty(),
                Value::Map(entries) => entries.is_empty() && attribute.is_block_collection(),
                _ => false,
            })
}

fn empty(nesting: Nesting) -> Value {
    match nesting {
        Nesting::Single => Value::Null,
        Nesting::List => Value::List(Vec::new()),
        Nesting::Set => Value::Set(Vec::new()),
        Nesting::Map => Value::Map(BTreeMap::new()),
    }
}

/// Applies `change` to every collection of blocks, the outer ones first.
fn walk(attributes: &[Attribute], value: Value, change: &impl Fn(&Attribute, Nesting, Value) -> Value) -> Value {
    if !matches!(value, Value::Map(_)) || attributes.iter().all(|attribute| attribute.block.is_none()) {
        return value;
    }
    let mut values = entries(value);
    for attribute in attributes.iter().filter(|attribute| attribute.block.is_some()) {
        let Kind::Nested(nesting, nested) = &attribute.kind else {
            continue;
        };
        let value = values.remove(attribute.name).unwrap_or(Value::Null);
        let value = if *nesting == Nesting::Single { value } else { change(attribute, *nesting, value) };
        let value = map_objects(*nesting, value, |_, object| walk(nested, object, change));
        values.insert(attribute.name.to_owned(), value);
    }
    Value::Map(values)
}
