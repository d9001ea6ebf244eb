//! Durations in Prometheus form, and the `timeouts` attribute.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::schema::{Attribute, Kind, Mode};
use crate::{Attr, Field, FieldError, Model, Type, Value};

/// A span of time as a user writes it: `90s`, `1h30m`, `30d`.
///
/// The units are those of Prometheus: `y` (365 days), `w`, `d`, `h`, `m`, `s`,
/// `ms`, from the largest to the smallest, each at most once. Equal spans in
/// other words (`60m`, `1h`) are no change: the prior spelling is kept.
#[derive(Debug, Clone)]
pub struct Span {
    text: String,
    duration: Duration,
}

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3600 * 1000),
    ("w", 7 * 24 * 3600 * 1000),
    ("d", 24 * 3600 * 1000),
    ("h", 3600 * 1000),
    ("m", 60 * 1000),
    ("s", 1000),
    ("ms", 1),
];

impl Span {
    /// Its length.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn millis(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    let mut next_unit = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (count, tail) = rest.split_at(digits);
        let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        let position = UNITS.iter().position(|(name, _)| *name == unit)?;
        if position < next_unit {
            return None;
        }
        next_unit = position + 1;
        let (_, length) = UNITS.get(position)?;
        total = total.checked_add(count.parse::<u64>().ok()?.checked_mul(*length)?)?;
        rest = tail;
    }
    Some(total)
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = match text {
            "" => None,
            "0" => Some(0),
            text => millis(text),
        };
        match duration {
            Some(duration) => Ok(Self { text: text.to_owned(), duration: Duration::from_millis(duration) }),
            None => Err(format!(
                "A duration such as `90s`, `1h30m` or `30d` was expected (units y, w, d, h, m, s, ms, the largest first); `{text}` was given."
            )),
        }
    }
}

impl From<Duration> for Span {
    /// In the largest units up to days that are exact, to the millisecond: `1h30m`.
    fn from(duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut rest = millis;
        let mut text = String::new();
        for (unit, length) in UNITS.iter().filter(|(unit, _)| !matches!(*unit, "y" | "w")) {
            if rest >= *length {
                text.push_str(&format!("{}{unit}", rest / length));
                rest %= length;
            }
        }
        if text.is_empty() {
            text.push('0');
        }
        Self { text, duration: Duration::from_millis(millis) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        self.duration == other.duration
    }
}

fn same_length(a: &Value, b: &Value) -> bool {
    let length = |value: &Value| value.as_str().and_then(|text| text.parse::<Span>().ok());
    match (length(a), length(b)) {
        (Some(a), Some(b)) => a == b,
        _ => false,
    }
}

impl Field for Span {
    fn kind() -> Kind {
        Kind::Plain(Type::String)
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        String::from_value(value)?.parse().map_err(FieldError::wrong)
    }

    fn to_value(&self) -> Value {
        Value::String(self.text.clone())
    }

    fn same() -> Option<fn(&Value, &Value) -> bool> {
        Some(same_length)
    }
}

/// The `timeouts` attribute: how long each operation may take.
///
/// Give it to a model as `#[attr(optional)] timeouts: Attr<Timeouts>`, and the
/// defaults by [`crate::Resource::default_timeouts`]. Changing it calls nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeouts {
    /// For create.
    pub create: Attr<Span>,
    /// For read.
    pub read: Attr<Span>,
    /// For update.
    pub update: Attr<Span>,
    /// For delete.
    pub delete: Attr<Span>,
}

impl Model for Timeouts {
    const DESCRIPTION: &'static str = "How long each operation may take.";

    fn attributes() -> Vec<Attribute> {
        let attribute = |name, description| {
            let mut attribute = Attribute::new(name, Span::kind(), Mode::Optional);
            attribute.description = description;
            attribute.same = Some(same_length);
            attribute
        };
        vec![
            attribute("create", "How long creating may take."),
            attribute("read", "How long reading may take."),
            attribute("update", "How long updating may take."),
            attribute("delete", "How long deleting may take."),
        ]
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        Ok(Self {
            create: crate::model::read_attribute(value, "create")?,
            read: crate::model::read_attribute(value, "read")?,
            update: crate::model::read_attribute(value, "update")?,
            delete: crate::model::read_attribute(value, "delete")?,
        })
    }

    fn to_value(&self) -> Value {
        Value::from_iter([
            ("create", self.create.to_value()),
            ("read", self.read.to_value()),
            ("update", self.update.to_value()),
            ("delete", self.delete.to_value()),
        ])
    }
}

impl Field for Timeouts {
    const LOCAL: bool = true;

    fn kind() -> Kind {
        Kind::Nested(crate::schema::Nesting::Single, Self::attributes())
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        Model::from_value(value)
    }

    fn to_value(&self) -> Value {
        Model::to_value(self)
    }
}

/// The defaults of a resource's operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultTimeouts {
    /// For create.
    pub create: Duration,
    /// For read.
    pub read: Duration,
    /// For update.
    pub update: Duration,
    /// For delete.
    pub delete: Duration,
}

impl DefaultTimeouts {
    /// The same for every operation but read, which has 5 minutes.
    pub const fn all(duration: Duration) -> Self {
        Self { create: duration, read: Duration::from_secs(300), update: duration, delete: duration }
    }
}

impl DefaultTimeouts {
    /// That of the operation with this name in [`Timeouts`].
    pub(crate) fn of(&self, operation: &str) -> Option<Duration> {
        match operation {
            "create" => Some(self.create),
            "read" => Some(self.read),
            "update" => Some(self.update),
            "delete" => Some(self.delete),
            _ => None,
        }
    }
}

impl Default for DefaultTimeouts {
    /// 20 minutes, and 5 to read.
    fn default() -> Self {
        Self::all(Duration::from_secs(1200))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_durations_are_read() {
        for (text, seconds) in
            [("90s", 90.0), ("1h30m", 5400.0), ("30d", 2_592_000.0), ("50ms", 0.05), ("0", 0.0), ("1y", 31_536_000.0)]
        {
            assert_eq!(text.parse::<Span>().map(|span| span.duration().as_secs_f64()), Ok(seconds), "{text}");
        }
        for bad in ["", "1", "h", "1m1h", "1h1h", "1.5h", "-1s", "1 h", "99999999999999999999y"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_length_is_written_as_it_is_read() {
        for text in ["90d", "1d1h", "1h30m", "10m", "50ms", "0"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(Span::from(span.duration()).as_str(), text);
        }
    }

    #[test]
    fn equal_lengths_in_other_words_are_the_same() {
        assert!(same_length(&Value::from("60m"), &Value::from("1h")));
        assert!(!same_length(&Value::from("60m"), &Value::from("2h")));
        assert!(!same_length(&Value::from("x"), &Value::from("x")));
    }
}
