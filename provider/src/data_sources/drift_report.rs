//! `data.falaj_drift_report`: what a monitor found last.

use std::collections::BTreeMap;

use falaj_api::monitor::{FeatureDrift, GetLatestReport, Performance};
use tfplugin::{Attr, Context, DataSource, Diagnostic, Diagnostics, Model};

use super::{failed, identify};
use crate::attributes::chosen;
use crate::connection::Shared;

/// The newest report of a monitor: how far what its endpoint sees has moved.
///
/// Before the monitor has run there is none, which is an error.
#[derive(Model, Debug, Clone)]
pub struct DriftReportModel {
    /// Id of the monitor.
    #[attr(required)]
    pub monitor_id: Attr<String>,
    /// Id of the report.
    #[attr(computed)]
    pub id: Attr<String>,
    /// Version of the model that answered.
    #[attr(computed)]
    pub model_version: Attr<u32>,
    /// When it was made, UTC.
    #[attr(computed)]
    pub at: Attr<String>,
    /// The first moment that was looked at, UTC.
    #[attr(computed)]
    pub from: Attr<String>,
    /// The last moment that was looked at, UTC.
    #[attr(computed)]
    pub until: Attr<String>,
    /// What comes of it: `no_material_drift`, `drift` or `insufficient_data`.
    #[attr(computed)]
    pub verdict: Attr<String>,
    /// The verdict in a sentence.
    #[attr(computed)]
    pub summary: Attr<String>,
    /// Rows of the training that were compared with.
    #[attr(computed)]
    pub rows_baseline: Attr<u64>,
    /// Rows of the traffic.
    #[attr(computed)]
    pub rows_current: Attr<u64>,
    /// Drift of each feature, by name.
    #[attr(computed)]
    pub features: Attr<BTreeMap<String, FeatureDriftModel>>,
    /// Drift of the model's answers.
    #[attr(computed)]
    pub prediction: Attr<FeatureDriftModel>,
    /// How good the answers were, once outcomes are reported.
    #[attr(computed)]
    pub performance: Attr<PerformanceModel>,
}

/// How far one feature has moved.
#[derive(Model, Debug, Clone)]
pub struct FeatureDriftModel {
    /// Method that was used.
    #[attr(computed)]
    pub method: Attr<String>,
    /// What the method measured.
    #[attr(computed)]
    pub statistic: Attr<f64>,
    /// A statistic above this is drift.
    #[attr(computed)]
    pub threshold: Attr<f64>,
    /// Whether the statistic is above the threshold.
    #[attr(computed)]
    pub drifted: Attr<bool>,
    /// Its p-value, where the method has one.
    #[attr(computed)]
    pub p_value: Attr<f64>,
    /// Population stability index, whatever the method.
    #[attr(computed)]
    pub psi: Attr<f64>,
    /// Share of rows without a value at training, in percent.
    #[attr(computed)]
    pub missing_percent_baseline: Attr<f64>,
    /// Share of rows without a value in the traffic, in percent.
    #[attr(computed)]
    pub missing_percent_current: Attr<f64>,
}

/// How good the answers were.
#[derive(Model, Debug, Clone)]
pub struct PerformanceModel {
    /// Metric, such as `auc`.
    #[attr(computed)]
    pub metric: Attr<String>,
    /// The metric on the rows held out at training.
    #[attr(computed)]
    pub baseline: Attr<f64>,
    /// The metric on the rows of the traffic that have an outcome.
    #[attr(computed)]
    pub current: Attr<f64>,
    /// How many rows have one.
    #[attr(computed)]
    pub labelled_rows: Attr<u64>,
    /// Floor that the monitor declares.
    #[attr(computed)]
    pub min: Attr<f64>,
    /// Whether `current` is below the floor.
    #[attr(computed)]
    pub breached: Attr<bool>,
}

impl From<FeatureDrift> for FeatureDriftModel {
    fn from(drift: FeatureDrift) -> Self {
        Self {
            method: chosen(&drift.method),
            statistic: drift.statistic.into(),
            threshold: drift.threshold.into(),
            drifted: drift.drifted.into(),
            p_value: drift.p_value.into(),
            psi: drift.psi.into(),
            missing_percent_baseline: drift.missing_percent_baseline.into(),
            missing_percent_current: drift.missing_percent_current.into(),
        }
    }
}

impl From<Performance> for PerformanceModel {
    fn from(performance: Performance) -> Self {
        Self {
            metric: performance.metric.into(),
            baseline: performance.baseline.into(),
            current: performance.current.into(),
            labelled_rows: performance.labelled_rows.into(),
            min: performance.min.into(),
            breached: performance.breached.into(),
        }
    }
}

/// `data.falaj_drift_report`.
pub struct DriftReportSource;

impl DataSource for DriftReportSource {
    type Shared = Shared;
    type Model = DriftReportModel;
    const NAME: &'static str = "falaj_drift_report";

    async fn read(&self, ctx: &Context<Shared>, config: DriftReportModel) -> Result<DriftReportModel, Diagnostics> {
        let (id, workspace) = identify(&config.monitor_id, "monitor", "monitor_id")?;
        let connection = ctx.shared()?.connect(&id.place.cluster).await?;
        let monitor = id.place.name().to_owned();
        let what = format!("the newest report of the monitor {monitor:?}");
        let report = connection.call(&GetLatestReport { workspace: workspace.clone(), monitor: monitor.clone() }).await;
        let report = report.map_err(|error| match error.is_not_found() {
            true => Diagnostic::error(format!("There is no report of the monitor {monitor:?} yet"))
                .detail(format!(
                    "It has not run: give it a schedule, or run `falaj monitor run {workspace}/{monitor}`."
                ))
                .at("monitor_id")
                .into(),
            false => failed(&error, &what),
        })?;
        let features = report.features.into_iter().map(|drift| (drift.feature.clone(), drift.into()));
        Ok(DriftReportModel {
            monitor_id: config.monitor_id,
            id: report.id.into(),
            model_version: report.model_version.into(),
            at: report.at.to_string().into(),
            from: report.from.to_string().into(),
            until: report.until.to_string().into(),
            verdict: chosen(&report.verdict),
            summary: report.summary.into(),
            rows_baseline: report.rows_baseline.into(),
            rows_current: report.rows_current.into(),
            features: Attr::Known(features.collect()),
            prediction: report.prediction.map(FeatureDriftModel::from).into(),
            performance: report.performance.map(PerformanceModel::from).into(),
        })
    }
}
