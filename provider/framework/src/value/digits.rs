//! The digits of JSON numbers that a double cannot hold.
//!
//! Code that rewrites saved state gets it as [`serde_json::Value`], which rounds
//! long numbers. What the code passed on is written with the digits it had.

use std::collections::HashMap;

use serde_json::Value as Json;

/// The numbers of a text as they are written, by the double that each is read
/// as; `None` where several are read as the same.
pub struct Digits<'t>(HashMap<u64, Option<&'t str>>);

impl<'t> Digits<'t> {
    /// Those of a JSON text.
    pub fn of(text: &'t str) -> Self {
        let mut found = HashMap::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
            let Some((token, after)) = rest.get(start..).and_then(split) else {
                break;
            };
            rest = after;
            let rounded = token.parse::<i64>().is_err() && token.parse::<u64>().is_err();
            if let (true, Ok(double)) = (rounded, token.parse::<f64>()) {
                let known = found.entry(double.to_bits()).or_insert(Some(token));
                if *known != Some(token) {
                    *known = None;
                }
            }
        }
        Self(found)
    }

    /// Writes JSON with these digits.
    pub fn write(&self, json: &Json) -> String {
        let mut out = String::new();
        self.put(json, &mut out);
        out
    }

    fn put(&self, json: &Json, out: &mut String) {
        match json {
            Json::Number(number) => {
                let double = number.as_f64().filter(|_| number.is_f64()).map(f64::to_bits);
                match double.and_then(|double| self.0.get(&double).copied().flatten()) {
                    Some(digits) => out.push_str(digits),
                    None => out.push_str(&number.to_string()),
                }
            }
            Json::Array(elements) => {
                out.push('[');
                for (position, element) in elements.iter().enumerate() {
                    separate(position, out);
                    self.put(element, out);
                }
                out.push(']');
            }
            Json::Object(entries) => {
                out.push('{');
                for (position, (key, value)) in entries.iter().enumerate() {
                    separate(position, out);
                    out.push_str(&Json::String(key.clone()).to_string());
                    out.push(':');
                    self.put(value, out);
                }
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }
}

/// A text or a number at the start of `text`, and what follows it.
fn split(text: &str) -> Option<(&str, &str)> {
    if !text.starts_with('"') {
        let end = text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(text.len());
        return text.split_at_checked(end);
    }
    let mut escaped = false;
    let end = text.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at + 1)
    })?;
    text.split_at_checked(end)
}

fn separate(position: usize, out: &mut String) {
    if position > 0 {
        out.push(',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on_keeps_its_digits_and_what_is_new_is_written_as_it_is() {
        let text = r#"{"a":[0.12345678901234567890123,-18446744073709551617,1e2],"b":"0.5 \" 0.99999999999999999999"}"#;
        let mut json: Json = serde_json::from_str(text).expect("JSON");
        json["c"] = 0.25.into();
        let written = Digits::of(text).write(&json);
        let expected = text.trim_end_matches('}').to_owned() + ",\"c\":0.25}";
        assert_eq!(written, expected);
    }

    #[test]
    fn of_two_numbers_that_are_read_as_one_neither_is_taken_for_the_other() {
        let text = "[0.1000000000000000000001,0.1000000000000000000002]";
        let json: Json = serde_json::from_str(text).expect("JSON");
        assert_eq!(Digits::of(text).write(&json), "[0.1,0.1]");
    }

    #[test]
    fn a_text_that_ends_too_soon_is_read_to_there() {
        for text in ["\"abc", "\"a\\", "-", "", "[1.5,\""] {
            drop(Digits::of(text).write(&Json::Null));
        }
    }
}
