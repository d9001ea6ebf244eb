//! Monitors: what is declared, and when it runs.

mod captured;
mod run;

use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};

use croner::Cron;
use falaj_api::{
    Problem,
    endpoint::Endpoint,
    feature_store::DataType,
    monitor::{DriftReport, GetLatestReport, Monitor, MonitorSpec, MonitorStatus, RunMonitor},
    workspace::Environment,
};
use falaj_engine::drift::compare;
use falaj_store::{Tx, records, reports};
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    control::Control,
    http::Routes,
    identity::Principal,
    noun::{self, Noun},
    scope::{Scope, WorkspaceScope, find, scope},
    stored::{from_json, store_problem},
};

impl Noun for Monitor {
    async fn admit(
        control: &Control,
        scope: &Scope,
        name: &str,
        spec: &MonitorSpec,
        _: Option<&records::Record>,
    ) -> Result<MonitorStatus, Problem> {
        let mut session = control.store.read().await.map_err(store_problem)?;
        find::<Endpoint>(&mut session, scope, &spec.endpoint, "/spec/endpoint").await?;
        if let Some(schedule) = &spec.schedule {
            next(&schedule.cron, schedule.time_zone.as_deref(), Timestamp::now())
                .map_err(|error| Problem::invalid("/spec/schedule", error))?;
        }
        if spec.window.as_std() < Duration::from_secs(60) {
            return Err(Problem::invalid(
                "/spec/window",
                format!("{} is too short to compare: use at least 1m", spec.window),
            ));
        }
        let workspace = scope.workspace()?;
        check_drift(control, workspace, spec).await?;
        let plain = workspace.spec.environment == Environment::Development;
        let file = control.host.data.root().join("reports").join(&workspace.name).join(format!("{name}.html"));
        Ok(MonitorStatus { report_file: plain.then(|| file.display().to_string()) })
    }

    async fn removed(tx: &mut Tx, record: &records::Record) -> Result<(), Problem> {
        reports::delete_for(tx, &record.uid).await.map_err(store_problem)?;
        let status: MonitorStatus = from_json(record.status.clone())?;
        if let Some(file) = status.report_file {
            let _ = std::fs::remove_file(file);
        }
        Ok(())
    }
}

/// Checks that every rule names something the model takes or gives, a method
/// that is defined for it and a threshold.
async fn check_drift(control: &Control, workspace: &WorkspaceScope, spec: &MonitorSpec) -> Result<(), Problem> {
    let inputs = run::subject(control, &workspace.uid, &spec.endpoint).await?.document.signature.inputs;
    let rules =
        spec.drift.features.iter().map(|(name, rule)| (name.as_str(), format!("/spec/drift/features/{name}"), rule));
    for (name, pointer, rule) in rules.chain([("default", "/spec/drift/default".to_owned(), &spec.drift.default)]) {
        if !(rule.threshold > 0.0 && rule.threshold.is_finite()) {
            return Err(Problem::invalid(
                &format!("{pointer}/threshold"),
                "a threshold is a number over 0, such as 0.1",
            ));
        }
        let data_type = match inputs.iter().find(|input| input.name == name) {
            Some(input) => input.feature_type.unwrap_or(DataType::Float64),
            None if name == compare::PREDICTION => DataType::Float64,
            None if name == "default" => continue,
            None => {
                let known = inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(Problem::invalid(
                    &pointer,
                    format!("the model takes no {name:?}: name one of {known}, or prediction"),
                ));
            }
        };
        compare::check_method(name, rule.method, data_type)
            .map_err(|error| Problem::invalid(&format!("{pointer}/method"), error.to_string()))?;
    }
    Ok(())
}

/// When a schedule comes round again after a moment.
fn next(cron: &str, time_zone: Option<&str>, after: Timestamp) -> Result<Timestamp, String> {
    let wrong = |why: &dyn std::fmt::Display| {
        format!(
            "{cron:?} is not a schedule: {why}; write five fields, such as \"*/15 * * * *\" for every quarter of an hour"
        )
    };
    let zone = match time_zone {
        None => TimeZone::UTC,
        Some(name) => TimeZone::get(name)
            .map_err(|_| format!("{name:?} is not a time zone: use an IANA name such as \"Asia/Dubai\""))?,
    };
    if cron.split_whitespace().count() != 5 {
        return Err(wrong(&"it has not five fields"));
    }
    let schedule = Cron::from_str(cron).map_err(|error| wrong(&error))?;
    let next = schedule.find_next_occurrence(&after.to_zoned(zone), false).map_err(|error| wrong(&error))?;
    Ok(next.timestamp())
}

/// How often it is looked whether a monitor is due.
const PERIOD: Duration = Duration::from_secs(10);

/// Runs monitors when they are due, until the server stops.
pub async fn scheduler(control: Arc<Control>) {
    let mut due: BTreeMap<String, (i64, Timestamp)> = BTreeMap::new();
    loop {
        tokio::select! {
            () = control.stop.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        if let Err(problem) = tick(&control, &mut due).await {
            tracing::error!(%problem, "monitors could not be run");
        }
    }
}

/// `due` holds, by monitor, the generation that was looked at and when it is due.
async fn tick(control: &Arc<Control>, due: &mut BTreeMap<String, (i64, Timestamp)>) -> Result<(), Problem> {
    let declared = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        records::list_kind(&mut session, "monitor").await.map_err(store_problem)?
    };
    due.retain(|uid, _| declared.iter().any(|monitor| monitor.uid == *uid));
    let now = Timestamp::now();
    for monitor in declared {
        let spec: MonitorSpec = from_json(monitor.spec.clone())?;
        let Some(schedule) = &spec.schedule else { continue };
        let next = next(&schedule.cron, schedule.time_zone.as_deref(), now)
            .map_err(|e| Problem::invalid("/spec/schedule", e))?;
        let entry = due.entry(monitor.uid.clone()).or_insert((monitor.generation, next));
        if entry.0 != monitor.generation {
            *entry = (monitor.generation, next);
        }
        if entry.1 <= now {
            *entry = (monitor.generation, next);
            if let Err(problem) = run::run(control, &monitor, &spec, None).await {
                tracing::warn!(monitor = monitor.name, %problem, "a monitor could not be run");
            }
        }
    }
    Ok(())
}

async fn run_now(control: Arc<Control>, _: Principal, call: RunMonitor) -> Result<DriftReport, Problem> {
    let (record, spec) = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        let scope = scope(&mut session, Some(&call.workspace)).await?;
        find::<Monitor>(&mut session, &scope, &call.monitor, "/monitor").await?
    };
    run::run(&control, &record, &spec, call.from).await
}

async fn latest(control: Arc<Control>, _: Principal, call: GetLatestReport) -> Result<DriftReport, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let scope = scope(&mut session, Some(&call.workspace)).await?;
    let (record, _) = find::<Monitor>(&mut session, &scope, &call.monitor, "/monitor").await?;
    let report = reports::latest(&mut session, &record.uid).await.map_err(store_problem)?;
    let report = report.ok_or_else(|| Problem::not_found(format!("a report of the monitor {:?}", call.monitor)))?;
    from_json(report.body)
}

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    noun::routes::<Monitor>(routes).call::<RunMonitor, _, _>(run_now).call::<GetLatestReport, _, _>(latest)
}
