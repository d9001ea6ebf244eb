//! The serving processes of this machine.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use tokio::sync::{Mutex, Notify};

use super::process::Process;

/// The processes that serve, by the uid of their workspace.
#[derive(Default)]
pub struct Serving {
    /// Rung when something was declared, a version was published or a process ended.
    pub(super) changed: Arc<Notify>,
    pub(super) live: Mutex<BTreeMap<String, Process>>,
}

/// How long a process gets to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

impl Serving {
    /// Something was declared or a version was published.
    pub fn wake(&self) {
        self.changed.notify_one();
    }

    /// Version by variant that an endpoint serves now; `None` while it does not.
    pub async fn versions(&self, workspace_uid: &str, endpoint: &str) -> Option<BTreeMap<String, u32>> {
        let live = self.live.lock().await;
        live.get(workspace_uid)
            .filter(|process| process.alive())
            .and_then(|process| process.serving.get(endpoint).cloned())
    }

    /// Makes everything that was captured so far readable.
    ///
    /// # Errors
    /// The process did not answer.
    pub async fn flush(&self, workspace_uid: &str) -> Result<()> {
        match self.live.lock().await.get_mut(workspace_uid) {
            Some(process) if process.alive() => process.flush(PATIENCE).await,
            _ => Ok(()),
        }
    }
}
