//! The world behind the provider: a file for each object.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value as Json;

use crate::case::Attributes;

fn file(world: &Path, object: &str) -> std::path::PathBuf {
    world.join(format!("{object}.json"))
}

/// Makes and removes objects behind the provider's back.
pub fn prepare(world: &Path, given: &BTreeMap<String, Attributes>, gone: &[String]) {
    for (object, attributes) in given {
        fs::write(file(world, object), Json::Object(attributes.clone()).to_string()).expect("an object");
    }
    for object in gone {
        fs::remove_file(file(world, object)).unwrap_or_else(|error| panic!("{object} cannot vanish: {error}"));
    }
}

/// How the world differs from what is expected of it.
pub fn differences(world: &Path, expected: &BTreeMap<String, Option<Attributes>>) -> Vec<String> {
    let mut problems = Vec::new();
    for (object, expected) in expected {
        let found = fs::read(file(world, object)).ok();
        let found: Option<Attributes> = found.map(|bytes| serde_json::from_slice(&bytes).expect("an object as JSON"));
        match (expected, found) {
            (None, None) => {}
            (None, Some(_)) => problems.push(format!("{object} is in the world")),
            (Some(_), None) => problems.push(format!("{object} is not in the world")),
            (Some(expected), Some(found)) => {
                for (name, expected) in expected {
                    let found = found.get(name).unwrap_or(&Json::Null);
                    if found != expected {
                        problems.push(format!("{object} in the world, `{name}`: expected {expected}, found {found}"));
                    }
                }
            }
        }
    }
    problems
}
