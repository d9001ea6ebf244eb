//! Models: what is declared, and the registry of versions that came of it.

mod gates;
mod registry;
pub mod training;

use falaj_api::{
    Kind, Problem,
    endpoint::{Endpoint, EndpointSpec},
    feature_store::FeatureStore,
    model::{Algorithm, Model, ModelSpec, ModelStatus, Training},
    record::State,
};
use falaj_store::{Session, Tx, records, versions};
use serde_json::json;

use crate::{
    control::Control,
    http::Routes,
    noun::{self, Noun},
    scope::{Scope, find},
    stored::{from_json, store_problem, to_json},
};

pub use registry::{resolve, version_document};

impl Noun for Model {
    async fn admit(
        control: &Control,
        scope: &Scope,
        _: &str,
        spec: &ModelSpec,
        prior: Option<&records::Record>,
    ) -> Result<ModelStatus, Problem> {
        check_training(control, scope, &spec.training).await?;
        gates::check(&spec.gates, &spec.training)?;
        let Some(prior) = prior else { return Ok(ModelStatus::default()) };
        let status: ModelStatus = from_json(prior.status.clone())?;
        let before: ModelSpec = from_json(prior.spec.clone())?;
        if spec_digest(&before.training)? == spec_digest(&spec.training)? && status.failure.is_none() {
            return Ok(status);
        }
        // A declaration that was trained before points back to its version.
        let mut session = control.store.read().await.map_err(store_problem)?;
        let digest = spec_digest(&spec.training)?;
        let known =
            versions::find_by_spec(&mut session, &prior.workspace, &prior.uid, &digest).await.map_err(store_problem)?;
        Ok(match known {
            Some(version) => registry::status_of(&version)?,
            None => ModelStatus { failure: None, ..status },
        })
    }

    async fn declared(_: &Control, tx: &mut Tx, scope: &Scope, record: &records::Record) -> Result<State, Problem> {
        let spec: ModelSpec = from_json(record.spec.clone())?;
        let digest = spec_digest(&spec.training)?;
        if versions::find_by_spec(tx, scope.owner(), &record.uid, &digest).await.map_err(store_problem)?.is_some() {
            return Ok(State::Ready);
        }
        training::start(tx, record, training::Cause::Declared).await?;
        Ok(if record.generation == 1 { State::Creating } else { State::Updating })
    }

    async fn removable(
        _: &Control,
        session: &mut Session,
        scope: &Scope,
        record: &records::Record,
    ) -> Result<(), Problem> {
        for endpoint in records::list(session, Endpoint::NAME, scope.parent()).await.map_err(store_problem)? {
            let spec: EndpointSpec = from_json(endpoint.spec)?;
            if spec.variants.values().any(|variant| variant.model == record.name) {
                return Err(Problem::conflict(format!(
                    "the endpoint {:?} serves the model {:?}; destroy the endpoint first",
                    endpoint.name, record.name
                )));
            }
        }
        Ok(())
    }

    async fn removed(tx: &mut Tx, record: &records::Record) -> Result<(), Problem> {
        versions::delete_model(tx, &record.uid).await.map_err(store_problem)
    }

    fn wake(control: &Control) {
        control.work.notify_one();
        control.serving.wake();
    }
}

/// Checks a training declaration against the feature stores it names.
async fn check_training(control: &Control, scope: &Scope, training: &Training) -> Result<(), Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    if training.features.values().all(|view| view.names.is_empty()) {
        return Err(Problem::invalid("/spec/training/features", "name at least one feature to learn from"));
    }
    for (key, view) in &training.features {
        let pointer = format!("/spec/training/features/{key}");
        let (_, store) = find::<FeatureStore>(&mut session, scope, &view.feature_store, &pointer).await?;
        for name in &view.names {
            let pointer = format!("{pointer}/names");
            let Some(feature) = store.features.get(name) else {
                let declared = store.features.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(Problem::invalid(
                    &pointer,
                    format!(
                        "the feature store {:?} declares no feature {name:?}; it has {declared}",
                        view.feature_store
                    ),
                ));
            };
            if training.protected.contains(name) {
                return Err(Problem::invalid(
                    &pointer,
                    format!("{name:?} is protected, so it cannot be an input: take it out of names or of protected"),
                ));
            }
            check_purpose(name, &feature.purposes, training.purpose.as_deref(), &pointer)?;
        }
    }
    let (_, store) =
        find::<FeatureStore>(&mut session, scope, &training.label.feature_store, "/spec/training/label").await?;
    for name in &training.protected {
        if !store.features.contains_key(name) {
            return Err(Problem::invalid(
                "/spec/training/protected",
                format!("the label's feature store {:?} declares no feature {name:?}", training.label.feature_store),
            ));
        }
    }
    let holdout = training.evaluation.holdout_percent;
    if !(holdout > 0.0 && holdout < 100.0) {
        return Err(Problem::invalid(
            "/spec/training/evaluation/holdout_percent",
            format!("{holdout} is not a share: use a number over 0 and under 100, such as 20"),
        ));
    }
    check_algorithm(&training.algorithm)
}

/// A feature that is bound to purposes is used for one of them only.
fn check_purpose(name: &str, allowed: &[String], purpose: Option<&str>, pointer: &str) -> Result<(), Problem> {
    let fits = allowed.is_empty() || purpose.is_some_and(|purpose| allowed.iter().any(|known| known == purpose));
    if fits {
        return Ok(());
    }
    let asked =
        purpose.map_or_else(|| "training.purpose is not set".to_owned(), |p| format!("training.purpose is {p:?}"));
    Err(Problem {
        pointer: Some(pointer.to_owned()),
        ..Problem::refused(
            "purpose",
            format!("the feature {name:?} may be used for {} only, and {asked}", allowed.join(", ")),
        )
    })
}

fn check_algorithm(algorithm: &Algorithm) -> Result<(), Problem> {
    let wrong = |field: &str, why: &str| {
        Problem::invalid(&format!("/spec/training/{}/{field}", algorithm.name()), why.to_owned())
    };
    match algorithm {
        Algorithm::Linear(ridge) | Algorithm::Logistic(ridge) => {
            if !(ridge.l2 >= 0.0 && ridge.l2.is_finite()) {
                return Err(wrong("l2", "l2 is a penalty: use 0 or more"));
            }
            if ridge.max_iterations == 0 {
                return Err(wrong("max_iterations", "use at least 1"));
            }
        }
        Algorithm::Mlp(mlp) => {
            if mlp.hidden_layers.is_empty() || mlp.hidden_layers.iter().any(|units| !(1..=4096).contains(units)) {
                return Err(wrong(
                    "hidden_layers",
                    "name 1 to 4096 units for each of at least one layer, such as [32, 16]",
                ));
            }
            if !(1..=100_000).contains(&mlp.epochs) {
                return Err(wrong("epochs", "use 1 to 100000"));
            }
            if mlp.batch_size == 0 {
                return Err(wrong("batch_size", "use at least 1"));
            }
            if !(mlp.learning_rate > 0.0 && mlp.learning_rate.is_finite()) {
                return Err(wrong("learning_rate", "use a number over 0, such as 0.001"));
            }
            if !(0.0..1.0).contains(&mlp.dropout) {
                return Err(wrong("dropout", "dropout is a share: use 0 or more and under 1"));
            }
            if !(mlp.l2 >= 0.0 && mlp.l2.is_finite()) {
                return Err(wrong("l2", "l2 is a penalty: use 0 or more"));
            }
        }
    }
    Ok(())
}

/// SHA-256 of a training declaration: two that are equal give the same.
///
/// # Errors
/// The declaration cannot be written as JSON.
pub fn spec_digest(training: &Training) -> Result<String, Problem> {
    // serde_json's maps are sorted, so equal declarations give equal bytes.
    let text = to_json(&json!({ "format": 1, "training": to_json(training)? }))?.to_string();
    Ok(crate::sha256_hex(text.as_bytes()))
}

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    registry::routes(noun::routes::<Model>(routes))
}
