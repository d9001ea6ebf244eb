//! A configuration as a user writes it, in Terraform's JSON: some of it literally,
//! some of it as a reference to what another resource will only tell after apply.

use tfplugin::schema::{Attribute, Kind, Nesting};
use tfplugin::{Type, Value};

use super::Random;

/// What every source is called by, once it is there.
pub const SOURCE_NAME: &str = "source/x";

/// Writes one resource and collects what its references refer to.
pub struct Writer<'r> {
    random: &'r mut Random,
    /// The address of the source.
    source: &'r str,
    /// What the source is given, and gives back after apply.
    pub inputs: Vec<String>,
}

impl<'r> Writer<'r> {
    pub fn new(random: &'r mut Random, source: &'r str) -> Self {
        Self { random, source, inputs: Vec::new() }
    }

    /// An object of a schema. What is not set is left out or null.
    pub fn object(&mut self, attributes: &[Attribute], config: &Value) -> String {
        let mut parts = Vec::new();
        for attribute in attributes {
            let value = config.get(attribute.name);
            if value.is_null() {
                match self.random.below(8) {
                    0 => parts.push(format!("{:?}: null", attribute.name)),
                    1 if attribute.is_configurable() && may_be_unknown_and_null(attribute) => {
                        let written = self.reference("null".to_owned());
                        parts.push(format!("{:?}: {written}", attribute.name));
                    }
                    _ => {}
                }
            } else {
                let written = self.value(&attribute.kind, value);
                parts.push(format!("{:?}: {written}", attribute.name));
            }
        }
        format!("{{{}}}", parts.join(", "))
    }

    fn value(&mut self, kind: &Kind, value: &Value) -> String {
        if self.random.one_in(8) {
            if value.as_str() == Some(SOURCE_NAME) {
                return format!("\"${{{}.name}}\"", self.source);
            }
            let input = self.literal(kind, value);
            return self.reference(input);
        }
        self.literal(kind, value)
    }

    fn literal(&mut self, kind: &Kind, value: &Value) -> String {
        match kind {
            Kind::Plain(kind) => plain(kind, value),
            Kind::Nested(Nesting::Single, attributes) => self.object(attributes, value),
            Kind::Nested(_, attributes) => match value {
                Value::List(objects) | Value::Set(objects) => {
                    let objects: Vec<_> = objects.iter().map(|object| self.element(attributes, object)).collect();
                    format!("[{}]", objects.join(", "))
                }
                Value::Map(objects) => {
                    let objects: Vec<_> = objects
                        .iter()
                        .map(|(key, object)| format!("{}: {}", text(key), self.element(attributes, object)))
                        .collect();
                    format!("{{{}}}", objects.join(", "))
                }
                _ => "null".to_owned(),
            },
        }
    }

    fn element(&mut self, attributes: &[Attribute], object: &Value) -> String {
        let input = self.object(attributes, object);
        if self.random.one_in(10) { self.reference(input) } else { input }
    }

    fn reference(&mut self, input: String) -> String {
        // A source cannot be given what it gives.
        if input.contains(self.source) {
            return input;
        }
        self.inputs.push(input);
        format!("\"${{{}.output[{}]}}\"", self.source, self.inputs.len() - 1)
    }
}

/// An unknown object with secrets in it is planned as one that is there, since a
/// host takes no other plan: it must not turn out to be null.
pub fn may_be_unknown_and_null(attribute: &Attribute) -> bool {
    !matches!(attribute.kind, Kind::Nested(Nesting::Single, _)) || !tfplugin::plan::write_only::concerns(attribute)
}

fn plain(kind: &Type, value: &Value) -> String {
    match (kind, value) {
        (Type::Dynamic, Value::Dynamic(typed)) => plain(&typed.0, &typed.1),
        (_, Value::Bool(bool)) => bool.to_string(),
        (_, Value::Number(number)) => number.to_string(),
        (_, Value::String(written)) => text(written),
        (Type::List(element) | Type::Set(element), Value::List(elements) | Value::Set(elements)) => {
            let elements: Vec<_> = elements.iter().map(|value| plain(element, value)).collect();
            format!("[{}]", elements.join(", "))
        }
        (Type::Tuple(kinds), Value::List(elements)) => {
            let elements: Vec<_> = kinds.iter().zip(elements).map(|(kind, value)| plain(kind, value)).collect();
            format!("[{}]", elements.join(", "))
        }
        (Type::Map(element), Value::Map(entries)) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{}: {}", text(key), plain(element, value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        (Type::Object(kinds), Value::Map(_)) => {
            let entries: Vec<_> =
                kinds.iter().map(|(name, kind)| format!("{}: {}", text(name), plain(kind, value.get(name)))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        _ => "null".to_owned(),
    }
}

/// A string as JSON, in which templates are escaped.
fn text(written: &str) -> String {
    serde_json::to_string(&written.replace("${", "$${").replace("%{", "%%{")).expect("a string is JSON")
}
