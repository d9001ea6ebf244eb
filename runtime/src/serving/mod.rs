//! Keeping the serving processes as they are declared: one per workspace, with
//! a snapshot of all its endpoints.

mod process;
pub mod processes;
mod snapshot;

pub use snapshot::capture_key;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::Result;
use falaj_api::{Problem, endpoint::EndpointStatus, record::State};
use falaj_store::records;

use crate::{
    control::Control,
    serve::protocol::FromServe,
    stored::{store_problem, to_json},
};
use process::{Process, certify};
use processes::PATIENCE;
use snapshot::Desired;

/// How often the processes are looked at although nothing was declared.
const PERIOD: Duration = Duration::from_secs(30);

/// Reconciles until the server stops; then lets the processes finish.
pub async fn reconciler(control: Arc<Control>) {
    loop {
        if let Err(problem) = reconcile(&control).await {
            tracing::error!(%problem, "serving could not be reconciled");
        }
        tokio::select! {
            () = control.stop.cancelled() => break,
            () = control.serving.changed.notified() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
    let processes = std::mem::take(&mut *control.serving.live.lock().await);
    futures::future::join_all(processes.into_values().map(Process::drain)).await;
}

async fn reconcile(control: &Arc<Control>) -> Result<(), Problem> {
    let workspaces = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        records::list_kind(&mut session, "workspace").await.map_err(store_problem)?
    };
    let mut live = control.serving.live.lock().await;
    let known: Vec<String> = workspaces.iter().map(|workspace| workspace.uid.clone()).collect();
    let left: Vec<String> = live.keys().filter(|uid| !known.contains(uid)).cloned().collect();
    for uid in left {
        if let Some(process) = live.remove(&uid) {
            process.drain().await;
        }
        process::forget(&control.host, &uid);
    }
    for workspace in workspaces {
        // One workspace's trouble is not another's.
        if let Err(problem) = reconcile_workspace(control, &mut live, &workspace).await {
            tracing::error!(workspace = workspace.name, %problem, "the endpoints of a workspace could not be reconciled");
        }
    }
    Ok(())
}

async fn reconcile_workspace(
    control: &Arc<Control>,
    live: &mut BTreeMap<String, Process>,
    workspace: &records::Record,
) -> Result<(), Problem> {
    let desired = snapshot::desired(control, workspace).await?;
    if desired.endpoints.is_empty() {
        if let Some(process) = live.remove(&workspace.uid) {
            process.drain().await;
        }
        return Ok(());
    }
    let outcome = ensure(control, live, workspace, &desired).await;
    record(control, &workspace.name, &desired, live.get(&workspace.uid), outcome).await
}

/// Brings a workspace's process to the desired snapshot, starting it if need be.
async fn ensure(
    control: &Arc<Control>,
    live: &mut BTreeMap<String, Process>,
    workspace: &records::Record,
    desired: &Desired,
) -> Result<()> {
    let workspace_uid = workspace.uid.as_str();
    if live.get(workspace_uid).is_some_and(|process| !process.alive()) {
        live.remove(workspace_uid);
    }
    if !live.contains_key(workspace_uid) {
        live.insert(
            workspace_uid.to_owned(),
            Process::start(&control.host, control.serving.changed.clone(), workspace_uid).await?,
        );
    }
    let Some(process) = live.get_mut(workspace_uid) else { return Ok(()) };
    if process.sent.as_ref() == Some(&desired.endpoints) {
        return Ok(());
    }
    for (digest, format) in &desired.artifacts {
        if !process.has(digest) {
            let bytes = control.store.blobs().get(workspace_uid, &digest.parse()?).await?;
            process.artifact(digest, *format, &bytes).await?;
        }
    }
    for application in &desired.applications {
        certify(&control.host, &workspace.name, application)?;
    }
    match process.snapshot(&desired.endpoints, &desired.artifacts, PATIENCE).await? {
        FromServe::Failed { reason, .. } => anyhow::bail!(reason),
        _ => {
            process.sent = Some(desired.endpoints.clone());
            process.serving = desired.versions();
            Ok(())
        }
    }
}

/// Writes down what came of it, for declarations that have not changed since.
async fn record(
    control: &Control,
    workspace: &str,
    desired: &Desired,
    process: Option<&Process>,
    outcome: Result<()>,
) -> Result<(), Problem> {
    let failure = outcome.err().map(|error| format!("{error:#}"));
    if let Some(failure) = &failure {
        tracing::error!(workspace, failure, "the endpoints of a workspace cannot be served");
    }
    for declared in &desired.records {
        let status = match process {
            Some(process) => {
                EndpointStatus { failure: failure.clone(), ..process.status(&control.host, workspace, &declared.name) }
            }
            None => EndpointStatus { failure: failure.clone(), ..EndpointStatus::default() },
        };
        let (status, state) = (to_json(&status)?, if failure.is_none() { State::Ready } else { State::Failed });
        if declared.status == status && declared.state == state {
            continue;
        }
        let mut tx = control.store.begin().await.map_err(store_problem)?;
        let now = records::get_by_uid(&mut tx, &declared.uid).await.map_err(store_problem)?;
        if now.is_some_and(|now| now.generation == declared.generation) {
            records::update_status(&mut tx, &declared.uid, &status).await.map_err(store_problem)?;
            records::set_state(&mut tx, &declared.uid, state).await.map_err(store_problem)?;
            tx.commit().await.map_err(store_problem)?;
        }
    }
    Ok(())
}
