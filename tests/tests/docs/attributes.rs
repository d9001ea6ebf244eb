//! The schema section of a page: who sets which attribute, and the attributes
//! nested in it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::schema::{Attribute, Nested};
use crate::types;

type Rule = fn(&Attribute) -> bool;

/// Who sets an attribute, with how the list of those is headed.
const GROUPS: [(&str, Rule); 3] = [
    ("Required", |attribute| attribute.required),
    ("Optional", |attribute| attribute.optional),
    ("Read-Only", |attribute| !attribute.required && !attribute.optional),
];

/// The section of the object `name`.
pub fn section(name: &str, attributes: &BTreeMap<String, Attribute>) -> String {
    let mut text = "## Schema\n".to_owned();
    for (heading, members) in groups(attributes) {
        let _ = write!(text, "\n### {heading}\n\n{}", list(name, &members, &[]));
    }
    nested_sections(&mut text, name, attributes, &[]);
    text
}

type Members<'a> = Vec<(&'a String, &'a Attribute)>;

fn groups(attributes: &BTreeMap<String, Attribute>) -> impl Iterator<Item = (&'static str, Members<'_>)> {
    let members = |(heading, is): (_, Rule)| {
        (heading, attributes.iter().filter(|(_, attribute)| is(attribute)).collect::<Members>())
    };
    GROUPS.into_iter().map(members).filter(|(_, members)| !members.is_empty())
}

fn list(object: &str, members: &Members<'_>, within: &[&str]) -> String {
    let mut text = String::new();
    for (name, attribute) in members {
        let path = [within, &[name.as_str()]].concat();
        assert!(!attribute.description.is_empty(), "{object}.{} has no description", path.join("."));
        let _ = write!(text, "- `{name}` ({}", types::of(attribute));
        if attribute.deprecated {
            text.push_str(", Deprecated");
        }
        // Lines of a longer description stay inside the list's item.
        let _ = write!(text, ") {}", attribute.description.trim().replace('\n', "\n  "));
        if !attribute.deprecation_message.is_empty() {
            let _ = write!(text, " **Deprecated:** {}", attribute.deprecation_message);
        }
        if attribute.nested_type.is_some() {
            let _ = write!(text, " (see [below](#{}))", anchor(&path));
        }
        text.push('\n');
    }
    text
}

/// Sections for what is nested, each after the one it is nested in. Siblings with
/// the same attributes share one.
fn nested_sections(text: &mut String, object: &str, attributes: &BTreeMap<String, Attribute>, within: &[&str]) {
    let mut shared: Vec<(&Nested, Vec<&str>)> = Vec::new();
    for (name, attribute) in attributes {
        let Some(nested) = &attribute.nested_type else { continue };
        match shared.iter_mut().find(|(seen, _)| seen.attributes == nested.attributes) {
            Some((_, names)) => names.push(name),
            None => shared.push((nested, vec![name])),
        }
    }
    for (nested, names) in shared {
        let paths: Vec<Vec<&str>> = names.iter().map(|name| [within, &[*name]].concat()).collect();
        text.push('\n');
        for path in &paths {
            let _ = writeln!(text, "<a id=\"{}\"></a>", anchor(path));
        }
        let titles: Vec<String> = paths.iter().map(|path| format!("`{}`", path.join("."))).collect();
        let _ = writeln!(text, "\n### Nested Schema for {}", titles.join(", "));
        for (heading, members) in groups(&nested.attributes) {
            let _ = write!(text, "\n{heading}:\n\n{}", list(object, &members, &paths[0]));
        }
        nested_sections(text, object, &nested.attributes, &paths[0]);
    }
}

fn anchor(path: &[&str]) -> String {
    format!("nestedatt--{}", path.join("--"))
}
