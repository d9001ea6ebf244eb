//! One run of a monitor: from sealed captures to a report, an alarm and, where
//! declared, a new training run.

use std::time::Duration;

use falaj_api::{
    Problem,
    endpoint::{Endpoint, EndpointSpec, Variant},
    feature_store::DataType,
    model::{Model, ModelVersion},
    monitor::{DriftReport, MonitorSpec, MonitorStatus, Performance, RetrainRule, Verdict},
    workspace::Workspace,
};
use falaj_engine::{
    drift::compare,
    metrics::performance::performance,
    model::{PROBABILITY, Task},
    report,
};
use falaj_store::{Tx, audit, operations, records, reports, versions};
use jiff::Timestamp;
use serde_json::json;

use super::captured::{self, Seen, Wanted};
use crate::{
    control::Control,
    data_dir::{private_dir, write_private},
    model::{resolve, training, version_document},
    scope::{Scope, WorkspaceScope, find},
    serving::capture_key,
    stored::{from_json, store_problem, to_json},
    train::{protocol::BASELINE, read_ipc},
};

/// Months are counted as thirty days.
const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What a run needs to know of the objects around the monitor.
pub(super) struct Subject {
    workspace: WorkspaceScope,
    endpoint: records::Record,
    model: records::Record,
    variant: String,
    version: versions::Version,
    pub(super) document: ModelVersion,
}

/// # Errors
/// The endpoint serves nothing yet, or what it captured cannot be read.
pub async fn run(
    control: &Control,
    monitor: &records::Record,
    spec: &MonitorSpec,
    from: Option<Timestamp>,
) -> Result<DriftReport, Problem> {
    let subject = subject(control, &monitor.workspace, &spec.endpoint).await?;
    let until = Timestamp::now();
    let from = match from {
        Some(from) => from,
        None => until
            .checked_sub(spec.window.as_std())
            .map_err(|error| Problem::invalid("/spec/window", error.to_string()))?,
    };
    let unreadable = |error: anyhow::Error| Problem::internal(format!("{error:#}"));
    control.serving.flush(&subject.workspace.uid).await.map_err(unreadable)?;

    let outputs = &subject.document.signature.outputs;
    let output = outputs.first().map(|output| output.name.clone()).unwrap_or_default();
    let wanted = Wanted {
        endpoint: subject.endpoint.name.clone(),
        variant: subject.variant.clone(),
        model_version: subject.document.version,
        from,
        until: Timestamp::now(),
        inputs: subject.document.signature.inputs.iter().map(|input| input.name.clone()).collect(),
        output,
    };
    let keys =
        control.store.keys(&capture_key(&subject.workspace.uid, &subject.endpoint.uid)).await.map_err(store_problem)?;
    let directory = control.host.data.root().join("captures").join(&subject.workspace.uid).join(&subject.endpoint.uid);
    let baseline =
        subject.version.artifacts.get(BASELINE).ok_or_else(|| Problem::internal("the version has no baseline"))?;
    let baseline = control.store.blobs().get(&subject.workspace.uid, baseline).await.map_err(store_problem)?;

    let work = Work {
        monitor: monitor.name.clone(),
        spec: spec.clone(),
        document: subject.document.clone(),
        wanted,
        from,
        until,
    };
    let report = tokio::task::spawn_blocking(move || {
        let seen = captured::read(&directory, &keys.file_key(), &work.wanted)?;
        work.compare(&baseline, &seen)
    })
    .await
    .map_err(|error| unreadable(error.into()))?
    .map_err(unreadable)?;
    keep(control, monitor, spec, &subject, &report).await?;
    Ok(report)
}

/// Finds the endpoint's leading variant and the version it serves.
pub(super) async fn subject(control: &Control, workspace_uid: &str, endpoint: &str) -> Result<Subject, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let workspace = records::get_by_uid(&mut session, workspace_uid).await.map_err(store_problem)?;
    let workspace = workspace.ok_or_else(|| Problem::not_found("the workspace"))?;
    let workspace = WorkspaceScope {
        uid: workspace.uid,
        name: workspace.name,
        spec: from_json::<<Workspace as falaj_api::Kind>::Spec>(workspace.spec)?,
    };
    let scope = Scope { workspace: Some(workspace.clone()) };
    let (endpoint, declared) = find::<Endpoint>(&mut session, &scope, endpoint, "/spec/endpoint").await?;
    let (variant, leading) = leading(&declared).ok_or_else(|| Problem::internal("the endpoint has no variant"))?;
    let (model, _) = find::<Model>(&mut session, &scope, &leading.model, "/spec/endpoint").await?;
    let name = leading.version.map(|version| version.to_string()).or_else(|| leading.alias.clone()).unwrap_or_default();
    let version = resolve(&mut session, &model.uid, &name).await?;
    let version = version.ok_or_else(|| Problem::conflict(format!("the variant {variant:?} serves no version yet")))?;
    let document = version_document(&mut session, &version).await?;
    Ok(Subject { workspace, endpoint, model, variant, version, document })
}

/// The variant with the largest share of the traffic.
fn leading(spec: &EndpointSpec) -> Option<(String, Variant)> {
    let weighted = spec.variants.iter().filter(|(_, variant)| !variant.shadow);
    weighted
        .max_by_key(|(_, variant)| variant.weight.unwrap_or(100))
        .map(|(name, variant)| (name.clone(), variant.clone()))
}

struct Work {
    monitor: String,
    spec: MonitorSpec,
    document: ModelVersion,
    wanted: Wanted,
    from: Timestamp,
    until: Timestamp,
}

impl Work {
    fn compare(&self, baseline: &[u8], seen: &Seen) -> anyhow::Result<DriftReport> {
        let baseline = read_ipc(baseline)?;
        let features: Vec<(String, DataType)> = self
            .document
            .signature
            .inputs
            .iter()
            .map(|input| (input.name.clone(), input.feature_type.unwrap_or(DataType::Float64)))
            .collect();
        let none = arrow::array::RecordBatch::new_empty(baseline.schema());
        let current = seen.rows.as_ref().unwrap_or(&none);
        let outcome = compare::compare(&baseline, current, &features, &self.spec.drift)?;
        let performance = self.performance(seen)?;
        Ok(DriftReport {
            id: uuid::Uuid::now_v7().to_string(),
            monitor: self.monitor.clone(),
            endpoint: self.wanted.endpoint.clone(),
            model: self.document.model.clone(),
            model_version: self.document.version,
            at: Timestamp::now(),
            from: self.from,
            until: self.until,
            verdict: outcome.verdict,
            summary: report::summary(&outcome, performance.as_ref()),
            rows_baseline: outcome.rows_baseline,
            rows_current: outcome.rows_current,
            features: outcome.features,
            prediction: outcome.prediction,
            performance,
        })
    }

    /// How good the answers were that have a label by now.
    fn performance(&self, seen: &Seen) -> anyhow::Result<Option<Performance>> {
        let Some(rows) = &seen.rows else { return Ok(None) };
        let scores = falaj_engine::column::numeric(rows, captured::SCORE)?;
        let labelled: (Vec<f64>, Vec<f64>) =
            scores.iter().zip(&seen.labels).filter_map(|(score, label)| Some((*score, (*label)?))).unzip();
        let (scores, labels) = labelled;
        let task = if self.wanted.output == PROBABILITY { Task::Classification } else { Task::Regression };
        let declared = self.spec.performance.as_ref();
        let usual = if task == Task::Classification { "auc" } else { "rmse" };
        let metric = declared.map_or(usual, |floor| floor.metric.as_str());
        let Some(baseline) = self.document.metrics.get(metric).copied() else { return Ok(None) };
        Ok(performance(task, metric, baseline, declared, &labels, &scores)?)
    }
}

/// Records the report, tells the audit chain, and acts on an alarm.
async fn keep(
    control: &Control,
    monitor: &records::Record,
    spec: &MonitorSpec,
    subject: &Subject,
    report: &DriftReport,
) -> Result<(), Problem> {
    let alarm = report.verdict == Verdict::Drift || report.performance.as_ref().is_some_and(|p| p.breached);
    let verdict = to_json(&report.verdict)?;
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let stored = reports::Report {
        id: report.id.clone(),
        monitor_uid: monitor.uid.clone(),
        workspace: monitor.workspace.clone(),
        verdict: verdict.as_str().unwrap_or_default().to_owned(),
        body: to_json(report)?,
        created_at: report.at,
    };
    reports::insert(&mut tx, &stored).await.map_err(store_problem)?;
    let retrained = match &spec.on_alert.retrain {
        Some(rule) if alarm && may_retrain(&mut tx, &subject.model, rule).await? => {
            training::start(&mut tx, &subject.model, training::Cause::Drift).await?;
            true
        }
        _ => false,
    };
    let action = if alarm { "monitor.alarm" } else { "monitor.report" };
    let event = audit::Event::allowed(&monitor.workspace, "runtime", action, &monitor.uid);
    let details = json!({ "report": report.id, "verdict": verdict, "summary": report.summary, "retrains": retrained });
    audit::append(&mut tx, &event.details(details)).await.map_err(store_problem)?;
    tx.commit().await.map_err(store_problem)?;
    if retrained {
        control.work.notify_one();
    }
    let status: MonitorStatus = from_json(monitor.status.clone())?;
    if let Some(file) = status.report_file {
        let file = std::path::PathBuf::from(file);
        let written = file.parent().map_or(Ok(()), private_dir);
        let written = written.and_then(|()| write_private(&file, report::html(report).as_bytes()));
        written.map_err(|error| Problem::internal(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

/// Whether the declared limits leave room for another run.
async fn may_retrain(tx: &mut Tx, model: &records::Record, rule: &RetrainRule) -> Result<bool, Problem> {
    let now = Timestamp::now();
    let since = |length: Duration| now.checked_sub(length).unwrap_or(Timestamp::MIN);
    let last = operations::latest(tx, &model.uid).await.map_err(store_problem)?;
    if last.is_some_and(|last| last.created_at > since(rule.cooldown.as_std())) {
        return Ok(false);
    }
    let versions = versions::list(tx, &model.uid).await.map_err(store_problem)?;
    let recent = versions.iter().filter(|version| version.created_at > since(MONTH)).count();
    Ok(recent < usize::try_from(rule.max_per_month).unwrap_or(usize::MAX))
}
