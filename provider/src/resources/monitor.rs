//! `falaj_monitor`: what an endpoint sees, against what its model learned from.

use std::collections::BTreeMap;

use falaj_api::endpoint::Endpoint as EndpointKind;
use falaj_api::monitor::{self as api, DriftMethod, DriftRule, MonitorSpec, MonitorStatus};
use tfplugin::{Attr, AttributePath, Diagnostics, Model, Span, Timeouts, validate};

use super::declared::{Declared, Finder};
use super::workspace::no_labels;
use crate::attributes::labels::Labels;
use crate::attributes::{PostureModel, choice, chosen, duration, object, rules, span, want, wanted};

/// Compares what an endpoint sees with what its model learned from, and says when they part.
///
/// It reads what the endpoint captures, so the endpoint needs `capture`. Its reports
/// are in the data source `falaj_drift_report`: what happens to a running model is never
/// a change in a plan.
#[derive(Model, Debug, Clone)]
pub struct MonitorModel {
    /// `<region>/<cluster>/<workspace>/monitor/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the endpoint it watches.
    #[attr(required, replace)]
    pub endpoint_id: Attr<String>,
    /// Name, unique in the workspace: 2 to 63 lower-case letters, digits and hyphens.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// When it runs by itself. Unset: on demand only.
    #[attr(optional)]
    pub schedule: Attr<ScheduleModel>,
    /// How far back a run looks, such as `7d`.
    #[attr(default = "24h", validate = [rules::duration()])]
    pub window: Attr<Span>,
    /// How drift is measured. Unset: by a method that fits each feature's type and number of rows.
    #[attr(optional)]
    pub drift: Attr<DriftModel>,
    /// Floor under a metric, checked once outcomes are reported.
    #[attr(optional)]
    pub performance: Attr<PerformanceModel>,
    /// What an alert does.
    #[attr(optional)]
    pub on_alert: Attr<OnAlertModel>,
    /// File with the newest report, a page with plots. In a development workspace of a local cluster only; else null.
    #[attr(computed)]
    pub report_file: Attr<String>,
    /// Labels; they win over the provider's.
    #[attr(default = no_labels())]
    pub labels: Attr<Labels>,
    /// These labels with the provider's.
    #[attr(computed)]
    pub effective_labels: Attr<Labels>,
    /// What a policy needs to know of it, at plan already wherever it can be known.
    #[attr(computed, local)]
    pub posture: Attr<PostureModel>,
    /// How long each operation may take.
    #[attr(optional)]
    pub timeouts: Attr<Timeouts>,
}
object!(MonitorModel);

/// When a monitor runs.
#[derive(Model, Debug, Clone)]
pub struct ScheduleModel {
    /// Minute, hour, day of month, month and day of week, such as `*/15 * * * *`.
    #[attr(required, validate = [rules::cron()])]
    pub cron: Attr<String>,
    /// IANA name of its time zone, such as `Asia/Dubai`. Unset: UTC.
    #[attr(optional, validate = [validate::not_empty()])]
    pub time_zone: Attr<String>,
}

/// How drift is measured.
#[derive(Model, Debug, Clone)]
pub struct DriftModel {
    /// Rule of every feature that is not named in `features`.
    #[attr(optional)]
    pub default: Attr<DriftRuleModel>,
    /// Rules by feature, or for `prediction`, the model's answers.
    #[attr(optional)]
    pub features: Attr<BTreeMap<String, DriftRuleModel>>,
}

/// A method and from where its statistic is drift.
#[derive(Model, Debug, Clone)]
pub struct DriftRuleModel {
    /// Method: `auto`, `psi`, `kolmogorov_smirnov`, `chi_squared`, `jensen_shannon` or `wasserstein`.
    #[attr(default = "auto", validate = [validate::one_of(DriftMethod::NAMES)])]
    pub method: Attr<String>,
    /// The feature has drifted when the method's statistic is above this.
    #[attr(default = DriftRule::default().threshold, validate = [rules::positive()])]
    pub threshold: Attr<f64>,
}

/// A floor under a metric.
#[derive(Model, Debug, Clone)]
pub struct PerformanceModel {
    /// Metric, such as `auc`.
    #[attr(required, validate = [validate::not_empty()])]
    pub metric: Attr<String>,
    /// An alert when the metric is below this.
    #[attr(required)]
    pub min: Attr<f64>,
}

/// What an alert sets off.
#[derive(Model, Debug, Clone)]
pub struct OnAlertModel {
    /// Trains the model again, as it is declared, on the data of then.
    #[attr(optional)]
    pub retrain: Attr<RetrainModel>,
}

/// How often an alert may train again.
#[derive(Model, Debug, Clone)]
pub struct RetrainModel {
    /// Least time since the training before, such as `24h`.
    #[attr(required, validate = [rules::duration()])]
    pub cooldown: Attr<Span>,
    /// Most trainings of a calendar month.
    #[attr(required, validate = [rules::at_least(1)])]
    pub max_per_month: Attr<u32>,
}

/// `falaj_monitor`.
pub struct Monitor;

impl Declared for Monitor {
    type Kind = api::Monitor;
    type Model = MonitorModel;
    const NAME: &'static str = "falaj_monitor";
    const PARENT: (&'static str, &'static str) = ("endpoint_id", "endpoint");

    fn parent(model: &MonitorModel) -> &Attr<String> {
        &model.endpoint_id
    }

    fn parent_mut(model: &mut MonitorModel) -> &mut Attr<String> {
        &mut model.endpoint_id
    }

    fn spec(model: &MonitorModel, labels: Labels) -> Result<MonitorSpec, Diagnostics> {
        let endpoint: falaj_api::Id = wanted(&model.endpoint_id, "endpoint_id")?;
        Ok(MonitorSpec {
            endpoint: endpoint.place.name().to_owned(),
            schedule: model.schedule.known().map(schedule).transpose()?,
            window: duration(want(&model.window, "window")?, "window")?,
            drift: model.drift.known().map(drift).transpose()?.unwrap_or_default(),
            performance: model.performance.known().map(performance).transpose()?,
            on_alert: model.on_alert.known().map(on_alert).transpose()?.unwrap_or_default(),
            labels,
        })
    }

    fn labels(spec: &MonitorSpec) -> &Labels {
        &spec.labels
    }

    async fn declare(model: &mut MonitorModel, spec: &MonitorSpec, finder: &Finder<'_>) -> Result<(), Diagnostics> {
        if model.endpoint_id.is_null() {
            model.endpoint_id = finder.id::<EndpointKind>(&spec.endpoint).await?.into();
        }
        let schedule = spec.schedule.as_ref().map(|schedule| ScheduleModel {
            cron: schedule.cron.clone().into(),
            time_zone: schedule.time_zone.clone().into(),
        });
        model.schedule = schedule.into();
        model.window = span(spec.window);
        model.drift = (spec.drift != api::Drift::default()).then(|| declared_drift(&spec.drift)).into();
        let performance = spec.performance.as_ref().map(|performance| PerformanceModel {
            metric: performance.metric.clone().into(),
            min: performance.min.into(),
        });
        model.performance = performance.into();
        let on_alert = spec.on_alert.retrain.as_ref().map(|retrain| OnAlertModel {
            retrain: Attr::Known(RetrainModel {
                cooldown: span(retrain.cooldown),
                max_per_month: retrain.max_per_month.into(),
            }),
        });
        model.on_alert = on_alert.into();
        Ok(())
    }

    fn observe(model: &mut MonitorModel, status: &MonitorStatus) {
        model.report_file = status.report_file.clone().into();
    }

    fn expect(model: &mut MonitorModel) {
        model.report_file = Attr::unknown();
    }
}

fn schedule(model: &ScheduleModel) -> Result<api::Schedule, Diagnostics> {
    let path = AttributePath::root("schedule");
    Ok(api::Schedule {
        cron: want(&model.cron, path.attribute("cron"))?.clone(),
        time_zone: model.time_zone.known().cloned(),
    })
}

fn drift(model: &DriftModel) -> Result<api::Drift, Diagnostics> {
    let path = AttributePath::root("drift");
    let features = model.features.known().into_iter().flatten();
    let features = features.map(|(name, model)| {
        let path = path.attribute("features").key(name.clone());
        Ok((name.clone(), drift_rule(model, &path)?))
    });
    Ok(api::Drift {
        default: match model.default.known() {
            Some(model) => drift_rule(model, &path.attribute("default"))?,
            None => DriftRule::default(),
        },
        features: features.collect::<Result<_, Diagnostics>>()?,
    })
}

fn drift_rule(model: &DriftRuleModel, path: &AttributePath) -> Result<DriftRule, Diagnostics> {
    Ok(DriftRule {
        method: choice(&model.method, path.attribute("method"))?,
        threshold: *want(&model.threshold, path.attribute("threshold"))?,
    })
}

fn declared_drift(drift: &api::Drift) -> DriftModel {
    let model = |rule: &DriftRule| DriftRuleModel { method: chosen(&rule.method), threshold: rule.threshold.into() };
    let features = drift.features.iter().map(|(name, rule)| (name.clone(), model(rule)));
    DriftModel {
        default: (drift.default != DriftRule::default()).then(|| model(&drift.default)).into(),
        features: (!drift.features.is_empty()).then(|| features.collect()).into(),
    }
}

fn performance(model: &PerformanceModel) -> Result<api::PerformanceFloor, Diagnostics> {
    let path = AttributePath::root("performance");
    Ok(api::PerformanceFloor {
        metric: want(&model.metric, path.attribute("metric"))?.clone(),
        min: *want(&model.min, path.attribute("min"))?,
    })
}

fn on_alert(model: &OnAlertModel) -> Result<api::OnAlert, Diagnostics> {
    let path = AttributePath::root("on_alert").attribute("retrain");
    let retrain = |model: &RetrainModel| -> Result<api::RetrainRule, Diagnostics> {
        let cooldown = path.attribute("cooldown");
        Ok(api::RetrainRule {
            cooldown: duration(want(&model.cooldown, cooldown.clone())?, cooldown)?,
            max_per_month: *want(&model.max_per_month, path.attribute("max_per_month"))?,
        })
    };
    Ok(api::OnAlert { retrain: model.retrain.known().map(retrain).transpose()? })
}
