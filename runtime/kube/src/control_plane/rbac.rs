//! Who may ask what of the API: the control plane what it runs, its pods nothing.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use serde_json::{Value, json};

use super::{ControlPlane, object};
use crate::objects::Untyped;
use crate::settings::{SERVER, WORKLOAD};

const READ: [&str; 3] = ["get", "list", "watch"];
const ALL: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

impl ControlPlane {
    pub(super) fn accounts(&self) -> Vec<Untyped> {
        let mut server = self.meta(SERVER);
        server["annotations"] = json!(self.service_account_annotations);
        let across = format!("falaj:{}", self.namespace());
        let subject = json!([{ "kind": "ServiceAccount", "name": SERVER, "namespace": self.namespace() }]);
        let refer =
            |kind: &str, name: &str| json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name });
        let cluster_meta = json!({ "name": across, "labels": self.labels() });
        vec![
            object::<ServiceAccount>(json!({ "metadata": server })),
            object::<ServiceAccount>(json!({
                "metadata": self.meta(WORKLOAD), "automountServiceAccountToken": false,
            })),
            object::<Role>(json!({ "metadata": self.meta(SERVER), "rules": in_namespace() })),
            object::<RoleBinding>(json!({
                "metadata": self.meta(SERVER), "roleRef": refer("Role", SERVER), "subjects": subject,
            })),
            object::<ClusterRole>(json!({ "metadata": cluster_meta, "rules": across_namespaces() })),
            object::<ClusterRoleBinding>(json!({
                "metadata": cluster_meta, "roleRef": refer("ClusterRole", &across), "subjects": subject,
            })),
        ]
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": [group], "resources": resources, "verbs": verbs })
}

fn in_namespace() -> Vec<Value> {
    vec![
        rule("apps", &["deployments", "deployments/scale"], &ALL),
        rule("batch", &["jobs"], &ALL),
        rule("", &["services", "secrets", "configmaps"], &ALL),
        rule("", &["pods"], &["get", "list", "watch", "delete"]),
        rule("", &["pods/log", "events"], &READ),
        rule("apps", &["replicasets"], &READ),
        rule("coordination.k8s.io", &["leases"], &ALL),
        rule("policy", &["poddisruptionbudgets"], &ALL),
        rule("networking.k8s.io", &["networkpolicies"], &ALL),
    ]
}

fn across_namespaces() -> Vec<Value> {
    vec![
        rule("", &["nodes"], &READ),
        rule("karpenter.sh", &["nodepools"], &["get", "list", "watch", "create", "patch", "delete"]),
        rule("karpenter.sh", &["nodeclaims"], &READ),
    ]
}
