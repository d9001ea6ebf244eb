//! What a policy needs to know of an object, the same at plan and at admission.

use serde::{Deserialize, Serialize};

use crate::{Duration, KmsKey, Region, feature_store::Classification};

/// Facts a policy decides on. A leaf is `None` exactly when it does not apply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Posture {
    pub region: String,
    pub jurisdiction: String,
    pub classification: Option<String>,
    pub kms_key_uri: Option<String>,
    pub key_region: Option<String>,
    /// Whether it answers to callers outside of the machine or the cluster.
    pub public: bool,
    pub retention: Option<String>,
    pub estimated_monthly_cost: Option<f64>,
    pub currency: Option<String>,
    /// Every leaf that applies is known.
    pub complete: bool,
}

/// What a posture is computed from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub region: &'a Region,
    pub kms_key: Option<&'a KmsKey>,
    pub classification: Option<Classification>,
    pub retention: Option<Duration>,
    /// Whether the object runs on hardware the customer owns, at no further cost.
    pub own_hardware: bool,
}

impl Posture {
    #[must_use]
    pub fn of(facts: &Facts<'_>) -> Self {
        let key_region = facts.kms_key.and_then(|key| key.effective_region().ok());
        Self {
            region: facts.region.to_string(),
            jurisdiction: facts.region.jurisdiction().to_owned(),
            classification: facts.classification.map(|class| class.as_str().to_owned()),
            kms_key_uri: facts.kms_key.map(|key| key.uri.to_string()),
            key_region: key_region.map(ToString::to_string),
            public: false,
            retention: facts.retention.map(|duration| duration.to_string()),
            estimated_monthly_cost: facts.own_hardware.then_some(0.0),
            currency: facts.own_hardware.then(|| "USD".to_owned()),
            complete: true,
        }
    }
}
