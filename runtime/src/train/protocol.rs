//! What the server and `falaj train` say to each other, in frames of
//! [`crate::pipe`] over its standard input and output.

use std::collections::BTreeMap;

use falaj_api::{
    feature_store::FeatureStoreSpec,
    model::{Parity, Signature, Training},
};
use serde::{Deserialize, Serialize};

/// From the server: the sources first, then the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToTrain {
    /// The bytes of a feature store's source, as payload.
    Source {
        feature_store: String,
        spec: Box<FeatureStoreSpec>,
    },
    Run {
        training: Box<Training>,
        now_micros: i64,
    },
}

/// From `falaj train`: progress, then artifacts and `Done`, or `Failed`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromTrain {
    Progress {
        percent: f64,
        message: String,
    },
    /// Bytes as payload.
    Artifact {
        name: String,
    },
    Done {
        signature: Signature,
        metrics: BTreeMap<String, f64>,
        fairness: BTreeMap<String, Parity>,
        architecture: String,
    },
    /// The data or the declaration is at fault: trying again will not help.
    Failed {
        reason: String,
    },
}

/// Names of the artifacts of a version.
pub const NATIVE: &str = "model.safetensors";
pub const ONNX: &str = "model.onnx";
/// Arrow IPC file: what later traffic is compared with.
pub const BASELINE: &str = "baseline.arrow";
