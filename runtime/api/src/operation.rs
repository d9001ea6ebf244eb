//! Long work, which survives the process that started it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Problem, call::call};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    pub id: String,
    /// Such as `train`.
    pub kind: String,
    /// Id of the object it works on.
    pub target: String,
    pub state: OperationState,
    /// Rises when the work is started again, after a crash.
    pub attempt: i64,
    pub progress_percent: f64,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

call! {
    /// Reads an operation.
    Get "/v1/operations/{operation}" GetOperation { operation: String } -> Operation
}

call! {
    /// Stops an operation's work; its object stays as it was.
    Post "/v1/operations/{operation}/cancel" CancelOperation { operation: String } -> Operation
}
