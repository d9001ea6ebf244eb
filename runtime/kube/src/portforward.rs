//! A port of a pod on this machine's loopback, through the API server: what a
//! kubeconfig reaches, nothing else needs to.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::access::Kube;
use crate::error::KubeError;
use crate::labels;

/// Forwards a loopback port to whichever pod answers to the selector when a
/// connection is made, so that it outlives the pod. It ends when it is dropped.
#[derive(Debug)]
pub struct Tunnel {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Which pods are meant, and which port of theirs.
#[derive(Clone, Debug)]
pub struct Target {
    pub namespace: String,
    pub selector: std::collections::BTreeMap<String, String>,
    pub port: u16,
}

impl Tunnel {
    /// Opens a port on loopback. Whether a pod answers shows with the first
    /// connection.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn open(kube: Kube, target: Target) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let target = Arc::new(target);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            connections.spawn(forward(kube.clone(), Arc::clone(&target), stream));
                        }
                        Err(error) => {
                            tracing::debug!(%error, "a connection to the tunnel could not be accepted");
                            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                        }
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { port, task })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

async fn forward(kube: Kube, target: Arc<Target>, mut stream: TcpStream) {
    // What the caller sees of a failure is a closed connection.
    if let Err(error) = bridge(&kube, &target, &mut stream).await {
        tracing::debug!(%error, "a connection through the API server ended");
    }
}

async fn bridge(kube: &Kube, target: &Target, stream: &mut TcpStream) -> Result<(), KubeError> {
    let what = format!("Pod {}/{}", target.namespace, labels::query(&target.selector));
    let pod = kube
        .running_pod(&target.namespace, &target.selector)
        .await?
        .ok_or(KubeError::NotFound { object: what.clone() })?;
    let api: Api<Pod> = Api::namespaced(kube.client.clone(), &target.namespace);
    let mut forwarder = kube.answer("forward a port of", &what, api.portforward(&pod, &[target.port])).await?;
    let failed = |reason: String| KubeError::Failed { verb: "forward a port of", object: what.clone(), reason };
    let mut remote = forwarder.take_stream(target.port).ok_or_else(|| failed("it has no such port".to_owned()))?;
    let copied = tokio::io::copy_bidirectional(stream, &mut remote).await;
    drop(remote);
    forwarder.abort();
    copied.map(|_| ()).map_err(|error| failed(error.to_string()))
}

impl Kube {
    /// Name of a pod that is ready, or else of one that runs.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn running_pod(
        &self,
        namespace: &str,
        selector: &std::collections::BTreeMap<String, String>,
    ) -> Result<Option<String>, KubeError> {
        let pods: Vec<Pod> = self.list(Some(namespace), &labels::query(selector)).await?;
        let mut running: Vec<&Pod> = pods.iter().filter(|pod| runs(pod)).collect();
        running.sort_by_key(|pod| !is_ready(pod));
        Ok(running.first().and_then(|pod| pod.metadata.name.clone()))
    }
}

fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// Whether a pod says that it is ready for requests.
#[must_use]
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
        && pod.metadata.deletion_timestamp.is_none()
}
