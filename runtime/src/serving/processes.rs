//! What serves now.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::sync::{Mutex, Notify};

use super::{pods::EndpointPods, process::Process, replica::Replica};

/// Everything that serves, by what it serves: the uid of a workspace on one
/// machine, the uid of an endpoint on Kubernetes.
#[derive(Default)]
pub struct Serving {
    /// Rung when something was declared, a version was published, a process
    /// ended or a pod dialled.
    pub(super) changed: Arc<Notify>,
    pub(super) live: Mutex<BTreeMap<String, Live>>,
}

/// Replicas that hold the same snapshot.
pub(super) struct Live {
    pub workspace: String,
    pub home: Home,
    /// By pod; the one process of this machine has no name.
    pub replicas: BTreeMap<String, Replica>,
}

pub(super) enum Home {
    Process(Box<Process>),
    Pods(Box<EndpointPods>),
}

/// How long a process gets to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

impl Live {
    /// Lets requests in flight finish, then ends the process. Pods end with
    /// their Deployment.
    pub async fn drain(self) {
        if let Home::Process(process) = self.home {
            for replica in self.replicas.into_values() {
                replica.drain().await;
            }
            process.ended().await;
        }
    }

    /// Version by variant of an endpoint, where one replica serves it.
    pub fn versions(&self, endpoint: &str) -> Option<BTreeMap<String, u32>> {
        let mut alive = self.replicas.values().filter(|replica| replica.alive());
        alive.find_map(|replica| replica.serving.get(endpoint).cloned())
    }
}

impl Serving {
    /// Something was declared or a version was published.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Version by variant that an endpoint serves now; else what it waits for.
    ///
    /// # Errors
    /// It does not serve yet.
    pub async fn versions(&self, workspace_uid: &str, endpoint: &str) -> Result<BTreeMap<String, u32>, String> {
        let live = self.live.lock().await;
        let mut waiting = "it is being taken into service".to_owned();
        for live in live.values().filter(|live| live.workspace == workspace_uid) {
            if let Home::Pods(pods) = &live.home
                && pods.endpoint == endpoint
                && let Some(cause) = &pods.waits_for
            {
                waiting.clone_from(cause);
            } else if let Some(versions) = live.versions(endpoint) {
                return Ok(versions);
            }
        }
        Err(waiting)
    }

    /// Makes everything that a workspace captured so far readable.
    ///
    /// # Errors
    /// A process did not answer.
    pub async fn flush(&self, workspace_uid: &str) -> Result<()> {
        let mut live = self.live.lock().await;
        let live = live.values_mut().filter(|live| live.workspace == workspace_uid);
        let replicas = live.flat_map(|live| live.replicas.values_mut()).filter(|replica| replica.alive());
        futures::future::try_join_all(replicas.map(|replica| replica.flush(PATIENCE))).await?;
        Ok(())
    }
}
