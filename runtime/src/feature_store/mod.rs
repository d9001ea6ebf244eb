//! Feature stores: a source, checked when it is declared.

pub mod source;

use bytes::Bytes;
use falaj_api::{
    Kind, Problem,
    feature_store::{FeatureStore, FeatureStoreSpec, FeatureStoreStatus, Location},
    model::{Model, ModelSpec},
};
use falaj_store::{Digest, Session, records};

use crate::{
    control::Control,
    noun::Noun,
    scope::Scope,
    stored::{from_json, store_problem},
};

impl Noun for FeatureStore {
    async fn admit(
        control: &Control,
        scope: &Scope,
        _: &str,
        spec: &FeatureStoreSpec,
        _: Option<&records::Record>,
    ) -> Result<FeatureStoreStatus, Problem> {
        if spec.features.is_empty() {
            return Err(Problem::invalid("/spec/features", "declare at least one feature"));
        }
        let bytes = read_source(control, &scope.workspace()?.uid, spec).await?;
        let format = spec.source.format;
        let (schema, rows) = tokio::task::spawn_blocking(move || source::describe(format, bytes))
            .await
            .map_err(|error| Problem::internal(error.to_string()))?
            .map_err(|error| Problem::invalid("/spec/source", error.to_string()))?;
        source::check_columns(&schema, spec)
            .map_err(|(pointer, error)| Problem::invalid(&pointer, error.to_string()))?;
        if rows == 0 {
            return Err(Problem::invalid("/spec/source", source::SourceError::Empty.to_string()));
        }
        Ok(FeatureStoreStatus { rows })
    }

    async fn removable(
        _: &Control,
        session: &mut Session,
        scope: &Scope,
        record: &records::Record,
    ) -> Result<(), Problem> {
        for model in records::list(session, Model::NAME, scope.parent()).await.map_err(store_problem)? {
            let spec: ModelSpec = from_json(model.spec)?;
            if stores(&spec).any(|name| name == record.name) {
                return Err(Problem::conflict(format!(
                    "the model {:?} learns from the feature store {:?}; destroy the model first",
                    model.name, record.name
                )));
            }
        }
        Ok(())
    }
}

/// The feature stores that a model's training names.
pub fn stores(spec: &ModelSpec) -> impl Iterator<Item = &str> {
    let views = spec.training.features.values().map(|view| view.feature_store.as_str());
    views.chain([spec.training.label.feature_store.as_str()])
}

/// The bytes of a store's source.
///
/// # Errors
/// They were never uploaded, or cannot be read.
pub async fn read_source(control: &Control, workspace_uid: &str, spec: &FeatureStoreSpec) -> Result<Bytes, Problem> {
    match &spec.source.location {
        Location::Upload { digest } => {
            let pointer = "/spec/source/location/upload/digest";
            let wrong = |error: falaj_store::StoreError| {
                Problem::invalid(
                    pointer,
                    format!("the source with SHA-256 {digest} cannot be read: {error}; upload it first"),
                )
            };
            let digest: Digest = digest.parse().map_err(wrong)?;
            let bytes = control.store.blobs().get(workspace_uid, &digest).await.map_err(wrong)?;
            Ok(Bytes::from(bytes.to_vec()))
        }
        Location::Uri { uri } => Err(Problem::invalid(
            "/spec/source/location/uri",
            format!("{uri:?}: the runtime reads no sources by itself in this release; give a path, which is uploaded"),
        )),
    }
}
