//! A configuration that an existing object would have.

use super::nested::map_objects;
use crate::Value;
use crate::schema::{Attribute, Kind, Mode};

/// The configuration for an object in `state`: what a user can set, without
/// what is there by default, is deprecated or is never stored.
pub fn object(attributes: &[Attribute], state: &Value) -> Value {
    if !matches!(state, Value::Map(_)) {
        return state.clone();
    }
    attributes.iter().map(|attribute| (attribute.name, configured(attribute, state.get(attribute.name)))).collect()
}

fn configured(attribute: &Attribute, state: &Value) -> Value {
    let optional = attribute.mode != Mode::Required;
    let by_default = attribute.default.as_ref() == Some(state);
    let left_out = !attribute.is_configurable()
        || attribute.write_only
        || (optional && (by_default || attribute.deprecated.is_some()));
    if left_out {
        return Value::Null;
    }
    match &attribute.kind {
        Kind::Plain(_) => state.clone(),
        Kind::Nested(nesting, nested) => map_objects(*nesting, state.clone(), |_, element| object(nested, &element)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attr, Model};

    #[derive(Model, Clone)]
    struct Inner {
        #[attr(required)]
        name: Attr<String>,
        #[attr(default = 80)]
        port: Attr<i64>,
        #[attr(computed)]
        number: Attr<i64>,
    }

    #[derive(Model, Clone)]
    struct Outer {
        #[attr(computed)]
        id: Attr<String>,
        #[attr(optional, computed)]
        size: Attr<i64>,
        #[attr(default = "x")]
        text: Attr<String>,
        #[attr(optional, deprecated = "Leave it out.")]
        old: Attr<String>,
        #[attr(optional)]
        inner: Attr<Vec<Inner>>,
    }

    #[test]
    fn what_a_user_cannot_or_need_not_write_is_left_out() {
        let inner = |port: i64| Inner { name: "a".into(), port: port.into(), number: 1.into() };
        let outer = Outer {
            id: "1".into(),
            size: 2.into(),
            text: "x".into(),
            old: "y".into(),
            inner: vec![inner(80), inner(81)].into(),
        };
        let config = object(&Outer::attributes(), &Model::to_value(&outer));
        let written = Outer::from_value(&config).map(|outer| Model::to_value(&outer));
        assert_eq!(written.as_ref(), Ok(&config));
        assert_eq!(
            (config.get("id"), config.get("text"), config.get("old")),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(config.get("size"), &Value::from(2));
        let port =
            |port: Value| Value::from_iter([("name", Value::from("a")), ("port", port), ("number", Value::Null)]);
        assert_eq!(config.get("inner"), &Value::List(vec![port(Value::Null), port(81.into())]));
    }
}
