//! What every request and reconciler of the control plane shares.

use falaj_api::{Place, Problem, Region, Residency, cluster::ClusterSpec};
use falaj_store::{Store, audit, records};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    host::Host,
    identity::Principal,
    scope::WorkspaceScope,
    serving::processes::Serving,
    stored::{from_json, store_problem},
    switchboard::Switchboard,
};

pub struct Control {
    pub store: Store,
    pub cluster: ClusterIdentity,
    pub host: Host,
    pub serving: Serving,
    pub switchboard: Switchboard,
    /// Rung when an operation was recorded.
    pub work: Notify,
    /// Rung when something was deleted that kept files.
    pub deleted: Notify,
    pub stop: CancellationToken,
}

/// Which cluster this is.
#[derive(Clone, Debug)]
pub struct ClusterIdentity {
    pub name: String,
    pub uid: String,
    pub machine_id: String,
    /// As it was first declared: region and key never change, the rest is in the record.
    pub spec: ClusterSpec,
    /// Whether the key is held by a service or by the host itself.
    pub key_custody: &'static str,
}

impl Control {
    /// The residency rule that holds in a workspace, or in the cluster.
    ///
    /// # Errors
    /// The workspace's rule allows what the cluster's does not.
    pub async fn residency(&self, workspace: Option<&WorkspaceScope>) -> Result<Option<Residency>, Problem> {
        let mut session = self.store.read().await.map_err(store_problem)?;
        let record = records::get(&mut session, "cluster", "", &self.cluster.name).await.map_err(store_problem)?;
        let declared: ClusterSpec = match record {
            Some(record) => from_json(record.spec)?,
            None => self.cluster.spec.clone(),
        };
        match (declared.residency, workspace.and_then(|workspace| workspace.spec.residency.clone())) {
            (Some(outer), Some(inner)) => {
                outer.narrow(&inner).map(Some).map_err(|error| Problem::refused("residency", error.to_string()))
            }
            (rule, None) | (None, rule) => Ok(rule),
        }
    }

    /// Refuses a region outside of the rule that holds.
    ///
    /// # Errors
    /// The region is outside.
    pub async fn permit(
        &self,
        workspace: Option<&WorkspaceScope>,
        region: &Region,
        pointer: &str,
    ) -> Result<(), Problem> {
        let Some(rule) = self.residency(workspace).await? else { return Ok(()) };
        rule.permits(&Place::declared(region.clone())).map_err(|error| Problem {
            pointer: Some(pointer.to_owned()),
            ..Problem::refused("residency", error.to_string())
        })
    }

    /// Tells the cluster's audit chain that a caller was refused.
    pub async fn note_refusal(&self, caller: &Principal, path: &str, problem: &Problem) {
        if problem.status != 403 {
            return;
        }
        let rule = problem.kind.trim_start_matches("urn:falaj:");
        let event = audit::Event::refused(falaj_store::CLUSTER, caller.to_string(), path, "", rule, &problem.detail);
        let refusal = async {
            let mut tx = self.store.begin().await?;
            audit::append(&mut tx, &event).await?;
            tx.commit().await
        };
        if let Err(error) = refusal.await {
            tracing::error!(%error, "a refusal could not be told to the audit chain");
        }
    }
}
