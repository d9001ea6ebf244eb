//! Rules for configured values, for `#[attr(validate = [...])]`.
//!
//! A rule sees only known, non-null values. Its failure is a sentence that
//! says what would be right; the attribute's path is added.

use crate::schema::Validator;
use crate::{Number, Value};

/// One of the given texts.
pub fn one_of<const N: usize>(choices: [&'static str; N]) -> Validator {
    Validator::new(move |value| match value {
        Value::String(text) if !choices.contains(&text.as_str()) => {
            Err(format!("must be one of {}; `{text}` was given", quoted(&choices)))
        }
        _ => Ok(()),
    })
}

fn quoted(choices: &[&str]) -> String {
    choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ")
}

/// Not an empty text or collection.
pub fn not_empty() -> Validator {
    Validator::new(|value| match value {
        Value::String(text) if text.is_empty() => Err("must not be empty".into()),
        Value::List(elements) | Value::Set(elements) if elements.is_empty() => {
            Err("must have at least one element".into())
        }
        Value::Map(entries) if entries.is_empty() => Err("must have at least one entry".into()),
        _ => Ok(()),
    })
}

/// A name of lower-case letters, digits and dashes that begins with a letter,
/// does not end in a dash and has at most `longest` characters: a DNS label
/// (RFC 1123) if `longest` is 63.
pub fn name(longest: usize) -> Validator {
    Validator::new(move |value| match value {
        Value::String(text) if !is_name(text, longest) => Err(format!(
            "must be 1 to {longest} lower-case letters, digits and dashes, begin with a letter and not end in a dash; `{text}` was given"
        )),
        _ => Ok(()),
    })
}

fn is_name(text: &str, longest: usize) -> bool {
    text.len() <= longest
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A number from `least` to `most`, both included.
pub fn range(least: impl Into<f64>, most: impl Into<f64>) -> Validator {
    let (least, most) = (least.into(), most.into());
    Validator::new(move |value| match value {
        Value::Number(number) if !in_range(number, least, most) => {
            Err(format!("must be from {least} to {most}; {number} was given"))
        }
        _ => Ok(()),
    })
}

fn in_range(number: &Number, least: f64, most: f64) -> bool {
    (least..=most).contains(&number.as_f64())
}

/// A text or collection of `least` to `most` characters or elements.
pub fn length(least: usize, most: usize) -> Validator {
    Validator::new(move |value| {
        let (length, what) = match value {
            Value::String(text) => (text.chars().count(), "characters"),
            Value::List(elements) | Value::Set(elements) => (elements.len(), "elements"),
            Value::Map(entries) => (entries.len(), "entries"),
            _ => return Ok(()),
        };
        if (least..=most).contains(&length) {
            return Ok(());
        }
        Err(format!("must have {least} to {most} {what}; {length} were given"))
    })
}

/// The same rule for each element of a collection.
pub fn each(rule: Validator) -> Validator {
    Validator::new(move |value| match value {
        Value::List(elements) | Value::Set(elements) => elements.iter().try_for_each(|element| rule.check(element)),
        Value::Map(entries) => entries
            .iter()
            .try_for_each(|(key, element)| rule.check(element).map_err(|problem| format!("{problem} (at `{key}`)"))),
        _ => Ok(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_what_would_be_right() {
        let problem = one_of(["a", "b"]).check(&Value::from("c"));
        assert_eq!(problem, Err("must be one of `a`, `b`; `c` was given".into()));
        assert_eq!(one_of(["a"]).check(&Value::unknown()), Ok(()));
        assert!(range(0, 100).check(&Value::from(100.5)).is_err());
        assert!(range(0, 100).check(&Value::from(100)).is_ok());
        assert!(each(not_empty()).check(&Value::List(vec![Value::from("")])).is_err());
        assert!(length(1, 2).check(&Value::from("سلا")).is_err());
    }

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "people", "ml-7"] {
            assert!(name(63).check(&Value::from(good)).is_ok(), "{good}");
        }
        for bad in ["", "A", "7a", "-a", "a-", "a_b", "ä"] {
            assert!(name(63).check(&Value::from(bad)).is_err(), "{bad}");
        }
    }
}
