//! Everything that a cluster's control plane is on Kubernetes, as objects.

mod network;
mod rbac;
mod server;
mod storage;

use std::collections::BTreeMap;
use std::net::IpAddr;

use falaj_api::local::Seed;
use k8s_openapi::api::core::v1::{LimitRange, Namespace, ResourceQuota};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::labels;
use crate::objects::{Object, Untyped};
use crate::settings::Settings;

/// What is declared of a control plane.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    pub seed: Seed,
    pub settings: Settings,
    /// Whether the namespace is Falaj's own, to make and to delete.
    pub owns_namespace: bool,
    /// Class of the volume; `None` is the cluster's default.
    pub storage_class: Option<String>,
    /// A quantity, such as `10Gi`.
    pub storage_size: String,
    pub requests: BTreeMap<String, String>,
    pub limits: BTreeMap<String, String>,
    pub service_account_annotations: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
    /// Secrets whose keys become variables.
    pub environment_secrets: Vec<String>,
    /// Secret whose keys become key files.
    pub key_secret: Option<String>,
    /// Where pods may connect to, besides each other and the API server.
    pub egress_cidrs: Vec<String>,
    /// Where the API server answers.
    pub api_server: Vec<(IpAddr, u16)>,
    /// `hard` of a ResourceQuota; none if it is empty.
    pub quota: BTreeMap<String, String>,
    /// What containers get that say nothing; none if both are empty.
    pub default_limits: BTreeMap<String, String>,
    pub default_requests: BTreeMap<String, String>,
}

impl ControlPlane {
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.seed.name
    }

    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    /// The objects in the order in which they are made; they are deleted in the
    /// opposite one.
    #[must_use]
    pub fn objects(&self) -> Vec<Untyped> {
        let mut objects = Vec::new();
        if self.owns_namespace {
            objects.push(self.namespace_object());
        }
        objects.push(self.seed_secret());
        objects.extend(self.bounds());
        objects.extend(self.accounts());
        objects.extend(self.network_policies());
        objects.push(self.claim());
        objects.push(self.service());
        objects.push(self.disruption_budget());
        objects.push(self.stateful_set());
        objects
    }

    /// The namespace, in which only pods run that ask for nothing special.
    #[must_use]
    pub fn namespace_object(&self) -> Untyped {
        let mut wanted = self.labels();
        for mode in ["enforce", "audit", "warn"] {
            wanted.insert(format!("pod-security.kubernetes.io/{mode}"), "restricted".to_owned());
        }
        wanted.insert(labels::CLUSTER_UID.to_owned(), self.seed.uid.clone());
        object::<Namespace>(json!({ "metadata": { "name": self.namespace(), "labels": wanted } }))
    }

    /// Bounds of what the namespace may use, where they are declared.
    fn bounds(&self) -> Vec<Untyped> {
        let mut bounds = Vec::new();
        if !self.quota.is_empty() {
            bounds.push(object::<ResourceQuota>(json!({
                "metadata": self.meta("falaj"), "spec": { "hard": self.quota },
            })));
        }
        if !self.default_limits.is_empty() || !self.default_requests.is_empty() {
            bounds.push(object::<LimitRange>(json!({
                "metadata": self.meta("falaj"),
                "spec": { "limits": [{ "type": "Container", "default": self.default_limits, "defaultRequest": self.default_requests }] },
            })));
        }
        bounds
    }

    fn labels(&self) -> BTreeMap<String, String> {
        labels::of(self.cluster(), labels::COMPONENT_SERVER)
    }

    /// Metadata of an object in the namespace.
    fn meta(&self, name: &str) -> Value {
        json!({ "name": name, "namespace": self.namespace(), "labels": self.labels() })
    }
}

/// An object of type `K` from its JSON without `apiVersion` and `kind`.
fn object<K: Object + DeserializeOwned>(mut value: Value) -> Untyped {
    let resource = kube::api::ApiResource::erase::<K>(&());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("apiVersion".to_owned(), resource.api_version.clone().into());
        fields.insert("kind".to_owned(), resource.kind.clone().into());
    }
    let metadata = serde_json::from_value(value.get("metadata").cloned().unwrap_or_default()).unwrap_or_default();
    let types = kube::core::TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
    if let Some(fields) = value.as_object_mut() {
        for field in ["metadata", "apiVersion", "kind"] {
            fields.remove(field);
        }
    }
    Untyped { resource, object: kube::api::DynamicObject { types: Some(types), metadata, data: value } }
}

#[cfg(test)]
mod tests;
