//! The control plane's pod: one, on one volume.

use falaj_api::Region;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use super::{ControlPlane, object};
use crate::labels;
use crate::objects::Untyped;
use crate::settings::{CONTROL_PORT, DATA, HEALTH_PORT, KEY_DIR, KEY_MOUNT, MOUNT, NODE_NAME, POD_NAME, SEED, SERVER};

/// Where the volume is mounted; the data directory is below, so that its mode
/// is the control plane's own.
const VOLUME: &str = "/var/lib/falaj";
/// User and group of the image's programs.
const USER: u32 = 65532;

impl ControlPlane {
    /// A StatefulSet, because it alone never has two pods at once, on a node
    /// that was lost neither.
    pub(super) fn stateful_set(&self) -> Untyped {
        let selector = labels::selector(self.cluster(), labels::COMPONENT_SERVER);
        let mut pod = json!({
            "serviceAccountName": SERVER,
            "terminationGracePeriodSeconds": 60,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [self.container()],
            "volumes": self.volumes(),
        });
        if self.seed.spec.residency.is_some() {
            pod["affinity"] = self.settings.node_regions.affinity([&self.seed.spec.region]);
        }
        if !self.settings.image_pull_secrets.is_empty() {
            let named = self.settings.image_pull_secrets.iter().map(|name| json!({ "name": name }));
            pod["imagePullSecrets"] = named.collect();
        }
        // A pod reads both when it starts, so that another of either is another pod.
        let settings = serde_json::to_string(&self.settings).unwrap_or_default();
        let key = &self.seed.spec.kms_key;
        object::<StatefulSet>(json!({
            "metadata": self.meta(SERVER),
            "spec": {
                "replicas": 1,
                "serviceName": SERVER,
                "selector": { "matchLabels": selector },
                "updateStrategy": { "type": "RollingUpdate" },
                "template": {
                    "metadata": {
                        "labels": self.labels(),
                        "annotations": { "falaj.dev/settings": settings, "falaj.dev/key": key.uri.to_string() },
                    },
                    "spec": pod,
                },
            },
        }))
    }

    fn container(&self) -> Value {
        let listen = format!("0.0.0.0:{CONTROL_PORT}");
        let health = format!("0.0.0.0:{HEALTH_PORT}");
        let probe = |path: &str| json!({ "path": path, "port": HEALTH_PORT });
        let field =
            |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
        let mut variables: Vec<Value> =
            self.environment.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        variables.push(field(NODE_NAME, "spec.nodeName"));
        variables.push(field(POD_NAME, "metadata.name"));
        let mut mounts = vec![
            json!({ "name": "data", "mountPath": VOLUME }),
            json!({ "name": "cluster", "mountPath": MOUNT, "readOnly": true }),
            json!({ "name": "temporary", "mountPath": "/tmp" }),
        ];
        if self.key_secret.is_some() {
            mounts.push(json!({ "name": "keys", "mountPath": KEY_MOUNT, "readOnly": true }));
            mounts.push(json!({ "name": "key-files", "mountPath": KEY_DIR }));
        }
        let mut container = json!({
            "name": "server",
            "image": self.settings.image,
            "imagePullPolicy": "IfNotPresent",
            // Its log may be gone with the container; this stays in the pod's status.
            "terminationMessagePolicy": "FallbackToLogsOnError",
            "args": ["server", "--data-dir", format!("{VOLUME}/data"), "--in-cluster", "--listen", listen, "--health", health],
            "env": variables,
            "ports": [
                { "name": "control", "containerPort": CONTROL_PORT, "protocol": "TCP" },
                { "name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP" },
            ],
            "resources": { "requests": self.requests, "limits": self.limits },
            "securityContext": {
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] },
            },
            // Until it is up, records may have to be migrated.
            "startupProbe": { "httpGet": probe("/readyz"), "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 300 },
            "readinessProbe": { "httpGet": probe("/readyz"), "periodSeconds": 5, "timeoutSeconds": 5 },
            "livenessProbe": { "httpGet": probe("/livez"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6 },
            "volumeMounts": mounts,
        });
        if !self.environment_secrets.is_empty() {
            let from = self.environment_secrets.iter().map(|name| json!({ "secretRef": { "name": name } }));
            container["envFrom"] = from.collect();
        }
        container
    }

    fn volumes(&self) -> Vec<Value> {
        let mut volumes = vec![
            json!({ "name": "data", "persistentVolumeClaim": { "claimName": DATA } }),
            json!({ "name": "cluster", "secret": { "secretName": SEED } }),
            json!({ "name": "temporary", "emptyDir": { "sizeLimit": "1Gi" } }),
        ];
        if let Some(secret) = &self.key_secret {
            volumes.push(json!({ "name": "keys", "secret": { "secretName": secret } }));
            volumes.push(json!({ "name": "key-files", "emptyDir": { "medium": "Memory", "sizeLimit": "1Mi" } }));
        }
        volumes
    }

    /// A drain of the node may evict it: there is no second one to wait for.
    pub(super) fn disruption_budget(&self) -> Untyped {
        object::<PodDisruptionBudget>(json!({
            "metadata": self.meta(SERVER),
            "spec": {
                "maxUnavailable": 1,
                "selector": { "matchLabels": labels::selector(self.cluster(), labels::COMPONENT_SERVER) },
            },
        }))
    }

    /// Where the control plane may be.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.seed.spec.region
    }
}
