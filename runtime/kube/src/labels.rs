//! The labels by which Falaj's objects are found.

use std::collections::BTreeMap;

/// The application, for every object.
pub const NAME: &str = "app.kubernetes.io/name";
/// The cluster that an object belongs to.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// What an object is for: one of the `COMPONENT_*` texts.
pub const COMPONENT: &str = "app.kubernetes.io/component";
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// The uid of the cluster that an object belongs to.
pub const CLUSTER_UID: &str = "falaj.dev/cluster-uid";

pub const FALAJ: &str = "falaj";
/// The control plane.
pub const COMPONENT_SERVER: &str = "server";
/// Pods that answer predictions.
pub const COMPONENT_SERVING: &str = "serving";
/// Pods that train.
pub const COMPONENT_TRAINING: &str = "training";

/// The labels of an object of `cluster` that is for `component`.
#[must_use]
pub fn of(cluster: &str, component: &str) -> BTreeMap<String, String> {
    [(NAME, FALAJ), (INSTANCE, cluster), (COMPONENT, component), (MANAGED_BY, FALAJ)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// What selects the pods of `cluster` that are for `component`.
#[must_use]
pub fn selector(cluster: &str, component: &str) -> BTreeMap<String, String> {
    [(NAME, FALAJ), (INSTANCE, cluster), (COMPONENT, component)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// A selector as the API's `labelSelector` has it.
#[must_use]
pub fn query(selector: &BTreeMap<String, String>) -> String {
    selector.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
}
