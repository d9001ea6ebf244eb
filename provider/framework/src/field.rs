//! Rust types that an attribute may have, and the way to and from [`Value`].

use std::collections::{BTreeMap, BTreeSet};

use crate::path::Step;
use crate::schema::{Kind, Nesting};
use crate::{Attr, AttributePath, Diagnostic, Diagnostics, Number, Type, Value};

/// Why a value could not be read into a Rust type.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// The steps to the value, innermost first.
    steps: Vec<Step>,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq)]
enum Cause {
    Unknown,
    Null,
    Wrong(String),
}

impl FieldError {
    /// The value is not known yet. An [`Attr`] around it becomes unknown.
    pub fn unknown() -> Self {
        Self { steps: Vec::new(), cause: Cause::Unknown }
    }

    /// There is no value.
    pub fn null() -> Self {
        Self { steps: Vec::new(), cause: Cause::Null }
    }

    /// The value is not what the type holds; `expected` is a sentence.
    pub fn wrong(expected: impl Into<String>) -> Self {
        Self { steps: Vec::new(), cause: Cause::Wrong(expected.into()) }
    }

    /// The same, seen from one step further out.
    #[must_use]
    pub fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The message to the user.
    pub fn diagnostic(self) -> Diagnostic {
        let path: AttributePath = self.steps.into_iter().rev().collect();
        match self.cause {
            Cause::Unknown => Diagnostic::error("Value not known yet").detail(
                "This must be known before the change can be planned; it depends on something that is not applied yet.",
            ),
            Cause::Null => Diagnostic::error("Missing value").detail("A value is required here; null was given."),
            Cause::Wrong(expected) => Diagnostic::error("Unsuitable value").detail(expected),
        }
        .at(path)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.cause == Cause::Unknown
    }
}

impl From<FieldError> for Diagnostics {
    fn from(error: FieldError) -> Self {
        error.diagnostic().into()
    }
}

/// A type that an attribute may have.
///
/// A type other than [`Attr`] and [`Option`] has no place for null or unknown:
/// reading either is an error, and an unknown makes the nearest [`Attr`]
/// around it unknown.
pub trait Field: Sized + Clone + Send + Sync + 'static {
    /// Whether an attribute of this type is local by nature:
    /// see [`crate::schema::Attribute::local`].
    const LOCAL: bool = false;

    /// Whether a write-only attribute is inside. A set of such objects does not
    /// compile: elements without their secret cannot be told apart.
    const WRITE_ONLY: bool = false;

    /// What the schema says of it.
    fn kind() -> Kind;

    /// Reads it.
    fn from_value(value: &Value) -> Result<Self, FieldError>;

    /// Writes it.
    fn to_value(&self) -> Value;

    /// The same of what is not needed any more.
    fn into_value(self) -> Value {
        self.to_value()
    }

    /// Whether two spellings mean the same, if that is not plain equality.
    fn same() -> Option<fn(&Value, &Value) -> bool> {
        None
    }
}

/// Fails to compile where `T` has a write-only attribute inside.
const fn no_write_only_in_a_set<T: Field>() -> bool {
    assert!(
        !T::WRITE_ONLY,
        "a write-only attribute cannot be inside a set: elements without their secret cannot be told apart; use a map or a list"
    );
    false
}

/// What stands in the way of reading `value` as a type without null and unknown.
fn unsuitable(value: &Value, expected: &str) -> FieldError {
    match value {
        Value::Unknown(_) => FieldError::unknown(),
        Value::Null => FieldError::null(),
        other => FieldError::wrong(format!("{expected} was expected, {} was given.", other.describe())),
    }
}

impl<T: Field> Field for Attr<T> {
    const LOCAL: bool = T::LOCAL;
    const WRITE_ONLY: bool = T::WRITE_ONLY;

    fn kind() -> Kind {
        T::kind()
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::Null => Ok(Self::Null),
            Value::Unknown(refinement) => Ok(Self::Unknown(refinement.clone())),
            Value::Dynamic(typed) if typed.1.is_null() || typed.1.is_unknown() => Self::from_value(&typed.1),
            known => match T::from_value(known) {
                Ok(read) => Ok(Self::Known(read)),
                Err(error) if error.is_unknown() => Ok(Self::unknown()),
                Err(error) => Err(error),
            },
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Known(value) => value.to_value(),
            Self::Null => Value::Null,
            Self::Unknown(refinement) => Value::Unknown(refinement.clone()),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Known(value) => value.into_value(),
            Self::Null => Value::Null,
            Self::Unknown(refinement) => Value::Unknown(refinement),
        }
    }

    fn same() -> Option<fn(&Value, &Value) -> bool> {
        T::same()
    }
}

impl<T: Field> Field for Option<T> {
    const LOCAL: bool = T::LOCAL;
    const WRITE_ONLY: bool = T::WRITE_ONLY;

    fn kind() -> Kind {
        T::kind()
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::Null => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }

    fn same() -> Option<fn(&Value, &Value) -> bool> {
        T::same()
    }
}

impl Field for String {
    fn kind() -> Kind {
        Kind::Plain(Type::String)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            other => Err(unsuitable(other, "A string")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.clone())
    }

    fn into_value(self) -> Value {
        Value::String(self)
    }
}

impl Field for bool {
    fn kind() -> Kind {
        Kind::Plain(Type::Bool)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::Bool(bool) => Ok(*bool),
            other => Err(unsuitable(other, "A bool")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Field for Number {
    fn kind() -> Kind {
        Kind::Plain(Type::Number)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::Number(number) => Ok(number.clone()),
            other => Err(unsuitable(other, "A number")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.clone())
    }
}

impl Field for f64 {
    fn kind() -> Kind {
        Kind::Plain(Type::Number)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        Number::from_value(value).map(|number| number.as_f64())
    }

    fn to_value(&self) -> Value {
        Value::from(*self)
    }
}

macro_rules! integer_field {
    ($($int:ty),*) => {$(
        impl Field for $int {
            fn kind() -> Kind {
                Kind::Plain(Type::Number)
            }

            fn from_value(value: &Value) -> Result<Self, FieldError> {
                let number = match value {
                    Value::Number(number) => number,
                    other => return Err(unsuitable(other, "A number")),
                };
                let int = number.as_i64().and_then(|int| Self::try_from(int).ok());
                int.or_else(|| number.to_string().parse().ok()).ok_or_else(|| {
                    FieldError::wrong(format!("A whole number from {} to {} was expected, {number} was given.", <$int>::MIN, <$int>::MAX))
                })
            }

            fn to_value(&self) -> Value {
                Value::Number(Number::from(*self))
            }
        }
    )*};
}

integer_field!(i32, i64, u32, u64);

/// A value of any type, decided at run time.
impl Field for Value {
    fn kind() -> Kind {
        Kind::Plain(Type::Dynamic)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        Ok(value.clone())
    }

    fn to_value(&self) -> Value {
        self.clone().into_dynamic()
    }
}

impl<T: Field> Field for Vec<T> {
    const WRITE_ONLY: bool = T::WRITE_ONLY;

    fn kind() -> Kind {
        T::kind().collected(Nesting::List)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::List(elements) => read_elements(elements),
            other => Err(unsuitable(other, "A list")),
        }
    }

    fn to_value(&self) -> Value {
        Value::List(self.iter().map(T::to_value).collect())
    }

    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}

fn read_elements<T: Field>(elements: &[Value]) -> Result<Vec<T>, FieldError> {
    let read = |(index, element): (usize, &Value)| {
        let step = || Step::Index(i64::try_from(index).unwrap_or(i64::MAX));
        T::from_value(element).map_err(|error| error.within(step()))
    };
    elements.iter().enumerate().map(read).collect()
}

impl<T: Field + Ord> Field for BTreeSet<T> {
    const WRITE_ONLY: bool = no_write_only_in_a_set::<T>();

    fn kind() -> Kind {
        T::kind().collected(Nesting::Set)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            // Elements of a set have no address, so an error in one is the set's.
            Value::Set(elements) => elements.iter().map(T::from_value).collect(),
            other => Err(unsuitable(other, "A set")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Set(self.iter().map(T::to_value).collect())
    }
}

/// A set of values that have no order in Rust, nested models among them. A
/// write-only attribute inside does not compile:
///
/// ```compile_fail
/// use tfplugin::{Attr, Model, Set};
///
/// #[derive(Model, Clone)]
/// struct Account {
///     #[attr(optional, write_only)] // Without this it compiles.
///     password_wo: Attr<String>,
/// }
///
/// #[derive(Model, Clone)]
/// struct Database {
///     #[attr(optional)]
///     accounts: Attr<Set<Account>>,
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Set<T>(pub Vec<T>);

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Field> Field for Set<T> {
    const WRITE_ONLY: bool = no_write_only_in_a_set::<T>();

    fn kind() -> Kind {
        T::kind().collected(Nesting::Set)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        match value {
            Value::Set(elements) => elements.iter().map(T::from_value).collect::<Result<_, _>>().map(Self),
            other => Err(unsuitable(other, "A set")),
        }
    }

    fn to_value(&self) -> Value {
        Value::Set(self.0.iter().map(T::to_value).collect())
    }

    fn into_value(self) -> Value {
        Value::Set(self.0.into_iter().map(T::into_value).collect())
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    const WRITE_ONLY: bool = T::WRITE_ONLY;

    fn kind() -> Kind {
        T::kind().collected(Nesting::Map)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        let entries = match value {
            Value::Map(entries) => entries,
            other => return Err(unsuitable(other, "A map")),
        };
        let read = |(key, value): (&String, &Value)| {
            let value = T::from_value(value).map_err(|error| error.within(Step::Key(key.clone())))?;
            Ok((key.clone(), value))
        };
        entries.iter().map(read).collect()
    }

    fn to_value(&self) -> Value {
        Value::Map(self.iter().map(|(key, value)| (key.clone(), value.to_value())).collect())
    }

    fn into_value(self) -> Value {
        Value::Map(self.into_iter().map(|(key, value)| (key, value.into_value())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_element_makes_the_attribute_unknown_and_not_an_error() {
        let value = Value::List(vec![Value::from("a"), Value::unknown()]);
        assert_eq!(Attr::<Vec<String>>::from_value(&value), Ok(Attr::unknown()));
        let kept = Attr::<Vec<Attr<String>>>::from_value(&value);
        assert_eq!(kept, Ok(Attr::Known(vec!["a".into(), Attr::unknown()])));
    }

    #[test]
    fn an_error_names_the_element() {
        let value = Value::from_iter([("k", Value::List(vec![Value::from(1), Value::Null]))]);
        let error = BTreeMap::<String, Vec<i64>>::from_value(&value).map_err(FieldError::diagnostic);
        assert_eq!(error.map_err(|d| d.path.to_string()), Err(r#"["k"][1]"#.into()));
    }

    #[test]
    fn an_integer_out_of_range_says_the_range() {
        let error = u32::from_value(&Value::from(-1)).map_err(FieldError::diagnostic);
        assert!(error.is_err_and(|d| d.detail.contains("from 0 to 4294967295")));
        assert!(i64::from_value(&Value::from(1.5)).is_err());
    }
}
