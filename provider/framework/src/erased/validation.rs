//! The checks that attributes declare, applied to a configuration.

use crate::path::Trail;
use crate::plan::blocks;
use crate::schema::{Attribute, Kind, Nesting, Schema};
use crate::{Diagnostic, Diagnostics, Value};

/// Applies every attribute's rules to what is known of the configuration of
/// `name`, and warns of what is deprecated: the host leaves that to providers.
pub fn check(name: &str, schema: &Schema, config: &Value) -> Diagnostics {
    let mut problems = Diagnostics::new();
    if let Some(instead) = &schema.deprecated {
        problems.push(Diagnostic::warning(format!("{name} is deprecated")).detail(instead));
    }
    walk(&schema.attributes, config, &Trail::Root, &mut problems);
    problems
}

fn walk(attributes: &[Attribute], object: &Value, path: &Trail<'_>, problems: &mut Diagnostics) {
    if !matches!(object, Value::Map(_)) {
        return;
    }
    for attribute in attributes {
        let value = object.get(attribute.name);
        if blocks::is_absent(attribute, value) {
            continue;
        }
        let path = path.attribute(attribute.name);
        if let Some(instead) = attribute.deprecated {
            problems.warning_at(path.to_path(), format!("`{}` is deprecated", attribute.name), instead);
        }
        if value.is_unknown() {
            continue;
        }
        for rule in &attribute.validators {
            if let Err(problem) = rule.check(value) {
                let path = path.to_path();
                problems.push(
                    Diagnostic::error(format!("Invalid `{}`", attribute.name))
                        .detail(format!("`{path}` {problem}."))
                        .at(path),
                );
            }
        }
        if let Kind::Nested(nesting, nested) = &attribute.kind {
            elements(*nesting, nested, value, &path, problems);
        }
    }
}

fn elements(nesting: Nesting, attributes: &[Attribute], value: &Value, path: &Trail<'_>, problems: &mut Diagnostics) {
    match (nesting, value) {
        (Nesting::Single, object) => walk(attributes, object, path, problems),
        (Nesting::List, Value::List(objects)) => {
            for (index, object) in objects.iter().enumerate() {
                walk(attributes, object, &path.index(index), problems);
            }
        }
        (Nesting::Map, Value::Map(objects)) => {
            for (key, object) in objects {
                walk(attributes, object, &path.key(key), problems);
            }
        }
        (Nesting::Set, Value::Set(objects)) => {
            // Elements of a set have no address; what is wrong inside is
            // reported at the set.
            let mut inner = Diagnostics::new();
            objects.iter().for_each(|object| walk(attributes, object, &Trail::Root, &mut inner));
            problems.extend(inner.into_iter().map(|problem| problem.at(path.to_path())));
        }
        _ => {}
    }
}
