//! What a caller is told when a request cannot be answered.

use http::StatusCode;

/// A refusal in the protocol's shape: `{"error": "..."}` and a status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub status: StatusCode,
    pub message: String,
}

impl Error {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 400 about one input.
    pub fn input(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::bad_request(format!("input {name:?}: {problem}"))
    }

    /// The body of the reply.
    pub fn body(&self) -> Vec<u8> {
        serde_json::json!({ "error": self.message }).to_string().into_bytes()
    }
}
