//! Evidence that nothing was altered.

use serde::{Deserialize, Serialize};

use crate::call::call;

/// The state of one chain of audit events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainCheck {
    /// A workspace's name, or `cluster`.
    pub chain: String,
    pub events: u64,
    /// Hash of the newest event, lower-case hexadecimal.
    pub head: String,
    /// Sequence number of the first event that does not verify, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad: Option<BadEvent>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadEvent {
    pub seq: u64,
    pub reason: String,
}

call! {
    /// Verifies every chain from its first event.
    Post "/v1/audit/verify" VerifyAudit {} -> Vec<ChainCheck>
}
