//! Labels that come back later, by the id of the request they belong to. Not
//! part of the protocol; `POST /v2/models/{model}/outcomes`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::Error;

/// What turned out to be true about the rows of one request.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Id of the inference request.
    pub id: String,
    /// One per row of the request, in its order.
    pub labels: Vec<Label>,
}

/// A label as a number: true is 1, false is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label(pub f64);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    outcomes: Vec<Outcome>,
}

impl Outcome {
    /// Reads a body: `{"outcomes": [{"id": "...", "labels": [1, 0]}]}`.
    ///
    /// # Errors
    /// If it is not that, or an outcome has no id or no labels.
    pub fn parse(body: &[u8]) -> Result<Vec<Self>, Error> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|e| Error::bad_request(format!("the body is not a list of outcomes: {e}")))?;
        let unusable = |o: &&Self| o.id.is_empty() || o.id.len() > 256 || o.labels.is_empty();
        if let Some(outcome) = body.outcomes.iter().find(unusable) {
            return Err(Error::bad_request(format!(
                "outcome {:?}: it needs the id of an inference request, up to 256 bytes, and one label per row of it",
                outcome.id
            )));
        }
        Ok(body.outcomes)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Label;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a boolean")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Label, E> {
                Ok(Label(u8::from(value).into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Label, E> {
                Ok(Label(value as f64))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Label, E> {
                Ok(Label(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Label, E> {
                Ok(Label(value))
            }
        }
        deserializer.deserialize_any(Number)
    }
}
