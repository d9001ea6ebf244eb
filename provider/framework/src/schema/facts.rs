//! What a schema declares and the wire has no field for, in words: so that the
//! registry's pages and an editor's help say it too.

use super::Attribute;
use crate::Value;

/// The description of an attribute, with its default and what a change of it does.
/// Empty where the author wrote none.
pub fn described(attribute: &Attribute) -> String {
    let mut text = attribute.description.trim_end().to_owned();
    if text.is_empty() {
        return text;
    }
    if let Some(default) = attribute.default.as_ref().and_then(written) {
        text.push_str(&format!(" Default: `{default}`."));
    }
    if attribute.replace {
        text.push_str(" A change makes a new object.");
    }
    text
}

/// A default as a configuration would write it; `None` for one that says nothing
/// (an empty collection) or is said elsewhere (an object: by its attributes).
fn written(default: &Value) -> Option<String> {
    match default {
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(format!("{text:?}")),
        Value::List(elements) | Value::Set(elements) if !elements.is_empty() => {
            let elements: Option<Vec<String>> = elements.iter().map(written).collect();
            elements.map(|elements| format!("[{}]", elements.join(", ")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attr, Model};

    #[derive(Model, Clone)]
    struct Declared {
        /// Where it is.
        #[attr(required, replace)]
        region: Attr<String>,
        /// How many.
        #[attr(default = 3)]
        count_per_node: Attr<i64>,
        /// What keeps it running.
        #[attr(default = "none", replace)]
        service: Attr<String>,
        /// Those who may.
        #[attr(default = Value::List(Vec::new()))]
        invokers: Attr<Vec<String>>,
        #[attr(default = true)]
        bare: Attr<bool>,
    }

    #[test]
    fn defaults_and_replacement_are_said_once_they_are_declared() {
        let said: Vec<String> = Declared::schema().attributes.iter().map(described).collect();
        assert_eq!(
            said,
            [
                "Where it is. A change makes a new object.",
                "How many. Default: `3`.",
                "What keeps it running. Default: `\"none\"`. A change makes a new object.",
                "Those who may.",
                "",
            ]
        );
    }
}
