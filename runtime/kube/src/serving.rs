//! The pods that answer predictions: one Deployment per endpoint.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Value, json};

use crate::error::KubeError;
use crate::labels;
use crate::settings::{HEALTH_PORT, SERVING_PORT as PORT};
use crate::workload::{IDENTITY_DIR, Nodes, Resources, Site, labelled, merge, pod, typed};

/// Where capture segments wait until the server has them.
pub const SPOOL: &str = "/var/spool/falaj";
/// Seconds between a pod's leaving its Service and its being told to end: until
/// then no node sends it anything new.
const LEAVING_SECONDS: i64 = 5;

/// The endpoint that an object belongs to, by its uid.
pub const ENDPOINT: &str = "falaj.dev/endpoint-uid";
/// The name of the endpoint, for people.
const ENDPOINT_NAME: &str = "falaj.dev/endpoint";

/// An endpoint as Kubernetes is to run it.
#[derive(Clone, Debug)]
pub struct Serving {
    /// Of all its objects.
    pub name: String,
    pub endpoint: String,
    pub endpoint_uid: String,
    pub replicas: u32,
    pub resources: Resources,
}

/// What an endpoint is made of, besides the secret of its pods.
#[derive(Clone, Debug)]
pub struct Objects {
    pub service: Service,
    pub deployment: Deployment,
    pub budget: PodDisruptionBudget,
}

impl Serving {
    #[must_use]
    pub fn labels(&self, site: &Site) -> BTreeMap<String, String> {
        labelled(site, labels::COMPONENT_SERVING, &[(ENDPOINT, &self.endpoint_uid), (ENDPOINT_NAME, &self.endpoint)])
    }

    /// What selects its pods.
    #[must_use]
    pub fn selector(&self, site: &Site) -> BTreeMap<String, String> {
        let mut selector = labels::selector(&site.cluster, labels::COMPONENT_SERVING);
        selector.insert(ENDPOINT.to_owned(), self.endpoint_uid.clone());
        selector
    }

    /// # Errors
    /// What was written is not an object of the API.
    pub fn objects(&self, site: &Site) -> Result<Objects, KubeError> {
        let (labels, selector) = (self.labels(site), self.selector(site));
        let metadata = json!({ "name": self.name, "namespace": site.namespace, "labels": labels });
        let service = typed(json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {
                "selector": selector,
                "ports": [{ "name": "https", "port": PORT, "targetPort": "https" }],
            },
        }))?;
        let deployment = typed(json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": self.replicas,
                "selector": { "matchLabels": selector },
                // A new pod answers before an old one goes.
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
                "minReadySeconds": 0,
                "revisionHistoryLimit": 2,
                "template": self.pod(site, &labels, &selector),
            },
        }))?;
        let budget = typed(json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": selector } },
        }))?;
        Ok(Objects { service, deployment, budget })
    }

    fn pod(&self, site: &Site, labels: &BTreeMap<String, String>, selector: &BTreeMap<String, String>) -> Value {
        let health = |path: &str| json!({ "path": path, "port": "health" });
        let container = json!({
            "name": "serve",
            "args": [
                "serve", "--connect", site.control, "--identity", IDENTITY_DIR, "--pod", "$(POD_NAME)",
                "--listen", format!("0.0.0.0:{PORT}"), "--health", format!("0.0.0.0:{HEALTH_PORT}"), "--spool", SPOOL,
            ],
            "ports": [
                { "name": "https", "containerPort": PORT },
                { "name": "health", "containerPort": HEALTH_PORT },
            ],
            "resources": { "requests": self.resources.requests, "limits": self.resources.limits },
            // Ready: it has something to serve, and is not leaving. Alive: it
            // answers at all; it may wait for the server as long as it takes.
            "readinessProbe": { "httpGet": health("/readyz"), "periodSeconds": 1, "timeoutSeconds": 1, "failureThreshold": 1 },
            "livenessProbe": { "httpGet": health("/livez"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3 },
            "lifecycle": { "preStop": { "sleep": { "seconds": LEAVING_SECONDS } } },
            "volumeMounts": [
                { "name": "identity", "mountPath": IDENTITY_DIR, "readOnly": true },
                { "name": "spool", "mountPath": SPOOL },
            ],
        });
        let mut pod = pod(site, container, &self.name, &Nodes::default(), labels);
        let spread = |key: &str| {
            json!({
                "maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": { "matchLabels": selector },
            })
        };
        let more = json!({ "spec": {
            "terminationGracePeriodSeconds": 60,
            "topologySpreadConstraints": [spread("topology.kubernetes.io/zone"), spread("kubernetes.io/hostname")],
            "volumes": [{ "name": "spool", "emptyDir": { "sizeLimit": "1Gi" } }],
        } });
        merge(&mut pod, more);
        pod
    }
}

#[cfg(test)]
mod tests {
    use super::Serving;
    use crate::workload::{Resources, site};

    #[test]
    fn an_endpoint_is_a_deployment_that_no_update_leaves_without_a_pod() {
        let serving = Serving {
            name: "people-employed-018f".into(),
            endpoint: "employed".into(),
            endpoint_uid: "018f-1".into(),
            replicas: 2,
            resources: Resources::new("250m", "512Mi"),
        };
        let objects = serving.objects(&site()).unwrap();
        let spec = objects.deployment.spec.unwrap();
        assert_eq!(spec.replicas, Some(2));
        let rolling = spec.strategy.unwrap().rolling_update.unwrap();
        assert_eq!(serde_json::to_value(rolling).unwrap(), serde_json::json!({ "maxSurge": 1, "maxUnavailable": 0 }));
        let pod = spec.template.spec.unwrap();
        assert_eq!(pod.volumes.unwrap().len(), 2);
        assert_eq!(pod.automount_service_account_token, Some(false));
        let container = &pod.containers[0];
        assert_eq!(container.image.as_deref(), Some("registry.example.ae/falaj@sha256:00"));
        assert!(container.args.as_ref().unwrap().contains(&"10.0.0.1:4443".to_owned()));
        let affinity = serde_json::to_string(&pod.affinity).unwrap();
        assert!(affinity.contains("topology.kubernetes.io/region") && affinity.contains("dubai-1"), "{affinity}");
        let selector = objects.service.spec.unwrap().selector.unwrap();
        let labels = spec.template.metadata.unwrap().labels.unwrap();
        assert!(selector.iter().all(|(name, value)| labels.get(name) == Some(value)), "{selector:?} {labels:?}");
    }
}
