//! Which changes need a new object.

use crate::path::Step;
use crate::schema::{Attribute, Kind, Nesting};
use crate::{AttributePath, Value};

/// The paths of changed attributes whose change needs a new object. Empty on
/// create and destroy.
pub fn paths(attributes: &[Attribute], prior: &Value, planned: &Value) -> Vec<AttributePath> {
    let mut found = Vec::new();
    if matches!((prior, planned), (Value::Map(_), Value::Map(_))) {
        walk(attributes, prior, planned, &AttributePath::new(), &mut found);
    }
    found
}

fn walk(
    attributes: &[Attribute],
    prior: &Value,
    planned: &Value,
    path: &AttributePath,
    found: &mut Vec<AttributePath>,
) {
    for attribute in attributes {
        let before = prior.get(attribute.name);
        // Nothing is known of a part of what is not known.
        let after = if planned.is_unknown() { planned } else { planned.get(attribute.name) };
        if before == after {
            continue;
        }
        let path = path.attribute(attribute.name);
        // A host takes no plan that turns out to need a new object only later, but
        // one that does so from the start.
        let may_need = after.is_unknown() && !before.is_null() && has_replace(&attribute.kind);
        if attribute.replace || may_need {
            found.push(path);
        } else if let Kind::Nested(nesting, nested) = &attribute.kind {
            elements(*nesting, nested, before, after, &path, found);
        }
    }
}

fn has_replace(kind: &Kind) -> bool {
    match kind {
        Kind::Nested(Nesting::Set, _) | Kind::Plain(_) => false,
        Kind::Nested(_, nested) => nested.iter().any(|inner| inner.replace || has_replace(&inner.kind)),
    }
}

fn elements(
    nesting: Nesting,
    attributes: &[Attribute],
    before: &Value,
    after: &Value,
    path: &AttributePath,
    found: &mut Vec<AttributePath>,
) {
    match (nesting, before, after) {
        (Nesting::Single, _, _) => walk(attributes, before, after, path, found),
        // Only elements on both sides: adding or removing one is a change of
        // the collection, which has its own option.
        (Nesting::List, Value::List(before), Value::List(after)) => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                walk(attributes, before, after, &path.index(index), found);
            }
        }
        (Nesting::Map, Value::Map(before), Value::Map(after)) => {
            for (key, after) in after {
                if let Some(before) = before.get(key) {
                    walk(attributes, before, after, &path.key(key.clone()), found);
                }
            }
        }
        _ => {}
    }
}

/// Whether the values at `path` differ. The end of the path may be missing on
/// either side.
pub fn differs(prior: &Value, planned: &Value, path: &AttributePath) -> bool {
    at(prior, path) != at(planned, path)
}

fn at<'v>(value: &'v Value, path: &AttributePath) -> Option<&'v Value> {
    path.steps().iter().try_fold(value, |value, step| match (value, step) {
        (Value::Map(entries), Step::Attribute(name)) => entries.get(name.as_ref()),
        (Value::Map(entries), Step::Key(key)) => entries.get(key),
        (Value::List(elements), Step::Index(index)) => elements.get(usize::try_from(*index).ok()?),
        _ => None,
    })
}
