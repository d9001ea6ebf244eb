//! Values of the Terraform language as they cross the wire.

mod digits;
mod json;
mod msgpack;
mod number;
mod refinement;
mod types;

use std::collections::BTreeMap;

use thiserror::Error;

pub(crate) use digits::Digits;
pub use number::Number;
pub use refinement::Refinement;
pub use types::{Type, TypeError};

use crate::path::{AttributePath, Step};

/// A value, with whatever is not known of it.
#[derive(Debug, Clone)]
pub enum Value {
    /// No value.
    Null,
    /// A value that will only be known after apply.
    Unknown(Refinement),
    /// `true` or `false`.
    Bool(bool),
    /// A number of any precision.
    Number(Number),
    /// A text.
    String(String),
    /// A list or a tuple.
    List(Vec<Value>),
    /// A set; the order of the elements means nothing.
    Set(Vec<Value>),
    /// A map or an object.
    Map(BTreeMap<String, Value>),
    /// A value under a `dynamic` constraint, with the type it turned out to have.
    Dynamic(Box<(Type, Value)>),
}

/// A value from the wire that does not have the type its schema promises.
#[derive(Debug, Error)]
#[error("at `{}`: {problem}", self.path())]
pub struct DecodeError {
    /// The steps to the place, innermost first: they are added on the way out,
    /// so that reading a good value costs nothing for them.
    steps: Vec<Step>,
    /// What is wrong there.
    pub problem: String,
}

/// As much of a text from outside as a message should repeat.
fn excerpt(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

impl DecodeError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { steps: Vec::new(), problem: problem.into() }
    }

    pub(crate) fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn at_index(self, index: usize) -> Self {
        self.within(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// Where in the value.
    pub fn path(&self) -> AttributePath {
        self.steps.iter().rev().cloned().collect()
    }
}

impl Value {
    /// An unknown value of which nothing is known.
    pub fn unknown() -> Self {
        Self::Unknown(Refinement::none())
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is itself unknown; its parts may be even if it is not.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Dynamic(typed) => typed.1.is_unknown(),
            _ => false,
        }
    }

    /// Whether neither it nor any part of it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown(_) => false,
            Self::List(elements) | Self::Set(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(entries) => entries.values().all(Self::is_wholly_known),
            Self::Dynamic(typed) => typed.1.is_wholly_known(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
        }
    }

    /// The entries of a known map or object.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text of a known string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An entry of a known map or object; null if there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.as_map().and_then(|entries| entries.get(name)).unwrap_or(&Value::Null)
    }

    /// The same with every unknown part turned into null.
    #[must_use]
    pub fn nulls_for_unknowns(self) -> Self {
        match self {
            Self::Unknown(_) => Self::Null,
            Self::List(elements) => Self::List(elements.into_iter().map(Self::nulls_for_unknowns).collect()),
            Self::Set(elements) => Self::Set(elements.into_iter().map(Self::nulls_for_unknowns).collect()),
            Self::Map(entries) => {
                Self::Map(entries.into_iter().map(|(key, value)| (key, value.nulls_for_unknowns())).collect())
            }
            Self::Dynamic(typed) => Self::Dynamic(Box::new((typed.0, typed.1.nulls_for_unknowns()))),
            known => known,
        }
    }

    /// The value as one under a `dynamic` constraint: with the type that it has
    /// by itself. A list becomes a tuple and a map an object, as in a
    /// configuration; a value that carries its type keeps it.
    #[must_use]
    pub fn into_dynamic(self) -> Self {
        match self {
            Self::Null | Self::Unknown(_) | Self::Dynamic(_) => self,
            known => Self::Dynamic(Box::new(known.with_type())),
        }
    }

    fn with_type(self) -> (Type, Self) {
        match self {
            Self::Null | Self::Unknown(_) => (Type::Dynamic, self),
            Self::Bool(_) => (Type::Bool, self),
            Self::Number(_) => (Type::Number, self),
            Self::String(_) => (Type::String, self),
            Self::Dynamic(typed) => *typed,
            Self::List(elements) => {
                let (kinds, elements) = elements.into_iter().map(Self::with_type).unzip();
                (Type::Tuple(kinds), Self::List(elements))
            }
            Self::Set(elements) => {
                let (kinds, elements): (Vec<_>, Vec<_>) = elements.into_iter().map(Self::with_type).unzip();
                match kinds.first() {
                    Some(first) if kinds.iter().all(|kind| kind == first) => {
                        (Type::Set(Box::new(first.clone())), Self::Set(elements))
                    }
                    None => (Type::Set(Box::new(Type::Dynamic)), Self::Set(elements)),
                    // A set has elements of one type.
                    Some(_) => (Type::Tuple(kinds), Self::List(elements)),
                }
            }
            Self::Map(entries) => {
                let mut kinds = Vec::with_capacity(entries.len());
                let mut typed = BTreeMap::new();
                for (name, value) in entries {
                    let (kind, value) = value.with_type();
                    kinds.push((name.clone(), kind));
                    typed.insert(name, value);
                }
                (Type::Object(kinds), Self::Map(typed))
            }
        }
    }

    /// What to call it in a message about a value of the wrong type.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Unknown(_) => "a value known only after apply",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Set(_) => "a set",
            Self::Map(_) => "a map or object",
            Self::Dynamic(_) => "a dynamic value",
        }
    }
}

/// Equality of what the values are. Sets are equal in any order; unknowns are
/// equal if the same is known of them.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Unknown(a), Self::Unknown(b)) => a == b,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Set(a), Self::Set(b)) => a == b || same_elements(a, b),
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Dynamic(a), Self::Dynamic(b)) => a == b,
            _ => false,
        }
    }
}

fn same_elements(a: &[Value], b: &[Value]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut left: Vec<&Value> = b.iter().collect();
    a.iter().all(|element| {
        let found = left.iter().position(|other| *other == element);
        found.map(|position| left.swap_remove(position)).is_some()
    })
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Number(int.into())
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        Self::Number(int.into())
    }
}

impl From<f64> for Value {
    /// The number a person means; infinities and NaN become null.
    fn from(float: f64) -> Self {
        Number::from_f64(float).map_or(Self::Null, Self::Number)
    }
}

impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gets_the_type_it_has_by_itself_and_survives_the_wire_with_it() {
        let inner = Value::Dynamic(Box::new((Type::List(Box::new(Type::Bool)), Value::List(vec![true.into()]))));
        let value = Value::from_iter([
            ("a", Value::List(vec![Value::from("x"), Value::from(1), Value::Null])),
            ("b", inner),
            ("c", Value::Set(vec![Value::from(1), Value::from(2)])),
        ]);
        let dynamic = value.into_dynamic();
        let kind = serde_json::json!([
            "object",
            { "a": ["tuple", ["string", "number", "dynamic"]], "b": ["list", "bool"], "c": ["set", "number"] }
        ]);
        assert!(matches!(&dynamic, Value::Dynamic(typed) if typed.0.to_json() == kind), "{dynamic:?}");
        assert_eq!(Value::from_msgpack(&dynamic.to_msgpack(), &Type::Dynamic).ok(), Some(dynamic.clone()));
        assert_eq!(dynamic.clone().into_dynamic(), dynamic);
    }

    #[test]
    fn sets_are_equal_in_any_order_but_count_their_elements() {
        let set = |texts: &[&str]| Value::Set(texts.iter().map(|text| Value::from(*text)).collect());
        assert_eq!(set(&["a", "b"]), set(&["b", "a"]));
        assert_ne!(set(&["a", "a"]), set(&["a", "b"]));
        assert_ne!(set(&["a"]), set(&["a", "b"]));
    }
}
