//! Removing a cluster's objects in the opposite order, and saying what holds one up.

use std::time::Instant;

use falaj_kube::settings::{SEED, admin_secret};
use falaj_kube::{ControlPlane, DynamicObject, Untyped, labels};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};

use super::{DELETING, KubernetesCluster, KubernetesError, POLL};

impl KubernetesCluster {
    /// Says on the seed that everything else is going, so that a destroy that
    /// was interrupted is known as one.
    pub async fn mark_deleting(&self, plane: &ControlPlane) -> Result<(), KubernetesError> {
        let mut seed = plane.seed_secret();
        seed.object.metadata.annotations.get_or_insert_default().insert(DELETING.to_owned(), "true".to_owned());
        self.kube.apply_untyped(&seed, true).await?;
        Ok(())
    }

    /// Deletes everything of the cluster, the seed and the namespace last.
    pub async fn remove(&self, plane: &ControlPlane, until: Instant) -> Result<(), KubernetesError> {
        let objects = plane.objects();
        let is_last = |object: &Untyped| {
            object.resource.kind == "Namespace" || (object.resource.kind == "Secret" && object.name() == SEED)
        };
        for object in objects.iter().rev().filter(|object| !is_last(object)) {
            tracing::info!(object = object.describe(), "deleting");
            self.kube.delete_untyped(object).await?;
            // Nothing takes the volume or an account from under a process.
            if object.resource.kind == "StatefulSet" {
                self.wait_for_pods(until).await?;
            }
        }
        for object in objects.iter().rev().filter(|object| !is_last(object)) {
            self.wait_until_gone(object, until).await?;
        }
        self.kube.delete::<Secret>(Some(self.namespace()), &admin_secret(&self.name)).await?;
        for object in objects.iter().rev().filter(|object| is_last(object)) {
            tracing::info!(object = object.describe(), "deleting");
            self.kube.delete_untyped(object).await?;
            self.wait_until_gone(object, until).await?;
        }
        Ok(())
    }

    async fn wait_for_pods(&self, until: Instant) -> Result<(), KubernetesError> {
        let since = Instant::now();
        let selector = labels::query(&labels::selector(&self.name, labels::COMPONENT_SERVER));
        loop {
            let pods: Vec<Pod> = self.kube.list(Some(self.namespace()), &selector).await?;
            let Some(pod) = pods.first() else { return Ok(()) };
            if Instant::now() + POLL > until {
                let name = pod.metadata.name.clone().unwrap_or_default();
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default();
                return Err(KubernetesError::Held {
                    what: format!("Pod {}/{name}", self.namespace()),
                    seconds: since.elapsed().as_secs(),
                    reason: finalizers(pod.metadata.finalizers.as_ref())
                        .unwrap_or_else(|| format!("the node {node} has not said that it ended")),
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn wait_until_gone(&self, object: &Untyped, until: Instant) -> Result<(), KubernetesError> {
        let since = Instant::now();
        loop {
            let Some(found) = self.kube.get_untyped(object).await? else { return Ok(()) };
            if found.metadata.deletion_timestamp.is_none() {
                // Made again by somebody, or never deleted: a controller of theirs.
                self.kube.delete_untyped(object).await?;
            }
            if Instant::now() + POLL > until {
                return Err(KubernetesError::Held {
                    what: object.describe(),
                    seconds: since.elapsed().as_secs(),
                    reason: self.what_holds(object, &found).await,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn what_holds(&self, object: &Untyped, found: &DynamicObject) -> String {
        if object.resource.kind == "Namespace"
            && let Ok(Some(namespace)) = self.kube.get::<Namespace>(None, object.name()).await
        {
            let conditions = namespace.status.and_then(|status| status.conditions).unwrap_or_default();
            let told: Vec<String> = conditions
                .into_iter()
                .filter(|condition| condition.status == "True")
                .filter_map(|condition| condition.message)
                .collect();
            if !told.is_empty() {
                return told.join("; ");
            }
        }
        finalizers(found.metadata.finalizers.as_ref()).unwrap_or_else(|| "Kubernetes is still deleting it".to_owned())
    }
}

fn finalizers(found: Option<&Vec<String>>) -> Option<String> {
    let found = found.filter(|found| !found.is_empty())?;
    Some(format!("it waits for whoever serves its finalizers {}", found.join(", ")))
}
