//! The registry: immutable versions and the aliases that point at them.

use std::sync::Arc;

use falaj_api::{
    Problem, Record,
    model::{CANDIDATE, GetModelVersion, ListModelVersions, Model, ModelStatus, ModelVersion, SetAlias, TrainModel},
    record::Get,
};
use falaj_store::{Session, audit, records, versions};
use serde_json::json;

use super::training;
use crate::{
    control::Control,
    http::Routes,
    identity::Principal,
    noun::get,
    scope::{find, scope},
    stored::{from_json, store_problem},
};

/// The version that a number or an alias names.
///
/// # Errors
/// The store failed.
pub async fn resolve(session: &mut Session, model_uid: &str, name: &str) -> Result<Option<versions::Version>, Problem> {
    let number = match name.parse::<i64>() {
        Ok(number) => Some(number),
        Err(_) => versions::alias(session, model_uid, name).await.map_err(store_problem)?.map(|alias| alias.version),
    };
    match number {
        Some(number) => versions::get(session, model_uid, number).await.map_err(store_problem),
        None => Ok(None),
    }
}

/// A stored version as the contract has it.
///
/// # Errors
/// The stored document cannot be read.
pub async fn version_document(session: &mut Session, version: &versions::Version) -> Result<ModelVersion, Problem> {
    let aliases = versions::list_aliases(session, &version.model_uid).await.map_err(store_problem)?;
    let mut document: ModelVersion = from_json(version.metadata.clone())?;
    document.version = number(version)?;
    document.created_at = version.created_at;
    document.aliases = aliases.into_iter().filter(|a| a.version == version.version).map(|a| a.alias).collect();
    Ok(document)
}

/// What the model's record says when a version is the declared one.
///
/// # Errors
/// The stored document cannot be read.
pub fn status_of(version: &versions::Version) -> Result<ModelStatus, Problem> {
    let document: ModelVersion = from_json(version.metadata.clone())?;
    Ok(ModelStatus { version: Some(number(version)?), metrics: document.metrics, failure: None })
}

fn number(version: &versions::Version) -> Result<u32, Problem> {
    u32::try_from(version.version).map_err(|_| Problem::internal("a version number is out of range"))
}

async fn get_version(control: Arc<Control>, _: Principal, call: GetModelVersion) -> Result<ModelVersion, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let scope = scope(&mut session, Some(&call.workspace)).await?;
    let (model, _) = find::<Model>(&mut session, &scope, &call.model, "/model").await?;
    let version = resolve(&mut session, &model.uid, &call.version).await?;
    let version = version
        .ok_or_else(|| Problem::not_found(format!("version {:?} of the model {:?}", call.version, call.model)))?;
    version_document(&mut session, &version).await
}

async fn list_versions(
    control: Arc<Control>,
    _: Principal,
    call: ListModelVersions,
) -> Result<Vec<ModelVersion>, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let scope = scope(&mut session, Some(&call.workspace)).await?;
    let (model, _) = find::<Model>(&mut session, &scope, &call.model, "/model").await?;
    let mut documents = Vec::new();
    for version in versions::list(&mut session, &model.uid).await.map_err(store_problem)? {
        documents.push(version_document(&mut session, &version).await?);
    }
    documents.sort_by_key(|document| std::cmp::Reverse(document.version));
    Ok(documents)
}

async fn train(control: Arc<Control>, caller: Principal, call: TrainModel) -> Result<Record<Model>, Problem> {
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let scope = scope(&mut tx, Some(&call.workspace)).await?;
    let (model, _) = find::<Model>(&mut tx, &scope, &call.model, "/model").await?;
    training::start(&mut tx, &model, training::Cause::Requested).await?;
    tell(&mut tx, &caller, &model, "model.train", json!({})).await?;
    tx.commit().await.map_err(store_problem)?;
    control.work.notify_one();
    let read = Get { workspace: Some(call.workspace), name: call.model, uid: None, kind: std::marker::PhantomData };
    get::<Model>(control, caller, read).await
}

async fn set_alias(control: Arc<Control>, caller: Principal, call: SetAlias) -> Result<ModelVersion, Problem> {
    falaj_api::name::check(&call.alias).map_err(|error| Problem::invalid("/alias", error))?;
    if call.alias == CANDIDATE {
        return Err(Problem::invalid("/alias", "the alias \"candidate\" always follows the newest version"));
    }
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let scope = scope(&mut tx, Some(&call.workspace)).await?;
    let (model, _) = find::<Model>(&mut tx, &scope, &call.model, "/model").await?;
    let version = resolve(&mut tx, &model.uid, &call.version.to_string()).await?;
    let version =
        version.ok_or_else(|| Problem::not_found(format!("version {} of the model {:?}", call.version, call.model)))?;
    versions::set_alias(&mut tx, &model.uid, &call.alias, version.version).await.map_err(store_problem)?;
    tell(&mut tx, &caller, &model, "model.promote", json!({ "alias": call.alias, "version": call.version })).await?;
    let document = version_document(&mut tx, &version).await?;
    tx.commit().await.map_err(store_problem)?;
    control.serving.wake();
    Ok(document)
}

async fn tell(
    tx: &mut falaj_store::Tx,
    caller: &Principal,
    model: &records::Record,
    action: &str,
    details: serde_json::Value,
) -> Result<(), Problem> {
    let event = audit::Event::allowed(&model.workspace, caller.to_string(), action, &model.uid).details(details);
    audit::append(tx, &event).await.map_err(store_problem)?;
    Ok(())
}

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    routes
        .call::<GetModelVersion, _, _>(get_version)
        .call::<ListModelVersions, _, _>(list_versions)
        .call::<TrainModel, _, _>(train)
        .call::<SetAlias, _, _>(set_alias)
}
