//! Keeping what serves as it is declared: on one machine a process per
//! workspace, with a snapshot of all its endpoints; on Kubernetes pods per
//! endpoint.

mod pods;
mod process;
pub mod processes;
mod replica;
mod snapshot;

pub use snapshot::capture_key;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use falaj_api::{Problem, endpoint::EndpointStatus, record::State};
use falaj_store::records;

use crate::{
    control::Control,
    placement::Placement,
    serve::protocol::{FromServe, Tls},
    stored::{store_problem, to_json},
};
use process::{Process, certify};
use processes::{Home, Live, PATIENCE};
use replica::Replica;
use snapshot::Desired;

/// How often it is looked although nothing was declared; and while something
/// is not as it should be.
const PERIOD: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(2);

/// What came of bringing an endpoint into service.
enum Outcome {
    Serves,
    /// Not yet; nothing is wrong that time does not heal.
    Waits,
    Fails(String),
}

/// Reconciles until the server stops; then lets the processes finish.
pub async fn reconciler(control: Arc<Control>) {
    let mut sweep = true;
    loop {
        let settled = match reconcile(&control, &mut sweep).await {
            Ok(settled) => settled,
            Err(problem) => {
                tracing::error!(%problem, "serving could not be reconciled");
                true
            }
        };
        tokio::select! {
            () = control.stop.cancelled() => break,
            () = control.serving.changed.notified() => {}
            () = tokio::time::sleep(if settled { PERIOD } else { SOON }) => {}
        }
    }
    let live = std::mem::take(&mut *control.serving.live.lock().await);
    futures::future::join_all(live.into_values().map(Live::drain)).await;
}

/// True: nothing is waited for.
async fn reconcile(control: &Arc<Control>, sweep: &mut bool) -> Result<bool, Problem> {
    let workspaces = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        records::list_kind(&mut session, "workspace").await.map_err(store_problem)?
    };
    let mut live = control.serving.live.lock().await;
    // Whether all that is wanted is known.
    let (mut settled, mut complete) = (true, true);
    let mut wanted = BTreeSet::new();
    let mut arrivals = control.switchboard.replicas();
    for workspace in &workspaces {
        // One workspace's trouble is not another's.
        let done = match &control.host.placement {
            Placement::Processes => {
                wanted.insert(workspace.uid.clone());
                reconcile_workspace(control, &mut live, workspace).await
            }
            Placement::Pods(placed) => {
                pods::reconcile_workspace(control, placed, &mut live, &mut arrivals, workspace, &mut wanted).await
            }
        };
        match done {
            Ok(done) => settled &= done,
            Err(problem) => {
                let name = &workspace.name;
                tracing::error!(workspace = name, %problem, "the endpoints of a workspace could not be reconciled");
                // What serves goes on, although it is not known to be wanted.
                let live = live.iter().filter(|(_, live)| live.workspace == workspace.uid);
                wanted.extend(live.map(|(key, _)| key.clone()));
                (settled, complete) = (false, false);
            }
        }
    }
    let left: Vec<String> = live.keys().filter(|key| !wanted.contains(*key)).cloned().collect();
    let gone = !left.is_empty();
    for key in left {
        if let Some(gone) = live.remove(&key) {
            gone.drain().await;
        }
        if let Placement::Processes = control.host.placement {
            process::forget(&control.host, &key);
        }
    }
    // What is found by listing is looked for at the start, and when something went.
    if let Placement::Pods(placed) = &control.host.placement
        && complete
        && (*sweep || gone)
    {
        *sweep = !pods::remove_others(placed, &wanted).await;
        settled &= !*sweep;
    }
    Ok(settled)
}

async fn reconcile_workspace(
    control: &Arc<Control>,
    live: &mut BTreeMap<String, Live>,
    workspace: &records::Record,
) -> Result<bool, Problem> {
    let desired = snapshot::desired(control, workspace).await?;
    if desired.endpoints.is_empty() {
        if let Some(live) = live.remove(&workspace.uid) {
            live.drain().await;
        }
        return Ok(true);
    }
    let outcome = match ensure(control, live, workspace, &desired).await {
        Ok(()) => Outcome::Serves,
        Err(error) => Outcome::Fails(format!("{error:#}")),
    };
    let process = live.get(&workspace.uid).and_then(|live| match &live.home {
        Home::Process(process) => Some(process),
        Home::Pods(_) => None,
    });
    let status = |endpoint: &str| {
        process.map(|process| process.status(&control.host, &workspace.name, endpoint)).unwrap_or_default()
    };
    record(control, &workspace.name, &desired.records, &outcome, status).await?;
    Ok(true)
}

/// Brings a workspace's process to the desired snapshot, starting it if need be.
async fn ensure(
    control: &Arc<Control>,
    live: &mut BTreeMap<String, Live>,
    workspace: &records::Record,
    desired: &Desired,
) -> Result<()> {
    let uid = workspace.uid.as_str();
    if live.get(uid).is_some_and(|live| !live.replicas.values().any(Replica::alive)) {
        live.remove(uid);
    }
    if !live.contains_key(uid) {
        let (process, replica) = Process::start(&control.host, control.serving.changed.clone(), uid).await?;
        let started = Live {
            workspace: uid.to_owned(),
            home: Home::Process(Box::new(process)),
            replicas: [(String::new(), replica)].into(),
        };
        live.insert(uid.to_owned(), started);
    }
    let Some(Live { home: Home::Process(process), replicas, .. }) = live.get_mut(uid) else { return Ok(()) };
    for application in &desired.applications {
        certify(&control.host, &workspace.name, application)?;
    }
    for replica in replicas.values_mut() {
        bring(control, replica, uid, &process.tls, desired).await?;
    }
    Ok(())
}

/// Brings a replica to the desired snapshot.
async fn bring(
    control: &Control,
    replica: &mut Replica,
    workspace_uid: &str,
    tls: &Tls,
    desired: &Desired,
) -> Result<()> {
    if replica.sent.as_ref().is_some_and(|(known, endpoints)| known == tls && *endpoints == desired.endpoints) {
        return Ok(());
    }
    for (digest, format) in &desired.artifacts {
        if !replica.has(digest) {
            let bytes = control.store.blobs().get(workspace_uid, &digest.parse()?).await?;
            replica.artifact(digest, *format, &bytes).await?;
        }
    }
    match replica.snapshot(tls, &desired.endpoints, &desired.artifacts, PATIENCE).await? {
        FromServe::Failed { reason, .. } => anyhow::bail!(reason),
        _ => {
            replica.sent = Some((tls.clone(), desired.endpoints.clone()));
            replica.serving = desired.versions();
            Ok(())
        }
    }
}

/// Writes down what came of it, for declarations that have not changed since.
async fn record(
    control: &Control,
    workspace: &str,
    declared: &[records::Record],
    outcome: &Outcome,
    status: impl Fn(&str) -> EndpointStatus,
) -> Result<(), Problem> {
    let (failure, state) = match outcome {
        Outcome::Serves => (None, State::Ready),
        Outcome::Waits => (None, State::Updating),
        Outcome::Fails(reason) => {
            tracing::error!(workspace, reason, "the endpoints of a workspace cannot be served");
            (Some(reason.clone()), State::Failed)
        }
    };
    for declared in declared {
        let status = to_json(&EndpointStatus { failure: failure.clone(), ..status(&declared.name) })?;
        // What waits for pods goes on as what it was.
        let state =
            if matches!(outcome, Outcome::Waits) && declared.state != State::Failed { declared.state } else { state };
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
