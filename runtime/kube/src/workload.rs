//! The pods that the control plane runs: what those of serving and of training
//! have in common.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::labels;

/// Where a pod finds its certificate.
pub const IDENTITY_DIR: &str = "/var/run/falaj/identity";

/// The cluster that pods belong to, and how they are run there.
#[derive(Clone, Debug)]
pub struct Site {
    pub cluster: String,
    pub namespace: String,
    /// By digest.
    pub image: String,
    pub image_pull_secrets: Vec<String>,
    pub service_account: String,
    /// Where pods dial the server, `HOST:PORT`.
    pub control: String,
    /// Labels that a node must have, each with the values that are allowed: the
    /// regions of the residency rule.
    pub nodes: BTreeMap<String, Vec<String>>,
}

/// What a pod asks for: Kubernetes quantities by resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resources {
    pub requests: BTreeMap<String, String>,
    pub limits: BTreeMap<String, String>,
}

/// Nodes that a pod may also, or must, be on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Nodes {
    /// Labels that the node must have.
    pub selector: BTreeMap<String, String>,
    /// Taints that are put up with, as in a pod's `tolerations`.
    pub tolerations: Vec<Value>,
}

impl Resources {
    /// Of CPU and memory, with the memory as limit.
    #[must_use]
    pub fn new(cpu: &str, memory: &str) -> Self {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self { requests: [pair("cpu", cpu), pair("memory", memory)].into(), limits: [pair("memory", memory)].into() }
    }

    /// With so many accelerators.
    #[must_use]
    pub fn with_gpus(mut self, gpus: u32) -> Self {
        if gpus > 0 {
            for side in [&mut self.requests, &mut self.limits] {
                side.insert("nvidia.com/gpu".to_owned(), gpus.to_string());
            }
        }
        self
    }
}

/// The secret with which a pod proves what it is for.
#[must_use]
pub fn identity(
    site: &Site,
    name: &str,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
    files: &[(&str, &str)],
) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(site.namespace.clone()),
            labels: Some(labels.clone()),
            annotations: Some(annotations.clone()),
            ..ObjectMeta::default()
        },
        data: Some(
            files.iter().map(|(name, text)| ((*name).to_owned(), ByteString(text.as_bytes().to_vec()))).collect(),
        ),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// A pod of one container, as strict as the `restricted` pod security standard.
pub(crate) fn pod(
    site: &Site,
    container: Value,
    identity: &str,
    nodes: &Nodes,
    labels: &BTreeMap<String, String>,
) -> Value {
    let mut container = container;
    let common = json!({
        "image": site.image,
        "env": [{ "name": "POD_NAME", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    merge(&mut container, common);
    let expressions: Vec<Value> =
        site.nodes.iter().map(|(key, values)| json!({ "key": key, "operator": "In", "values": values })).collect();
    let mut spec = json!({
        "serviceAccountName": site.service_account,
        // It has a certificate of its own and asks Kubernetes nothing.
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "nodeSelector": nodes.selector,
        "tolerations": nodes.tolerations,
        "containers": [container],
        "volumes": [{ "name": "identity", "secret": { "secretName": identity, "defaultMode": 288 } }],
    });
    if !expressions.is_empty() {
        merge(
            &mut spec,
            json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{ "matchExpressions": expressions }],
            } } } }),
        );
    }
    if !site.image_pull_secrets.is_empty() {
        let names: Vec<Value> = site.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
        merge(&mut spec, json!({ "imagePullSecrets": names }));
    }
    json!({ "metadata": { "labels": labels }, "spec": spec })
}

/// Adds the fields of `other`; lists are appended to.
pub(crate) fn merge(object: &mut Value, other: Value) {
    match (object, other) {
        (Value::Object(object), Value::Object(other)) => {
            for (name, value) in other {
                merge(object.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(list), Value::Array(more)) => list.extend(more),
        (object, other) => *object = other,
    }
}

/// A typed object from what was written here as JSON.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, crate::KubeError> {
    let object = format!("{} {}", value["kind"].as_str().unwrap_or("?"), value["metadata"]["name"]);
    serde_json::from_value(value).map_err(|error| crate::KubeError::Failed {
        verb: "write",
        object,
        reason: error.to_string(),
    })
}

/// A name within Kubernetes' 63 characters: readable, and unique by the uid.
#[must_use]
pub fn name(readable: &str, uid: &str) -> String {
    let readable: String = readable.chars().take(50).collect();
    let short: String = uid.chars().filter(char::is_ascii_alphanumeric).take(10).collect();
    format!("{}-{short}", readable.trim_matches('-'))
}

/// The labels of what belongs to one thing, such as an endpoint.
pub(crate) fn labelled(site: &Site, component: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut all = labels::of(&site.cluster, component);
    all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all
}

#[cfg(test)]
pub(crate) fn site() -> Site {
    Site {
        cluster: "retail".into(),
        namespace: "falaj-retail".into(),
        image: "registry.example.ae/falaj@sha256:00".into(),
        image_pull_secrets: vec!["registry".into()],
        service_account: "falaj-workload".into(),
        control: "10.0.0.1:4443".into(),
        nodes: [("topology.kubernetes.io/region".to_owned(), vec!["dubai-1".to_owned()])].into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{merge, name};

    #[test]
    fn names_are_short_and_differ_by_uid() {
        let long = name(&"a".repeat(80), "018f-1234567890");
        assert_eq!(long.len(), 61);
        assert_ne!(name("people-employed", "018f-1"), name("people-employed", "018f-2"));
    }

    #[test]
    fn merging_keeps_what_was_there() {
        let mut object = json!({ "a": { "b": 1 }, "list": [1] });
        merge(&mut object, json!({ "a": { "c": 2 }, "list": [2] }));
        assert_eq!(object, json!({ "a": { "b": 1, "c": 2 }, "list": [1, 2] }));
    }
}
