//! From the attributes of a model to its declaration, and back.

use std::collections::BTreeMap;

use falaj_api::feature_store::FeatureStore as FeatureStoreKind;
use falaj_api::model::{
    self as api, Algorithm, Bound, Evaluation, FeatureView, Gates, Label, Mlp, ModelSpec, ParityGate, Promotion, Ridge,
    Training, Window,
};
use jiff::Timestamp;
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics};

use super::training::{EvaluationModel, FeatureViewModel, LabelModel, MlpModel, RidgeModel, WindowModel};
use super::{BoundModel, GatesModel, ModelModel, ParityModel, PromotionModel, TrainingModel};
use crate::attributes::labels::Labels;
use crate::attributes::{choice, chosen, duration, span, want, wanted};
use crate::resources::declared::{Finder, known_ids};

/// The declaration, every part known.
pub fn spec(model: &ModelModel, labels: Labels) -> Result<ModelSpec, Diagnostics> {
    let path = AttributePath::root("training");
    Ok(ModelSpec {
        training: training(want(&model.training, path.clone())?, &path)?,
        gates: model.gates.known().map(gates).transpose()?.unwrap_or_default(),
        promotion: model.promotion.known().map(promotion).transpose()?,
        labels,
    })
}

fn training(model: &TrainingModel, path: &AttributePath) -> Result<Training, Diagnostics> {
    let features = path.attribute("features");
    let view = |(name, view): (&String, &FeatureViewModel)| -> Result<_, Diagnostics> {
        let path = features.key(name.clone());
        let view = FeatureView {
            feature_store: store(&view.feature_store_id, path.attribute("feature_store_id"))?,
            names: want(&view.names, path.attribute("names"))?.iter().cloned().collect(),
        };
        Ok((name.clone(), view))
    };
    let label_path = path.attribute("label");
    let label = want(&model.label, label_path.clone())?;
    let window_path = path.attribute("window");
    Ok(Training {
        features: want(&model.features, features.clone())?.iter().map(view).collect::<Result<_, _>>()?,
        label: Label {
            column: want(&label.column, label_path.attribute("column"))?.clone(),
            feature_store: store(&label.feature_store_id, label_path.attribute("feature_store_id"))?,
        },
        protected: model.protected.clone().or_default().into_iter().collect(),
        purpose: model.purpose.known().cloned(),
        window: model.window.known().map(|model| window(model, &window_path)).transpose()?,
        algorithm: algorithm(model, path)?,
        evaluation: evaluation(&model.evaluation, &path.attribute("evaluation"))?,
        seed: *want(&model.seed, path.attribute("seed"))?,
        triggers: model.triggers.clone().or_default(),
    })
}

fn store(id: &Attr<String>, path: AttributePath) -> Result<String, Diagnostic> {
    let id: falaj_api::Id = wanted(id, path)?;
    Ok(id.place.name().to_owned())
}

fn window(model: &WindowModel, path: &AttributePath) -> Result<Window, Diagnostics> {
    if let Some(last) = model.last.known() {
        return Ok(Window::Last(duration(last, path.attribute("last"))?));
    }
    let moment = |text: &Attr<String>, name: &'static str| -> Result<Timestamp, Diagnostic> {
        let path = path.attribute(name);
        let wrong = |error: jiff::Error| Diagnostic::error("Not a moment").detail(error.to_string()).at(path.clone());
        want(text, path.clone())?.parse().map_err(wrong)
    };
    Ok(Window::Between { from: moment(&model.from, "from")?, until: moment(&model.until, "until")? })
}

fn algorithm(model: &TrainingModel, path: &AttributePath) -> Result<Algorithm, Diagnostics> {
    if let Some(linear) = model.linear.known() {
        return Ok(Algorithm::Linear(ridge(linear, &path.attribute("linear"))?));
    }
    if let Some(logistic) = model.logistic.known() {
        return Ok(Algorithm::Logistic(ridge(logistic, &path.attribute("logistic"))?));
    }
    let path = path.attribute("mlp");
    let model = want(&model.mlp, path.clone())?;
    Ok(Algorithm::Mlp(Mlp {
        hidden_layers: want(&model.hidden_layers, path.attribute("hidden_layers"))?.clone(),
        epochs: *want(&model.epochs, path.attribute("epochs"))?,
        batch_size: *want(&model.batch_size, path.attribute("batch_size"))?,
        learning_rate: *want(&model.learning_rate, path.attribute("learning_rate"))?,
        dropout: *want(&model.dropout, path.attribute("dropout"))?,
        l2: *want(&model.l2, path.attribute("l2"))?,
    }))
}

fn ridge(model: &RidgeModel, path: &AttributePath) -> Result<Ridge, Diagnostics> {
    Ok(Ridge {
        l2: *want(&model.l2, path.attribute("l2"))?,
        max_iterations: *want(&model.max_iterations, path.attribute("max_iterations"))?,
    })
}

fn evaluation(model: &Attr<EvaluationModel>, path: &AttributePath) -> Result<Evaluation, Diagnostics> {
    let model = want(model, path.clone())?;
    Ok(Evaluation {
        split: choice(&model.split, path.attribute("split"))?,
        holdout_percent: *want(&model.holdout_percent, path.attribute("holdout_percent"))?,
    })
}

fn gates(model: &GatesModel) -> Result<Gates, Diagnostics> {
    let path = AttributePath::root("gates");
    let metrics = model.metrics().into_iter().filter_map(|(metric, bound)| {
        let bound = bound.known()?;
        Some((metric.to_owned(), Bound { min: bound.min.known().copied(), max: bound.max.known().copied() }))
    });
    let parity = |(name, parity): (&String, &ParityModel)| -> Result<_, Diagnostics> {
        let path = path.attribute("demographic_parity").key(name.clone()).attribute("max_gap");
        Ok((name.clone(), ParityGate { max_gap: *want(&parity.max_gap, path)? }))
    };
    let parities = model.demographic_parity.known().into_iter().flatten();
    Ok(Gates { metrics: metrics.collect(), demographic_parity: parities.map(parity).collect::<Result<_, _>>()? })
}

fn promotion(model: &PromotionModel) -> Result<Promotion, Diagnostics> {
    let path = AttributePath::root("promotion");
    Ok(Promotion {
        alias: want(&model.alias, path.attribute("alias"))?.clone(),
        when: choice(&model.when, path.attribute("when"))?,
    })
}

/// The attributes of a declaration on record. The ids of the stores it names
/// are the state's where it knows them, and looked up elsewhere.
pub async fn declare(model: &mut ModelModel, spec: &ModelSpec, finder: &Finder<'_>) -> Result<(), Diagnostics> {
    let path = AttributePath::root("training");
    let mut ids = match model.training.known() {
        Some(training) => known_ids(training.stores(&path).into_iter().map(|(id, _)| id)),
        None => BTreeMap::new(),
    };
    let views = spec.training.features.values().map(|view| &view.feature_store);
    for store in views.chain([&spec.training.label.feature_store]) {
        if !ids.contains_key(store) {
            ids.insert(store.clone(), finder.id::<FeatureStoreKind>(store).await?);
        }
    }
    model.training = Attr::Known(declared_training(&spec.training, &ids));
    model.gates = (spec.gates != Gates::default()).then(|| declared_gates(&spec.gates)).into();
    let promotion = spec
        .promotion
        .as_ref()
        .map(|promotion| PromotionModel { alias: promotion.alias.clone().into(), when: chosen(&promotion.when) });
    model.promotion = promotion.into();
    Ok(())
}

fn declared_training(training: &api::Training, ids: &BTreeMap<String, String>) -> TrainingModel {
    let id = |store: &String| Attr::from(ids.get(store).cloned());
    let features = training.features.iter().map(|(name, view)| {
        let model = FeatureViewModel {
            feature_store_id: id(&view.feature_store),
            names: Attr::Known(view.names.iter().cloned().collect()),
        };
        (name.clone(), model)
    });
    let (linear, logistic, mlp) = match &training.algorithm {
        Algorithm::Linear(ridge) => (Attr::Known(declared_ridge(ridge)), Attr::Null, Attr::Null),
        Algorithm::Logistic(ridge) => (Attr::Null, Attr::Known(declared_ridge(ridge)), Attr::Null),
        Algorithm::Mlp(mlp) => (Attr::Null, Attr::Null, Attr::Known(declared_mlp(mlp))),
    };
    TrainingModel {
        features: Attr::Known(features.collect()),
        label: Attr::Known(LabelModel {
            column: training.label.column.clone().into(),
            feature_store_id: id(&training.label.feature_store),
        }),
        protected: Attr::Known(training.protected.iter().cloned().collect()),
        purpose: training.purpose.clone().into(),
        window: training.window.as_ref().map(declared_window).into(),
        linear,
        logistic,
        mlp,
        evaluation: Attr::Known(EvaluationModel {
            split: chosen(&training.evaluation.split),
            holdout_percent: training.evaluation.holdout_percent.into(),
        }),
        seed: training.seed.into(),
        triggers: training.triggers.clone().into(),
    }
}

fn declared_window(window: &Window) -> WindowModel {
    match window {
        Window::Last(last) => WindowModel { last: span(*last), from: Attr::Null, until: Attr::Null },
        Window::Between { from, until } => {
            WindowModel { last: Attr::Null, from: from.to_string().into(), until: until.to_string().into() }
        }
    }
}

fn declared_ridge(ridge: &Ridge) -> RidgeModel {
    RidgeModel { l2: ridge.l2.into(), max_iterations: ridge.max_iterations.into() }
}

fn declared_mlp(mlp: &Mlp) -> MlpModel {
    MlpModel {
        hidden_layers: mlp.hidden_layers.clone().into(),
        epochs: mlp.epochs.into(),
        batch_size: mlp.batch_size.into(),
        learning_rate: mlp.learning_rate.into(),
        dropout: mlp.dropout.into(),
        l2: mlp.l2.into(),
    }
}

fn declared_gates(gates: &Gates) -> GatesModel {
    let bound = |metric: &str| {
        let bound = gates.metrics.get(metric);
        Attr::from(bound.map(|bound| BoundModel { min: bound.min.into(), max: bound.max.into() }))
    };
    let parities = gates.demographic_parity.iter();
    let parities: BTreeMap<_, _> =
        parities.map(|(name, gate)| (name.clone(), ParityModel { max_gap: gate.max_gap.into() })).collect();
    GatesModel {
        auc: bound("auc"),
        log_loss: bound("log_loss"),
        accuracy: bound("accuracy"),
        calibration_error: bound("calibration_error"),
        rmse: bound("rmse"),
        mae: bound("mae"),
        r2: bound("r2"),
        demographic_parity: (!parities.is_empty()).then_some(parities).into(),
    }
}
