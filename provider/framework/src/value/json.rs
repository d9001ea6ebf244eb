//! JSON in and out: state files, identities, and hosts that send JSON.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::number::Repr;
use super::{DecodeError, Number, Type, Value};
use crate::path::Step;

/// How deeply a value may nest; a deeper one is refused.
const MAX_DEPTH: usize = 64;

impl Value {
    /// Reads JSON as a value of the type. Attributes of an object that the
    /// type does not have are dropped, and those it lacks are null: state
    /// written by an older or newer release reads this way.
    ///
    /// Numbers are read from their digits, so none is rounded.
    pub fn from_json(bytes: &[u8], kind: &Type) -> Result<Self, DecodeError> {
        let raw: &RawValue =
            serde_json::from_slice(bytes).map_err(|error| DecodeError::new(format!("not JSON: {error}")))?;
        read(raw, kind, 0, false)
    }

    /// The JSON form as text, in which no number is rounded; `None` if any part
    /// is unknown, for which JSON has no form.
    pub fn to_json_text(&self) -> Option<String> {
        let mut out = String::new();
        write(self, &mut out)?;
        Some(out)
    }

    /// The JSON form; `None` if any part is unknown, for which JSON has no form.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::Null => Json::Null,
            Self::Unknown(_) => return None,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Number(number) => number_to_json(number)?,
            Self::String(text) => Json::String(text.clone()),
            Self::List(elements) | Self::Set(elements) => {
                Json::Array(elements.iter().map(Self::to_json).collect::<Option<_>>()?)
            }
            Self::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| Some((key.clone(), value.to_json()?)))
                    .collect::<Option<Map<_, _>>>()?,
            ),
            Self::Dynamic(typed) => {
                let mut both = Map::new();
                both.insert("type".into(), typed.0.to_json());
                both.insert("value".into(), typed.1.to_json()?);
                Json::Object(both)
            }
        })
    }
}

/// Writes what [`Value::to_json`] would, every number with all its digits.
fn write(value: &Value, out: &mut String) -> Option<()> {
    match value {
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::List(elements) | Value::Set(elements) => {
            out.push('[');
            for (position, element) in elements.iter().enumerate() {
                separate(position, out);
                write(element, out)?;
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (position, (key, value)) in entries.iter().enumerate() {
                separate(position, out);
                out.push_str(&Json::from(key.as_str()).to_string());
                out.push(':');
                write(value, out)?;
            }
            out.push('}');
        }
        Value::Dynamic(typed) => {
            out.push_str(&format!("{{\"type\":{},\"value\":", typed.0.to_json()));
            write(&typed.1, out)?;
            out.push('}');
        }
        other => out.push_str(&other.to_json()?.to_string()),
    }
    Some(())
}

fn separate(position: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
}

/// The nearest JSON number that this library holds: exact for integers and
/// doubles, the nearest double for longer decimals.
fn number_to_json(number: &Number) -> Option<Json> {
    match number.repr() {
        Repr::Int(int) => Some(Json::from(*int)),
        Repr::Float(_) | Repr::Decimal(_) => serde_json::Number::from_f64(number.as_f64()).map(Json::Number),
    }
}

/// `of_sender`: the type is one that came with the value.
fn read(raw: &RawValue, kind: &Type, depth: usize, of_sender: bool) -> Result<Value, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::new(format!("nests deeper than {MAX_DEPTH} levels")));
    }
    let text = raw.get();
    if text == "null" {
        return Ok(Value::Null);
    }
    let wrong = || DecodeError::new(format!("{} was expected", kind.name()));
    Ok(match kind {
        Type::Bool => Value::Bool(serde_json::from_str(text).map_err(|_| wrong())?),
        Type::String => Value::String(serde_json::from_str(text).map_err(|_| wrong())?),
        // Older releases may have saved a number as a string.
        Type::Number => {
            let digits = text.trim_matches('"');
            Value::Number(Number::parse(digits).ok_or_else(wrong)?)
        }
        Type::List(element) => Value::List(elements(raw, depth, of_sender, |_| Some(element), wrong)?),
        Type::Set(element) => Value::Set(elements(raw, depth, of_sender, |_| Some(element), wrong)?),
        Type::Tuple(kinds) => {
            let read = elements(raw, depth, of_sender, |index| kinds.get(index), wrong)?;
            if read.len() != kinds.len() {
                return Err(wrong());
            }
            Value::List(read)
        }
        Type::Map(element) => Value::Map(
            entries(text)
                .ok_or_else(wrong)?
                .into_iter()
                .map(|(key, raw)| {
                    let value = read(raw, element, depth + 1, of_sender)
                        .map_err(|error| error.within(Step::Key(key.clone())))?;
                    Ok((key, value))
                })
                .collect::<Result<_, _>>()?,
        ),
        Type::Object(attributes) => {
            let entries = entries(text).ok_or_else(wrong)?;
            // See the reader of MessagePack.
            if of_sender && entries.len() != attributes.len() {
                return Err(DecodeError::new(format!("an object of {} attributes was expected", attributes.len())));
            }
            let attribute = |(name, kind): &(String, Type)| match entries.get(name) {
                Some(raw) => {
                    let step = || Step::Attribute(name.clone().into());
                    Ok((name.clone(), read(raw, kind, depth + 1, of_sender).map_err(|error| error.within(step()))?))
                }
                None => Ok((name.clone(), Value::Null)),
            };
            Value::Map(attributes.iter().map(attribute).collect::<Result<_, _>>()?)
        }
        Type::Dynamic => {
            let entries = entries(text).ok_or_else(wrong)?;
            let (Some(kind), Some(value)) = (entries.get("type"), entries.get("value")) else {
                return Err(wrong());
            };
            let kind = Type::from_json(kind.get().as_bytes()).map_err(|error| DecodeError::new(error.to_string()))?;
            let value = read(value, &kind, depth + 1, true)?;
            Value::Dynamic(Box::new((kind, value)))
        }
    })
}

fn entries(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(text).ok()
}

fn elements<'t>(
    raw: &RawValue,
    depth: usize,
    of_sender: bool,
    kind: impl Fn(usize) -> Option<&'t Type>,
    wrong: impl Fn() -> DecodeError,
) -> Result<Vec<Value>, DecodeError> {
    let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| wrong())?;
    elements
        .into_iter()
        .enumerate()
        .map(|(index, raw)| {
            let kind = kind(index).ok_or_else(&wrong)?;
            read(raw, kind, depth + 1, of_sender).map_err(|error| error.at_index(index))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_of_another_release_is_read_by_the_current_type() {
        let kind = Type::Object(vec![("a".into(), Type::Number), ("new".into(), Type::String)]);
        let value = Value::from_json(br#"{"a": 9007199254740993, "gone": [1]}"#, &kind);
        let expected = Value::from_iter([("a", Value::from(9_007_199_254_740_993_i64)), ("new", Value::Null)]);
        assert_eq!(value.ok(), Some(expected));
    }

    #[test]
    fn a_wrong_type_is_reported_where_it_is() {
        let kind = Type::Object(vec![("a".into(), Type::List(Box::new(Type::Bool)))]);
        let error = Value::from_json(br#"{"a": [true, "x"]}"#, &kind).map_err(|error| error.to_string());
        assert_eq!(error, Err("at `a[1]`: a bool was expected".into()));
    }

    #[test]
    fn a_long_decimal_is_not_rounded() {
        let value = Value::from_json(b"0.12345678901234567890123", &Type::Number);
        assert_eq!(value.ok(), Number::parse("0.12345678901234567890123").map(Value::Number));
    }

    #[test]
    fn deep_nesting_is_refused_without_a_crash() {
        let kind = Type::Dynamic;
        let deep = r#"{"type":"dynamic","value":"#.repeat(500) + "null" + &"}".repeat(500);
        assert!(Value::from_json(deep.as_bytes(), &kind).is_err());
    }
}
