//! A cluster: one runtime, in one region, under one key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Kind, KmsKey, Region, Residency, call::call};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster;

impl Kind for Cluster {
    const NAME: &'static str = "cluster";
    const PATH: &'static str = "/v1/clusters/{name}";
    const LIST_PATH: &'static str = "/v1/clusters";
    type Spec = ClusterSpec;
    type Status = ClusterStatus;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterSpec {
    pub region: Region,
    /// `None` only where the user wrote `residency = null` and no rule is known.
    #[serde(default)]
    pub residency: Option<Residency>,
    pub kms_key: KmsKey,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    pub runtime_version: String,
    /// Whether the key is held by the host itself (`host`) or by a service.
    pub key_custody: String,
    /// Identifies the machine of a local cluster.
    pub machine_id: String,
}

/// What is running: asked before anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeVersion {
    /// Release of the runtime, semantic version.
    pub version: String,
    pub cluster: String,
    pub cluster_uid: String,
    pub machine_id: String,
}

call! {
    /// Says what is running.
    Get "/version" GetRuntimeVersion {} -> RuntimeVersion
}
