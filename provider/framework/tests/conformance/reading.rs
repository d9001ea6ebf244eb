//! JSON, of a case or of a core, as values of a schema's types: every digit of
//! a number kept, a value of any type without its type.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use serde_json::value::RawValue;
use tfplugin::{Number, Type, Value};

use crate::case::Attributes;

/// What a reference such as `${corner_place.a.id}` stands for.
pub type Resolve<'r> = &'r dyn Fn(&str) -> Result<Value, String>;

/// Reads JSON of a case, with references.
pub fn config(json: &Json, kind: &Type, resolve: Resolve<'_>) -> Result<Value, String> {
    let raw = RawValue::from_string(json.to_string()).map_err(|error| error.to_string())?;
    read(&raw, kind, resolve)
}

/// Reads JSON without references.
pub fn plain(json: &Json, kind: &Type) -> Result<Value, String> {
    config(json, kind, &|reference| Err(format!("no reference is resolved here: {reference}")))
}

/// Reads JSON of a core.
pub fn observed(raw: &RawValue, kind: &Type) -> Result<Value, String> {
    let literal = |text: &str| Ok(Value::from(format!("${{{text}}}")));
    read(raw, kind, &literal)
}

fn read(raw: &RawValue, kind: &Type, resolve: Resolve<'_>) -> Result<Value, String> {
    let text = raw.get();
    let wrong = |error: &dyn std::fmt::Display| format!("{text} is not {}: {error}", kind.name());
    if text == "null" {
        return Ok(Value::Null);
    }
    if text.starts_with("\"${") {
        let string: String = serde_json::from_str(text).map_err(|error| wrong(&error))?;
        if let Some(reference) = string.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            return resolve(reference);
        }
    }
    let elements = || serde_json::from_str::<Vec<Box<RawValue>>>(text).map_err(|error| wrong(&error));
    let entries = || serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text).map_err(|error| wrong(&error));
    let all = |kind: &Type| elements()?.iter().map(|element| read(element, kind, resolve)).collect::<Result<_, _>>();
    Ok(match kind {
        Type::List(element) => Value::List(all(element)?),
        Type::Set(element) => Value::Set(all(element)?),
        Type::Tuple(kinds) => {
            let pairs = elements()?.into_iter().zip(kinds);
            Value::List(pairs.map(|(element, kind)| read(&element, kind, resolve)).collect::<Result<_, _>>()?)
        }
        Type::Map(element) => {
            let pairs = entries()?.into_iter();
            Value::Map(
                pairs.map(|(key, value)| Ok((key, read(&value, element, resolve)?))).collect::<Result<_, String>>()?,
            )
        }
        Type::Object(attributes) => {
            let mut entries = entries()?;
            let mut object = BTreeMap::new();
            for (name, kind) in attributes {
                let value = entries.remove(name).map(|value| read(&value, kind, resolve)).transpose();
                object.insert(name.clone(), value.map_err(|error| format!("{name}: {error}"))?.unwrap_or(Value::Null));
            }
            if let Some(unknown) = entries.keys().next() {
                return Err(format!("there is no attribute `{unknown}`"));
            }
            Value::Map(object)
        }
        Type::Dynamic => any(raw, resolve)?.into_dynamic(),
        Type::Bool | Type::Number | Type::String => {
            Value::from_json(text.as_bytes(), kind).map_err(|error| wrong(&error))?
        }
    })
}

fn any(raw: &RawValue, resolve: Resolve<'_>) -> Result<Value, String> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'[') => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let elements = elements.iter().map(|element| read(element, &Type::Dynamic, resolve));
            Ok(Value::List(elements.collect::<Result<_, _>>()?))
        }
        Some(b'{') => {
            let entries: BTreeMap<String, Box<RawValue>> =
                serde_json::from_str(text).map_err(|error| error.to_string())?;
            let entries = entries.into_iter().map(|(key, value)| Ok((key, read(&value, &Type::Dynamic, resolve)?)));
            Ok(Value::Map(entries.collect::<Result<_, String>>()?))
        }
        Some(b'"') => serde_json::from_str::<String>(text).map(Value::from).map_err(|error| error.to_string()),
        Some(b't') => Ok(true.into()),
        Some(b'f') => Ok(false.into()),
        _ => Number::parse(text).map(Value::Number).ok_or_else(|| format!("{text} is no number")),
    }
}

/// A value without the types that values under a `dynamic` constraint carry:
/// JSON does not tell a list from a set or a tuple there.
pub fn bare(value: &Value) -> Value {
    fn untyped(value: &Value) -> Value {
        match value {
            Value::Dynamic(typed) => untyped(&typed.1),
            Value::List(elements) | Value::Set(elements) => Value::List(elements.iter().map(untyped).collect()),
            Value::Map(entries) => {
                Value::Map(entries.iter().map(|(key, value)| (key.clone(), untyped(value))).collect())
            }
            other => other.clone(),
        }
    }
    match value {
        Value::Dynamic(_) => untyped(value),
        Value::List(elements) => Value::List(elements.iter().map(bare).collect()),
        Value::Set(elements) => Value::Set(elements.iter().map(bare).collect()),
        Value::Map(entries) => Value::Map(entries.iter().map(|(key, value)| (key.clone(), bare(value))).collect()),
        other => other.clone(),
    }
}

/// How `actual` differs from the expected attributes; those not expected are
/// not looked at. Unknown parts count as null.
pub fn differences(what: &str, expected: &Attributes, actual: &Value, kind: &Type) -> Vec<String> {
    let Type::Object(attributes) = kind else {
        return vec![format!("{what}: not an object type")];
    };
    let actual = bare(&actual.clone().nulls_for_unknowns());
    let mut found = Vec::new();
    for (name, expected) in expected {
        let Some((_, kind)) = attributes.iter().find(|(other, _)| other == name) else {
            found.push(format!("{what}: there is no attribute `{name}`"));
            continue;
        };
        match plain(expected, kind) {
            Ok(expected) if bare(&expected) == *actual.get(name) => {}
            Ok(expected) => {
                found.push(format!("{what}, `{name}`: expected {}, found {}", text(&expected), text(actual.get(name))))
            }
            Err(problem) => found.push(format!("{what}, `{name}`: the case itself is wrong: {problem}")),
        }
    }
    found
}

/// A value for people.
pub fn text(value: &Value) -> String {
    value.to_json_text().unwrap_or_else(|| format!("{value:?}"))
}

/// The paths of what is unknown; `[*]` stands for the elements of a set.
pub fn unknown_paths(value: &Value) -> std::collections::BTreeSet<String> {
    fn walk(value: &Value, path: &str, found: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Unknown(_) => {
                found.insert(path.to_owned());
            }
            Value::Dynamic(typed) => walk(&typed.1, path, found),
            Value::List(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    walk(element, &format!("{path}[{index}]"), found);
                }
            }
            Value::Set(elements) => {
                for element in elements {
                    walk(element, &format!("{path}[*]"), found);
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    walk(value, &join(path, key), found);
                }
            }
            _ => {}
        }
    }
    let mut found = std::collections::BTreeSet::new();
    walk(value, "", &mut found);
    found
}

/// A path one attribute or key further; both are written alike.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
