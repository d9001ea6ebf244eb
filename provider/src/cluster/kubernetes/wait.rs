//! Waiting for the control plane's pod, and saying why it does not come.

use std::time::{Duration, Instant};

use falaj_kube::portforward::is_ready;
use falaj_kube::settings::{DATA, SERVER};
use falaj_kube::{Cause, labels};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;

use super::{KubernetesCluster, KubernetesError, POLL};

/// How often the log says what is waited for.
const TELL: Duration = Duration::from_secs(5);
/// The label by which a StatefulSet's pod says which of its templates it is of.
const REVISION: &str = "controller-revision-hash";

/// A cause, and since when it holds.
struct Standing {
    cause: Cause,
    since: Instant,
}

impl KubernetesCluster {
    /// Waits until the pod that is declared is ready.
    ///
    /// # Errors
    /// Why it is not; at once where waiting is of no use.
    pub async fn wait_until_ready(&self, until: Instant) -> Result<(), KubernetesError> {
        let since = Instant::now();
        let mut told = Instant::now();
        let mut standing: Option<Standing> = None;
        loop {
            let reason = match self.look(true).await? {
                None => return Ok(()),
                Some(found) => {
                    let reason = found.as_ref().map_or_else(|| "it is starting".to_owned(), ToString::to_string);
                    standing = keep(standing, found);
                    reason
                }
            };
            let hopeless = standing.as_ref().filter(|standing| {
                standing.cause.patience.is_some_and(|patience| standing.since.elapsed() >= patience)
            });
            if let Some(standing) = hopeless {
                return Err(KubernetesError::Cause(standing.cause.clone()));
            }
            if Instant::now() + POLL > until {
                return Err(match standing {
                    Some(standing) => KubernetesError::Cause(standing.cause),
                    None => KubernetesError::Late { seconds: since.elapsed().as_secs(), reason },
                });
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                tracing::info!(
                    cluster = self.name,
                    namespace = self.namespace(),
                    seconds = since.elapsed().as_secs(),
                    reason,
                    "waiting for the control plane"
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Why the declared pod is not ready; `None` if it is.
    pub async fn not_ready(&self) -> Result<Option<String>, KubernetesError> {
        let looked = self.look(false).await?;
        Ok(looked.map(|cause| {
            cause.map_or_else(|| "no pod of the control plane runs".to_owned(), |cause| cause.to_string())
        }))
    }

    /// `None` once the declared pod is ready; before, what keeps it if that is known.
    /// With `replace` a pod that holds up its successor is deleted.
    async fn look(&self, replace: bool) -> Result<Option<Option<Cause>>, KubernetesError> {
        let namespace = self.namespace();
        let selector = labels::selector(&self.name, labels::COMPONENT_SERVER);
        let Some(set) = self.kube.get::<StatefulSet>(Some(namespace), SERVER).await? else { return Ok(Some(None)) };
        let wanted = set.status.as_ref().and_then(|status| status.update_revision.clone());
        let seen = set.status.as_ref().and_then(|status| status.observed_generation) >= set.metadata.generation;
        // Until then pods and revisions are those of what was declared before.
        if !seen {
            return Ok(Some(None));
        }
        let pods: Vec<Pod> = self.kube.list(Some(namespace), &labels::query(&selector)).await?;
        let revision = |pod: &Pod| pod.metadata.labels.as_ref().and_then(|all| all.get(REVISION)).cloned();
        if wanted.is_some() && pods.iter().any(|pod| is_ready(pod) && revision(pod) == wanted) {
            return Ok(None);
        }
        // A StatefulSet does not replace a pod that never was ready by one of its
        // new template; it waits for the old one for ever.
        if replace && wanted.is_some() {
            for pod in pods.iter().filter(|pod| revision(pod) != wanted && !is_ready(pod)) {
                if pod.metadata.deletion_timestamp.is_none() {
                    tracing::info!(pod = pod.metadata.name, "replacing a pod that never was ready");
                    self.kube.delete_exactly(pod).await?;
                }
            }
        }
        let current: Vec<&Pod> = pods.iter().filter(|pod| revision(pod) == wanted).collect();
        if current.is_empty() && !pods.is_empty() {
            return Ok(Some(None));
        }
        Ok(Some(self.kube.explain(namespace, &selector, &[SERVER, DATA]).await?))
    }
}

/// The cause that holds now, since its kind was first seen.
fn keep(before: Option<Standing>, now: Option<Cause>) -> Option<Standing> {
    let cause = now?;
    let since = before.filter(|before| before.cause.kind == cause.kind).map(|before| before.since);
    Some(Standing { cause, since: since.unwrap_or_else(Instant::now) })
}
