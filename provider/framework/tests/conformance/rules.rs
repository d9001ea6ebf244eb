//! What a host holds against a plan and a new state, written down apart from
//! the framework's own check of the same rules.

use tfplugin::proto::tfplugin6::schema::Attribute;
use tfplugin::{Refinement, Value};

use crate::reading::{join, text};

/// Breaches of a plan: what is configured is planned, or kept as it was; what
/// the provider may not compute is null where nothing is configured.
pub fn plan(attributes: &[Attribute], config: &Value, prior: &Value, planned: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in attributes {
        let name = attribute.name.as_str();
        let (config, prior, planned) = (config.get(name), prior.get(name), planned.get(name));
        let nested = attribute.nested_type.is_some();
        if attribute.write_only {
            if !planned.is_null() {
                found.push(format!("the write-only `{name}` is planned"));
            }
        } else if config.is_null() {
            if !attribute.computed && !planned.is_null() {
                found.push(format!("`{name}` is not configured but planned as {}", text(planned)));
            }
        } else if !nested && planned != config && planned != prior {
            found.push(format!("`{name}` is configured as {} but planned as {}", text(config), text(planned)));
        } else if nested && planned.is_null() {
            found.push(format!("`{name}` is configured but planned as null"));
        }
    }
    found
}

/// Breaches of what was planned, by a later plan or a new state.
pub fn keeps(planned: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(planned, actual, "", &mut found);
    found
}

fn walk(planned: &Value, actual: &Value, path: &str, found: &mut Vec<String>) {
    match (planned, actual) {
        (Value::Unknown(promise), actual) => {
            if let Some(broken) = breach(promise, actual) {
                found.push(format!("`{path}` was promised to be {broken}, and is {}", text(actual)));
            }
        }
        (Value::Dynamic(planned), Value::Dynamic(actual)) => walk(&planned.1, &actual.1, path, found),
        (Value::List(before), Value::List(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                walk(before, after, &format!("{path}[{index}]"), found);
            }
        }
        (Value::Map(before), Value::Map(after)) if before.keys().eq(after.keys()) => {
            for ((key, before), after) in before.iter().zip(after.values()) {
                walk(before, after, &join(path, key), found);
            }
        }
        (Value::Set(before), Value::Set(after)) if !planned.is_wholly_known() => {
            if after.len() > before.len() {
                found.push(format!("the set `{path}` grew"));
            }
        }
        _ if planned == actual => {}
        _ => found.push(format!("`{path}` was planned as {} and is {}", text(planned), text(actual))),
    }
}

fn breach(promise: &Refinement, actual: &Value) -> Option<String> {
    if actual.is_null() && promise.is_not_null() {
        return Some("not null".into());
    }
    let prefix = promise.prefix()?;
    let begins = match actual {
        Value::String(text) => text.starts_with(prefix),
        Value::Unknown(later) => later.prefix().is_some_and(|later| later.starts_with(prefix)),
        _ => false,
    };
    (!begins).then(|| format!("a text that begins with {prefix:?}"))
}
