//! An endpoint: variants of models behind one address.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Kind, call::call};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint;

impl Kind for Endpoint {
    const NAME: &'static str = "endpoint";
    const PATH: &'static str = "/v1/workspaces/{workspace}/endpoints/{name}";
    const LIST_PATH: &'static str = "/v1/workspaces/{workspace}/endpoints";
    type Spec = EndpointSpec;
    type Status = EndpointStatus;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    pub variants: BTreeMap<String, Variant>,
    /// Pods that answer, each with all variants; one process on one machine.
    #[serde(default = "one")]
    pub replicas: u32,
    #[serde(default)]
    pub capture: Option<Capture>,
    /// Further applications that may call it, besides the one named after the endpoint.
    #[serde(default)]
    pub invokers: BTreeSet<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}

/// One model behind the endpoint. It follows a version or an alias, not both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name of the model, in the same workspace.
    pub model: String,
    #[serde(default)]
    pub version: Option<u32>,
    #[serde(default)]
    pub alias: Option<String>,
    /// Share of the traffic, in percent; those of an endpoint add up to 100.
    #[serde(default)]
    pub weight: Option<u32>,
    /// Sees the traffic; its answers go to the capture only.
    #[serde(default)]
    pub shadow: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capture {
    pub sampling_percent: f64,
}

/// Where the endpoint answers and what a caller needs; paths are on the
/// machine of a local cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointStatus {
    /// `https://127.0.0.1:PORT`: base of `/v2/models/<endpoint>/infer`.
    pub url: String,
    pub ca_file: String,
    /// Certificate and key of the application named after the endpoint: it may
    /// call this endpoint and nothing else.
    pub client_cert_file: String,
    pub client_key_file: String,
    /// On Kubernetes, the Secret that holds the same three as ca.crt, tls.crt
    /// and tls.key: `<namespace>/<name>`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_secret: String,
    /// Why the newest declaration cannot be served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What an endpoint serves now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    pub ready: bool,
    /// Version by variant; absent while an alias is not set.
    pub versions: BTreeMap<String, u32>,
    /// Why it is not ready, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

call! {
    /// Says what an endpoint serves now.
    Get "/v1/workspaces/{workspace}/endpoints/{endpoint}/serving" GetServing { workspace: String, endpoint: String } -> Serving
}
