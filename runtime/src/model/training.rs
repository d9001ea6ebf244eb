//! Training runs: operations that survive the server, done by `falaj train`.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use falaj_api::{
    Problem,
    feature_store::{FeatureStore, FeatureStoreSpec, Location},
    model::{CANDIDATE, Lineage, ModelSpec, ModelStatus, ModelVersion, PromoteWhen, Window},
    operation::OperationState,
    record::State,
};
use falaj_store::{Digest, Tx, audit, operations, records, versions};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{gates, registry, spec_digest};
use crate::{
    control::Control,
    feature_store::{read_source, stores},
    placement::training::Trainer,
    scope::{Scope, WorkspaceScope, find},
    stored::{from_json, store_problem, to_json},
    train::protocol::{FromTrain, ToTrain},
};

pub const KIND: &str = "train";

/// Why a run was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The declaration changed.
    Declared,
    /// Somebody asked.
    Requested,
    /// A monitor raised an alarm.
    Drift,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Payload {
    cause: Cause,
    /// The declaration as it was when the run was started.
    spec: ModelSpec,
}

/// Records a run, in the transaction that is its reason.
///
/// # Errors
/// The store failed.
pub async fn start(tx: &mut Tx, model: &records::Record, cause: Cause) -> Result<(), Problem> {
    // The newest declaration is the one that counts.
    if let Some(running) = operations::latest(tx, &model.uid).await.map_err(store_problem)?
        && running.state == OperationState::Running
    {
        let outcome = operations::Outcome::Cancelled;
        operations::finish(tx, &running.id, running.attempt, outcome, "a newer run takes its place")
            .await
            .map_err(store_problem)?;
    }
    let payload = to_json(&Payload { cause, spec: from_json(model.spec.clone())? })?;
    let id = uuid::Uuid::now_v7().to_string();
    operations::start(tx, &id, KIND, &model.workspace, &model.uid, &payload).await.map_err(store_problem)?;
    Ok(())
}

/// What came of a run.
struct Outcome {
    data_digest: String,
    artifacts: BTreeMap<String, Bytes>,
    document: ModelVersion,
}

/// Does a run and records what came of it.
///
/// # Errors
/// The store failed, or another attempt has taken the run over.
pub async fn run(control: &Control, operation: &operations::Operation) -> Result<(), Problem> {
    let payload: Payload = from_json(operation.payload.clone())?;
    let model = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        records::get_by_uid(&mut session, &operation.target_uid).await.map_err(store_problem)?
    };
    let Some(model) = model else { return Ok(()) };
    let attempt = attempt(control, operation, &payload, &model).await;
    match attempt {
        Ok(outcome) => publish(control, operation, &payload, &model, outcome).await,
        Err(problem) => fail(control, operation, &payload, &model, problem).await,
    }
}

async fn attempt(
    control: &Control,
    operation: &operations::Operation,
    payload: &Payload,
    model: &records::Record,
) -> Result<Outcome, Problem> {
    let training = &payload.spec.training;
    let now = Timestamp::now();
    let (sources, workspace) = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        let workspace = records::get_by_uid(&mut session, &model.workspace).await.map_err(store_problem)?;
        let workspace = workspace.ok_or_else(|| Problem::not_found("the workspace"))?;
        let scope = Scope {
            workspace: Some(WorkspaceScope {
                uid: workspace.uid.clone(),
                name: workspace.name,
                spec: from_json(workspace.spec)?,
            }),
        };
        let mut sources: BTreeMap<String, FeatureStoreSpec> = BTreeMap::new();
        for name in stores(&payload.spec) {
            let (_, spec) = find::<FeatureStore>(&mut session, &scope, name, "/spec/training").await?;
            sources.insert(name.to_owned(), spec);
        }
        (sources, scope)
    };
    control.permit(Some(workspace.workspace()?), &control.cluster.spec.region, "/spec/training").await?;
    let data_digest = data_digest(&sources, training.window.as_ref(), now);

    let mut bytes = Vec::new();
    for (name, spec) in sources {
        let source = read_source(control, &model.workspace, &spec).await?;
        bytes.push((name, spec, source));
    }
    let trained = in_process(control, operation, payload, bytes, now).await?;
    let (artifacts, signature, metrics, fairness, architecture) = trained;
    let document = ModelVersion {
        model: model.name.clone(),
        version: 0,
        signature,
        gates: gates::decide(&payload.spec.gates, &metrics, &fairness),
        metrics,
        fairness,
        lineage: Lineage {
            spec_digest: spec_digest(training)?,
            data_digest: data_digest.clone(),
            algorithm: training.algorithm.name().to_owned(),
            seed: training.seed,
            runtime_version: falaj_api::version().to_owned(),
            architecture,
        },
        artifacts: artifacts.iter().map(|(name, bytes)| (name.clone(), crate::sha256_hex(bytes))).collect(),
        aliases: Vec::new(),
        created_at: now,
    };
    Ok(Outcome { data_digest, artifacts, document })
}

type Trained = (
    BTreeMap<String, Bytes>,
    falaj_api::model::Signature,
    BTreeMap<String, f64>,
    BTreeMap<String, falaj_api::model::Parity>,
    String,
);

/// Starts `falaj train`, hands it the sources and takes what it makes.
async fn in_process(
    control: &Control,
    operation: &operations::Operation,
    payload: &Payload,
    sources: Vec<(String, FeatureStoreSpec, Bytes)>,
    now: Timestamp,
) -> Result<Trained, Problem> {
    let broke = |error: anyhow::Error| Problem::internal(format!("the training process failed: {error:#}"));
    let mut trainer = Trainer::start(control, operation).await.map_err(|error| {
        Problem::new(503, "no-training-process", "The training process could not be started", format!("{error:#}"))
    })?;
    let run = ToTrain::Run { training: Box::new(payload.spec.training.clone()), now_micros: now.as_microsecond() };
    // The input stays open until the end: its end tells the process to stop.
    let feed = async {
        for (feature_store, spec, bytes) in sources {
            trainer.input.send(&ToTrain::Source { feature_store, spec: Box::new(spec) }, &bytes).await?;
        }
        trainer.input.send(&run, b"").await?;
        Ok::<_, crate::pipe::Error>(())
    };
    feed.await.map_err(|error| broke(error.into()))?;
    let mut artifacts = BTreeMap::new();
    loop {
        let frame = trainer.output.recv::<FromTrain>().await.map_err(|error| broke(error.into()))?;
        let Some((message, bytes)) = frame else {
            return Err(broke(anyhow::anyhow!(trainer.ended().await)));
        };
        match message {
            FromTrain::Progress { percent, message } => {
                let mut tx = control.store.begin().await.map_err(store_problem)?;
                // Superseded: a newer run took over, and this one is dropped with its process.
                operations::advance(&mut tx, &operation.id, operation.attempt, percent, &message)
                    .await
                    .map_err(store_problem)?;
                tx.commit().await.map_err(store_problem)?;
            }
            FromTrain::Artifact { name } => {
                artifacts.insert(name, bytes);
            }
            FromTrain::Done { signature, metrics, fairness, architecture } => {
                return Ok((artifacts, signature, metrics, fairness, architecture));
            }
            FromTrain::Failed { reason } => {
                return Err(Problem::new(422, "training-failed", "The training run failed", reason));
            }
        }
    }
}

/// The version, its aliases, the record and the operation: all or nothing.
async fn publish(
    control: &Control,
    operation: &operations::Operation,
    payload: &Payload,
    model: &records::Record,
    outcome: Outcome,
) -> Result<(), Problem> {
    let mut artifacts = BTreeMap::new();
    for (name, bytes) in &outcome.artifacts {
        let digest: Digest = control.store.blobs().put(&model.workspace, bytes.clone()).await.map_err(store_problem)?;
        artifacts.insert(name.clone(), digest);
    }
    let digest = outcome.document.lineage.spec_digest.clone();
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let known = versions::find(&mut tx, &model.workspace, &model.uid, &digest, &outcome.data_digest)
        .await
        .map_err(store_problem)?;
    let version = match known {
        Some(version) => version,
        None => {
            let metadata = to_json(&outcome.document)?;
            let new = versions::NewVersion {
                model_uid: &model.uid,
                workspace: &model.workspace,
                spec_digest: &digest,
                data_digest: &outcome.data_digest,
                artifacts: &artifacts,
                metadata: &metadata,
            };
            versions::insert(&mut tx, &new).await.map_err(store_problem)?
        }
    };
    versions::set_alias(&mut tx, &model.uid, CANDIDATE, version.version).await.map_err(store_problem)?;
    let passed = outcome.document.gates.iter().all(|gate| gate.passed);
    let promoted = match &payload.spec.promotion {
        Some(promotion) if promotion.when == PromoteWhen::Gates && passed => {
            versions::set_alias(&mut tx, &model.uid, &promotion.alias, version.version).await.map_err(store_problem)?;
            Some(promotion.alias.clone())
        }
        _ => None,
    };
    let message = format!("version {}", version.version);
    operations::finish(&mut tx, &operation.id, operation.attempt, operations::Outcome::Succeeded, &message)
        .await
        .map_err(store_problem)?;
    // Only a run of what is declared now says what the declared version is.
    if let Some(current) = records::get_by_uid(&mut tx, &model.uid).await.map_err(store_problem)? {
        let spec: ModelSpec = from_json(current.spec)?;
        let status: ModelStatus = from_json(current.status)?;
        let declared = spec_digest(&spec.training)? == digest;
        if declared && (payload.cause == Cause::Declared || status.version.is_none()) {
            let status = to_json(&registry::status_of(&version)?)?;
            records::update_status(&mut tx, &model.uid, &status).await.map_err(store_problem)?;
        }
        if declared && current.state != State::Ready {
            records::set_state(&mut tx, &model.uid, State::Ready).await.map_err(store_problem)?;
        }
    }
    let details = json!({
        "version": version.version,
        "cause": payload.cause,
        "promoted_to": promoted,
        "spec_digest": digest,
        "data_digest": outcome.data_digest,
    });
    tell(&mut tx, model, "model.version", details).await?;
    tx.commit().await.map_err(store_problem)?;
    control.serving.wake();
    Ok(())
}

async fn fail(
    control: &Control,
    operation: &operations::Operation,
    payload: &Payload,
    model: &records::Record,
    problem: Problem,
) -> Result<(), Problem> {
    if control.stop.is_cancelled() {
        // The run is taken up again by the next server.
        return Ok(());
    }
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let error = to_json(&problem)?;
    let outcome = operations::Outcome::Failed(&error);
    operations::finish(&mut tx, &operation.id, operation.attempt, outcome, &problem.detail)
        .await
        .map_err(store_problem)?;
    if payload.cause == Cause::Declared
        && let Some(current) = records::get_by_uid(&mut tx, &model.uid).await.map_err(store_problem)?
    {
        let status: ModelStatus = from_json(current.status)?;
        let status = to_json(&ModelStatus { failure: Some(problem.detail.clone()), ..status })?;
        records::update_status(&mut tx, &model.uid, &status).await.map_err(store_problem)?;
        records::set_state(&mut tx, &model.uid, State::Failed).await.map_err(store_problem)?;
    }
    tell(&mut tx, model, "model.training_failed", json!({ "cause": payload.cause, "reason": problem.detail })).await?;
    tx.commit().await.map_err(store_problem)?;
    Ok(())
}

async fn tell(tx: &mut Tx, model: &records::Record, action: &str, details: serde_json::Value) -> Result<(), Problem> {
    let event = audit::Event::allowed(&model.workspace, "runtime", action, &model.uid).details(details);
    audit::append(tx, &event).await.map_err(store_problem)?;
    Ok(())
}

/// SHA-256 over what the data of a run is: the sources' digests and the
/// moments that a moving window came to.
fn data_digest(sources: &BTreeMap<String, FeatureStoreSpec>, window: Option<&Window>, now: Timestamp) -> String {
    let mut text = String::new();
    for (name, spec) in sources {
        let location = match &spec.source.location {
            Location::Upload { digest } => digest,
            Location::Uri { uri } => uri,
        };
        text.push_str(&format!("{name}={location}\n"));
    }
    if matches!(window, Some(Window::Last(_))) {
        text.push_str(&format!("until={now}\n"));
    }
    crate::sha256_hex(text.as_bytes())
}

/// Takes up every unfinished operation, one at a time, until the server stops.
pub async fn worker(control: Arc<Control>) {
    let mut fresh = true;
    loop {
        match next(&control, fresh).await {
            Ok(Some(operation)) => {
                let work = tokio::select! {
                    () = control.stop.cancelled() => return,
                    work = run(&control, &operation) => work,
                };
                if let Err(problem) = work {
                    tracing::warn!(operation = operation.id, %problem, "a run was given up");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
                continue;
            }
            Ok(None) => fresh = false,
            Err(problem) => {
                tracing::error!(%problem, "operations cannot be read");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
        tokio::select! {
            () = control.stop.cancelled() => return,
            () = control.work.notified() => {}
        }
    }
}

/// The oldest unfinished operation. After a start it belongs to a server that
/// is gone: its attempt number rises, so that an orphan cannot finish it.
async fn next(control: &Control, fresh: bool) -> Result<Option<operations::Operation>, Problem> {
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let unfinished = operations::list_unfinished(&mut tx).await.map_err(store_problem)?;
    let Some(operation) = unfinished.into_iter().next() else { return Ok(None) };
    let operation = if fresh || operation.progress_percent > 0.0 {
        operations::bump_attempt(&mut tx, &operation.id).await.map_err(store_problem)?
    } else {
        operation
    };
    tx.commit().await.map_err(store_problem)?;
    Ok(Some(operation))
}
