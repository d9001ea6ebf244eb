//! The `training` attribute: everything a training run depends on, but the data.

use std::collections::{BTreeMap, BTreeSet};

use falaj_api::model::{Mlp, Ridge, Split};
use tfplugin::{Attr, AttributePath, Diagnostics, Model, Span, Value, validate};

use crate::attributes::rules;

/// How a model is trained. Exactly one algorithm: `linear`, `logistic` or `mlp`.
#[derive(Model, Debug, Clone)]
pub struct TrainingModel {
    /// What it learns from, by a name of your choice.
    #[attr(required, validate = [validate::not_empty()])]
    pub features: Attr<BTreeMap<String, FeatureViewModel>>,
    /// What it learns to predict.
    #[attr(required)]
    pub label: Attr<LabelModel>,
    /// Features of the label's store whose groups are compared for fairness. They are never an input.
    #[attr(default = Value::Set(Vec::new()))]
    pub protected: Attr<BTreeSet<String>>,
    /// What the model is for. It must be among the `purposes` of every feature that has any.
    #[attr(optional, validate = [validate::not_empty()])]
    pub purpose: Attr<String>,
    /// Which rows take part: `last`, or `from` and `until`. Unset: all.
    #[attr(optional)]
    pub window: Attr<WindowModel>,
    /// Least squares with a ridge penalty, to predict a number; `{}` takes the defaults.
    #[attr(optional)]
    pub linear: Attr<RidgeModel>,
    /// Logistic regression with a ridge penalty, to predict yes or no; `{}` takes the defaults.
    #[attr(optional)]
    pub logistic: Attr<RidgeModel>,
    /// Multilayer perceptron with ReLU, to predict yes or no where the label is 0 and 1, and a number elsewhere; `{}` takes the defaults.
    #[attr(optional)]
    pub mlp: Attr<MlpModel>,
    /// How it is measured, on rows that training does not see.
    #[attr(default = default_evaluation())]
    pub evaluation: Attr<EvaluationModel>,
    /// Seed of everything random.
    #[attr(default = 7)]
    pub seed: Attr<i64>,
    /// Values of your choice; any change trains again on the data of then.
    #[attr(default = Value::Map(BTreeMap::new()))]
    pub triggers: Attr<BTreeMap<String, String>>,
}

/// Some features of one store.
#[derive(Model, Debug, Clone)]
pub struct FeatureViewModel {
    /// Id of the feature store, in the same workspace.
    #[attr(required)]
    pub feature_store_id: Attr<String>,
    /// Names of the features.
    #[attr(required, validate = [validate::not_empty()])]
    pub names: Attr<BTreeSet<String>>,
}

/// What is learnt.
#[derive(Model, Debug, Clone)]
pub struct LabelModel {
    /// Column of the feature store's source.
    #[attr(required, validate = [validate::not_empty()])]
    pub column: Attr<String>,
    /// Id of the feature store, in the same workspace.
    #[attr(required)]
    pub feature_store_id: Attr<String>,
}

/// Either `last`, or `from` and `until`.
#[derive(Model, Debug, Clone)]
pub struct WindowModel {
    /// The time before the run starts, such as `365d`.
    #[attr(optional, validate = [rules::duration()])]
    pub last: Attr<Span>,
    /// First moment, such as `2015-01-01T00:00:00Z`.
    #[attr(optional, validate = [rules::timestamp()], same = rules::same_moment)]
    pub from: Attr<String>,
    /// First moment that is no longer part of it.
    #[attr(optional, validate = [rules::timestamp()], same = rules::same_moment)]
    pub until: Attr<String>,
}

/// A linear model.
#[derive(Model, Debug, Clone)]
pub struct RidgeModel {
    /// Penalty on the squared weights, per row.
    #[attr(default = Ridge::default().l2, validate = [validate::range(0, f64::MAX)])]
    pub l2: Attr<f64>,
    /// Most steps of the solver.
    #[attr(default = i64::from(Ridge::default().max_iterations), validate = [rules::at_least(1)])]
    pub max_iterations: Attr<u32>,
}

/// A multilayer perceptron with ReLU.
#[derive(Model, Debug, Clone)]
pub struct MlpModel {
    /// Units of each hidden layer.
    #[attr(default = default_layers(), validate = [validate::not_empty(), validate::each(validate::range(1, 4096))])]
    pub hidden_layers: Attr<Vec<u32>>,
    /// How often training sees all rows.
    #[attr(default = i64::from(Mlp::default().epochs), validate = [rules::at_least(1)])]
    pub epochs: Attr<u32>,
    /// Rows of a step.
    #[attr(default = i64::from(Mlp::default().batch_size), validate = [rules::at_least(1)])]
    pub batch_size: Attr<u32>,
    /// Length of a step of the optimiser.
    #[attr(default = Mlp::default().learning_rate, validate = [rules::positive()])]
    pub learning_rate: Attr<f64>,
    /// Share of the units that are left out of a step, from 0 to below 1.
    #[attr(default = Mlp::default().dropout, validate = [validate::range(0, 0.99)])]
    pub dropout: Attr<f64>,
    /// Penalty on the squared weights.
    #[attr(default = Mlp::default().l2, validate = [validate::range(0, f64::MAX)])]
    pub l2: Attr<f64>,
}

/// How a model is measured.
#[derive(Model, Debug, Clone)]
pub struct EvaluationModel {
    /// Which rows are held out: `time` (the latest) or `random` (drawn with the seed).
    #[attr(default = "time", validate = [validate::one_of(Split::NAMES)])]
    pub split: Attr<String>,
    /// Share of the rows that are held out, in percent.
    #[attr(default = 20, validate = [rules::share_percent()])]
    pub holdout_percent: Attr<f64>,
}

fn default_evaluation() -> Value {
    [("split", Value::from("time")), ("holdout_percent", Value::from(20))].into_iter().collect()
}

fn default_layers() -> Value {
    Value::List(Mlp::default().hidden_layers.into_iter().map(|units| Value::from(i64::from(units))).collect())
}

impl TrainingModel {
    /// The ids of feature stores it names, with their paths.
    pub fn stores<'m>(&'m self, path: &AttributePath) -> Vec<(&'m Attr<String>, AttributePath)> {
        let mut stores = Vec::new();
        for (name, view) in self.features.known().into_iter().flatten() {
            let path = path.attribute("features").key(name.clone()).attribute("feature_store_id");
            stores.push((&view.feature_store_id, path));
        }
        if let Some(label) = self.label.known() {
            stores.push((&label.feature_store_id, path.attribute("label").attribute("feature_store_id")));
        }
        stores
    }

    /// Checks what is known of it by itself.
    pub fn validate(&self, path: &AttributePath, problems: &mut Diagnostics) {
        self.check_algorithm(path, problems);
        self.check_window(&path.attribute("window"), problems);
        self.check_protected(path, problems);
    }

    fn check_algorithm(&self, path: &AttributePath, problems: &mut Diagnostics) {
        let (set, open) =
            [("linear", state(&self.linear)), ("logistic", state(&self.logistic)), ("mlp", state(&self.mlp))]
                .into_iter()
                .fold((Vec::new(), false), |(mut set, open), (name, (known, unknown))| {
                    if known {
                        set.push(name);
                    }
                    (set, open || unknown)
                });
        match set.as_slice() {
            [] if !open => problems.error_at(
                path.clone(),
                "No algorithm",
                "Write exactly one of linear = {}, logistic = {} and mlp = {}.",
            ),
            [_, .., last] => problems.error_at(
                path.attribute(*last),
                "More than one algorithm",
                format!("{} are set: keep one.", set.join(" and ")),
            ),
            _ => {}
        }
    }

    fn check_window(&self, path: &AttributePath, problems: &mut Diagnostics) {
        let Some(WindowModel { last, from, until }) = self.window.known() else { return };
        let form = "A window is either { last = \"365d\" }, which ends when the run starts, or { from = \"...\", until = \"...\" } in UTC, until exclusive.";
        let complete = (!last.is_null() && from.is_null() && until.is_null())
            || (last.is_null() && !from.is_null() && !until.is_null());
        let open = last.is_unknown() || from.is_unknown() || until.is_unknown();
        if !complete && !open {
            problems.error_at(path.clone(), "Not a window", form);
        }
        let moment = |text: &Attr<String>| text.known().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if let (Some(from), Some(until)) = (moment(from), moment(until))
            && from >= until
        {
            problems.error_at(path.attribute("until"), "An empty window", format!("{until} is not after {from}."));
        }
    }

    fn check_protected(&self, path: &AttributePath, problems: &mut Diagnostics) {
        let Some(protected) = self.protected.known() else { return };
        for (key, view) in self.features.known().into_iter().flatten() {
            if let Some(name) = view.names.known().and_then(|names| names.intersection(protected).next()) {
                problems.error_at(
                    path.attribute("features").key(key.clone()).attribute("names"),
                    "A protected feature as an input",
                    format!("{name:?} is protected, so the model must never see it: take it out of names, or out of protected."),
                );
            }
        }
    }
}

/// Whether an attribute is set, and whether that is open.
fn state<T>(attribute: &Attr<T>) -> (bool, bool) {
    (attribute.is_known(), attribute.is_unknown())
}
