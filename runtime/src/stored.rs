//! What the store holds, and its failures, as the API speaks of them.

use falaj_api::Problem;
use falaj_store::StoreError;

/// A failure of the store, as the caller sees it; the cause goes to the log.
#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub fn store_problem(error: StoreError) -> Problem {
    tracing::error!(%error, "the store failed");
    Problem::internal(format!("the runtime's store failed: {error}"))
}

/// # Errors
/// The value has no form in JSON: a fault of the code's.
pub fn to_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, Problem> {
    serde_json::to_value(value).map_err(|error| Problem::internal(error.to_string()))
}

/// Reads what this release or an older one stored.
///
/// # Errors
/// It is not what any release stored.
pub fn from_json<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> Result<T, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::internal(format!("a stored document cannot be read: {error}")))
}
