//! Errors on the wire: RFC 9457 problem documents.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong with a request. `type` is a URN of the rule or condition,
/// stable across releases; `detail` says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// JSON pointer into the request, where one field is at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}

impl Problem {
    #[must_use]
    pub fn new(status: u16, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:falaj:{kind}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            pointer: None,
        }
    }

    #[must_use]
    pub fn invalid(pointer: &str, detail: impl Into<String>) -> Self {
        Self { pointer: Some(pointer.to_owned()), ..Self::new(422, "invalid", "The request is not valid", detail) }
    }

    #[must_use]
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(404, "not-found", "Not found", format!("{what} does not exist"))
    }

    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "conflict", "The request conflicts with what is there", detail)
    }

    /// A rule (residency, role) forbids it.
    #[must_use]
    pub fn refused(rule: &str, detail: impl Into<String>) -> Self {
        Self::new(403, rule, "Refused", detail)
    }

    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(500, "internal", "The runtime failed", detail)
    }

    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.kind.strip_prefix("urn:falaj:") == Some(kind)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}
