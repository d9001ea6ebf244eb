//! The type constraints of the Terraform language.

use serde_json::{Value as Json, json};
use thiserror::Error;

/// How deeply a type may nest; a deeper one from the wire is refused.
const MAX_DEPTH: usize = 64;

/// A type constraint, as a schema declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// `bool`
    Bool,
    /// `number`, of any precision
    Number,
    /// `string`
    String,
    /// Any type; each value carries its own.
    Dynamic,
    /// `list(T)`
    List(Box<Type>),
    /// `set(T)`
    Set(Box<Type>),
    /// `map(T)`
    Map(Box<Type>),
    /// `object({...})`
    Object(Vec<(String, Type)>),
    /// `tuple([...])`
    Tuple(Vec<Type>),
}

/// A type constraint that could not be read.
#[derive(Debug, Error)]
pub enum TypeError {
    /// Not JSON at all.
    #[error("a type constraint is not JSON")]
    Json(#[from] serde_json::Error),
    /// JSON, but no type constraint.
    #[error("`{0}` is not a type constraint")]
    Unknown(String),
    /// Nested deeper than any real type.
    #[error("a type constraint nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Type {
    /// The JSON form used in schemas and beside dynamic values.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool => json!("bool"),
            Self::Number => json!("number"),
            Self::String => json!("string"),
            Self::Dynamic => json!("dynamic"),
            Self::List(element) => json!(["list", element.to_json()]),
            Self::Set(element) => json!(["set", element.to_json()]),
            Self::Map(element) => json!(["map", element.to_json()]),
            Self::Object(attributes) => {
                let attributes: serde_json::Map<_, _> =
                    attributes.iter().map(|(name, kind)| (name.clone(), kind.to_json())).collect();
                json!(["object", attributes])
            }
            Self::Tuple(elements) => {
                let elements: Vec<_> = elements.iter().map(Self::to_json).collect();
                json!(["tuple", elements])
            }
        }
    }

    /// Reads the JSON form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TypeError> {
        Self::read(&serde_json::from_slice(bytes)?, 0)
    }

    pub(crate) fn read(json: &Json, depth: usize) -> Result<Self, TypeError> {
        if depth > MAX_DEPTH {
            return Err(TypeError::TooDeep);
        }
        let unknown = || TypeError::Unknown(super::excerpt(&json.to_string()).into_owned());
        if let Json::String(name) = json {
            return match name.as_str() {
                "bool" => Ok(Self::Bool),
                "number" => Ok(Self::Number),
                "string" => Ok(Self::String),
                "dynamic" => Ok(Self::Dynamic),
                _ => Err(unknown()),
            };
        }
        // An object type may carry a third part, the list of optional
        // attributes, which does not change how a value is read.
        let (kind, argument) = match json.as_array().map(Vec::as_slice) {
            Some([Json::String(kind), argument, ..]) => (kind.as_str(), argument),
            _ => return Err(unknown()),
        };
        let element = || Self::read(argument, depth + 1).map(Box::new);
        match (kind, argument) {
            ("list", _) => Ok(Self::List(element()?)),
            ("set", _) => Ok(Self::Set(element()?)),
            ("map", _) => Ok(Self::Map(element()?)),
            ("object", Json::Object(attributes)) => attributes
                .iter()
                .map(|(name, kind)| Ok((name.clone(), Self::read(kind, depth + 1)?)))
                .collect::<Result<_, _>>()
                .map(Self::Object),
            ("tuple", Json::Array(elements)) => {
                elements.iter().map(|kind| Self::read(kind, depth + 1)).collect::<Result<_, _>>().map(Self::Tuple)
            }
            _ => Err(unknown()),
        }
    }

    /// The name a user knows it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bool => "a bool",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Dynamic => "any value",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map",
            Self::Object(_) => "an object",
            Self::Tuple(_) => "a tuple",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_survives_its_json_form() {
        let kind = Type::Object(vec![
            ("a".into(), Type::List(Box::new(Type::Number))),
            ("b".into(), Type::Tuple(vec![Type::Bool, Type::Dynamic])),
            ("c".into(), Type::Map(Box::new(Type::Set(Box::new(Type::String))))),
        ]);
        let bytes = kind.to_json().to_string();
        assert_eq!(Type::from_json(bytes.as_bytes()).ok(), Some(kind));
    }

    #[test]
    fn optional_attributes_of_an_object_type_are_read() {
        let read = Type::from_json(br#"["object",{"a":"string"},["a"]]"#);
        assert_eq!(read.ok(), Some(Type::Object(vec![("a".into(), Type::String)])));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "1", "\"int\"", "[]", "[\"list\"]", "[\"object\",[]]", "{}"] {
            assert!(Type::from_json(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = "[\"list\",".repeat(100) + "\"bool\"" + &"]".repeat(100);
        assert!(matches!(Type::from_json(deep.as_bytes()), Err(TypeError::TooDeep)));
    }
}
