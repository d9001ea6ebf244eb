//! The pod of one attempt of a training run: a Job.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use crate::error::KubeError;
use crate::labels;
use crate::workload::{IDENTITY_DIR, Nodes, Resources, Site, labelled, pod, typed};

/// The operation that a Job does, and which attempt of it.
pub const OPERATION: &str = "falaj.dev/operation";
pub const ATTEMPT: &str = "falaj.dev/attempt";

/// One attempt of a run.
#[derive(Clone, Debug)]
pub struct Training {
    pub operation: String,
    pub attempt: i64,
    pub resources: Resources,
    pub nodes: Nodes,
}

impl Training {
    /// Of the Job and of its secret.
    #[must_use]
    pub fn name(&self) -> String {
        format!("train-{}-{}", self.operation, self.attempt)
    }

    #[must_use]
    pub fn labels(&self, site: &Site) -> BTreeMap<String, String> {
        let attempt = self.attempt.to_string();
        labelled(site, labels::COMPONENT_TRAINING, &[(OPERATION, &self.operation), (ATTEMPT, &attempt)])
    }

    /// What selects its pod.
    #[must_use]
    pub fn selector(&self, site: &Site) -> BTreeMap<String, String> {
        let mut selector = labels::selector(&site.cluster, labels::COMPONENT_TRAINING);
        selector.insert(OPERATION.to_owned(), self.operation.clone());
        selector.insert(ATTEMPT.to_owned(), self.attempt.to_string());
        selector
    }

    /// # Errors
    /// What was written is not an object of the API.
    pub fn job(&self, site: &Site) -> Result<Job, KubeError> {
        let labels = self.labels(site);
        let container = json!({
            "name": "train",
            "args": ["train", "--connect", site.control, "--identity", IDENTITY_DIR, "--pod", "$(POD_NAME)"],
            "resources": { "requests": self.resources.requests, "limits": self.resources.limits },
            "volumeMounts": [{ "name": "identity", "mountPath": IDENTITY_DIR, "readOnly": true }],
        });
        let mut template = pod(site, container, &self.name(), &self.nodes, &labels);
        template["spec"]["restartPolicy"] = json!("Never");
        typed(json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": { "name": self.name(), "namespace": site.namespace, "labels": labels },
            "spec": {
                // Another attempt is the control plane's to make.
                "backoffLimit": 0,
                "ttlSecondsAfterFinished": 600,
                "template": template,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Training;
    use crate::workload::{Nodes, Resources, site};

    #[test]
    fn a_run_is_a_job_that_is_tried_once_and_asks_for_what_it_needs() {
        let training = Training {
            operation: "018f2b1e-aaaa-bbbb-cccc-0123456789ab".into(),
            attempt: 3,
            resources: Resources::new("4", "8Gi").with_gpus(2),
            nodes: Nodes::default(),
        };
        let job = training.job(&site()).unwrap();
        assert!(job.metadata.name.as_ref().unwrap().len() <= 63);
        let spec = job.spec.unwrap();
        assert_eq!(spec.backoff_limit, Some(0));
        let pod = spec.template.spec.unwrap();
        assert_eq!(pod.restart_policy.as_deref(), Some("Never"));
        let resources = pod.containers[0].resources.as_ref().unwrap();
        assert_eq!(resources.limits.as_ref().unwrap()["nvidia.com/gpu"].0, "2");
        assert!(!resources.limits.as_ref().unwrap().contains_key("cpu"), "CPU is shared, not cut off");
    }
}
