//! A monitor: what an endpoint sees, compared with what its model learned from.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Duration, Kind, call::call};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor;

impl Kind for Monitor {
    const NAME: &'static str = "monitor";
    const PATH: &'static str = "/v1/workspaces/{workspace}/monitors/{name}";
    const LIST_PATH: &'static str = "/v1/workspaces/{workspace}/monitors";
    type Spec = MonitorSpec;
    type Status = MonitorStatus;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorSpec {
    /// Name of the endpoint, in the same workspace.
    pub endpoint: String,
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// How far back a run looks.
    pub window: Duration,
    #[serde(default)]
    pub drift: Drift,
    #[serde(default)]
    pub performance: Option<PerformanceFloor>,
    #[serde(default)]
    pub on_alert: OnAlert,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Five fields.
    pub cron: String,
    /// IANA name; default UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    pub default: DriftRule,
    /// By feature, or `prediction`.
    pub features: BTreeMap<String, DriftRule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftRule {
    pub method: DriftMethod,
    /// On the method's statistic; it drifted when the statistic is above.
    pub threshold: f64,
}

impl Default for DriftRule {
    fn default() -> Self {
        Self { method: DriftMethod::Auto, threshold: 0.1 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftMethod {
    /// By type and size of the sample.
    Auto,
    Psi,
    KolmogorovSmirnov,
    ChiSquared,
    JensenShannon,
    Wasserstein,
}

impl DriftMethod {
    pub const NAMES: [&'static str; 6] =
        ["auto", "psi", "kolmogorov_smirnov", "chi_squared", "jensen_shannon", "wasserstein"];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Psi => "psi",
            Self::KolmogorovSmirnov => "kolmogorov_smirnov",
            Self::ChiSquared => "chi_squared",
            Self::JensenShannon => "jensen_shannon",
            Self::Wasserstein => "wasserstein",
        }
    }
}

/// A floor (or, for errors, use a negative metric) under a metric once labels arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerformanceFloor {
    pub metric: String,
    pub min: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OnAlert {
    pub retrain: Option<RetrainRule>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrainRule {
    pub cooldown: Duration,
    pub max_per_month: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MonitorStatus {
    /// In a development workspace of a local cluster: a plain copy of the
    /// newest report, HTML, always at this path.
    pub report_file: Option<String>,
}

/// What a run of a monitor found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    pub id: String,
    pub monitor: String,
    pub endpoint: String,
    pub model: String,
    pub model_version: u32,
    pub at: Timestamp,
    /// First and last moment that was looked at.
    pub from: Timestamp,
    pub until: Timestamp,
    pub verdict: Verdict,
    /// One sentence for a person.
    pub summary: String,
    pub rows_baseline: u64,
    pub rows_current: u64,
    /// Most severe first: largest statistic relative to its threshold.
    pub features: Vec<FeatureDrift>,
    pub prediction: Option<FeatureDrift>,
    pub performance: Option<Performance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Too few rows to say.
    InsufficientData,
    NoMaterialDrift,
    Drift,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    pub feature: String,
    /// The method that was used: never `auto`.
    pub method: DriftMethod,
    pub statistic: f64,
    pub threshold: f64,
    pub drifted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_value: Option<f64>,
    /// Population stability index, whatever the method.
    pub psi: f64,
    pub missing_percent_baseline: f64,
    pub missing_percent_current: f64,
    pub distribution: Distribution,
}

/// Shares by bin, of the rows that have a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Category, or interval such as `[20, 30)`.
    pub bins: Vec<String>,
    pub baseline: Vec<f64>,
    pub current: Vec<f64>,
}

/// How good the predictions were, where labels have arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    pub metric: String,
    /// On the rows held out at training.
    pub baseline: f64,
    pub current: f64,
    pub labelled_rows: u64,
    pub min: Option<f64>,
    pub breached: bool,
}

call! {
    /// Runs a monitor now, over its window or over what came in since `from`.
    Post "/v1/workspaces/{workspace}/monitors/{monitor}/run" RunMonitor {
        workspace: String,
        monitor: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Timestamp>,
    } -> DriftReport
}

call! {
    /// The newest report of a monitor.
    Get "/v1/workspaces/{workspace}/monitors/{monitor}/reports/latest" GetLatestReport { workspace: String, monitor: String } -> DriftReport
}
