//! What every kind of declared object has in common: recorded first, in one
//! transaction with its audit event, and made true afterwards.

use std::{future::Future, sync::Arc};

use falaj_api::{
    Id, Kind, Problem,
    call::Done,
    id::Prefix,
    record::{Delete, Get, List, Put, Record, State},
};
use falaj_store::{Session, Tx, audit, operations, records};
use serde_json::json;

use crate::{
    control::Control,
    http::Routes,
    identity::Principal,
    scope::{Scope, gone, scope},
    stored::{from_json, store_problem, to_json},
};

/// The runtime's side of a [`Kind`].
pub trait Noun: Kind + Sized {
    /// Checks a declaration against everything that is known, before anything
    /// is recorded, and says what the status is at first.
    ///
    /// # Errors
    /// It breaks a rule, or refers to what is not there.
    fn admit(
        control: &Control,
        scope: &Scope,
        name: &str,
        spec: &Self::Spec,
        prior: Option<&records::Record>,
    ) -> impl Future<Output = Result<Self::Status, Problem>> + Send;

    /// Records, in the same transaction, the work that makes the declaration
    /// true. Returns the state that the object is in until it is.
    ///
    /// # Errors
    /// The store failed.
    fn declared(
        control: &Control,
        tx: &mut Tx,
        scope: &Scope,
        record: &records::Record,
    ) -> impl Future<Output = Result<State, Problem>> + Send {
        let _ = (control, tx, scope, record);
        async { Ok(State::Ready) }
    }

    /// Says what keeps the object from being deleted.
    ///
    /// # Errors
    /// What keeps it.
    fn removable(
        control: &Control,
        session: &mut Session,
        scope: &Scope,
        record: &records::Record,
    ) -> impl Future<Output = Result<(), Problem>> + Send {
        let _ = (control, session, scope, record);
        async { Ok(()) }
    }

    /// Deletes, in the same transaction, what exists only for the object.
    ///
    /// # Errors
    /// The store failed.
    fn removed(tx: &mut Tx, record: &records::Record) -> impl Future<Output = Result<(), Problem>> + Send {
        let _ = (tx, record);
        async { Ok(()) }
    }

    /// Wakes who makes declarations true; called after each commit.
    fn wake(control: &Control) {
        let _ = control;
    }
}

/// The four routes of a kind.
#[must_use]
pub fn routes<K: Noun>(routes: Routes) -> Routes {
    routes
        .call::<Put<K>, _, _>(put)
        .call::<Get<K>, _, _>(get)
        .call::<Delete<K>, _, _>(delete)
        .call::<List<K>, _, _>(list)
}

async fn put<K: Noun>(control: Arc<Control>, caller: Principal, call: Put<K>) -> Result<Record<K>, Problem> {
    falaj_api::name::check(&call.name).map_err(|error| Problem::invalid("/name", error))?;
    let (scope, prior) = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        let scope = scope(&mut session, call.workspace.as_deref()).await?;
        let prior = records::get(&mut session, K::NAME, scope.parent(), &call.name).await.map_err(store_problem)?;
        (scope, prior)
    };
    let prior = match (prior, &call.uid) {
        (Some(prior), None) if prior.claimed => return Err(exists::<K>(&control, &scope, &prior)),
        (Some(prior), Some(uid)) if prior.uid != *uid => return Err(gone::<K>(&call.name)),
        (None, Some(_)) => return Err(gone::<K>(&call.name)),
        (prior, _) => prior,
    };
    let status = K::admit(&control, &scope, &call.name, &call.spec, prior.as_ref()).await?;
    let spec = to_json(&call.spec)?;
    let status = to_json(&status)?;

    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let now = records::get(&mut tx, K::NAME, scope.parent(), &call.name).await.map_err(store_problem)?;
    if now.as_ref().map(|r| (&r.uid, r.generation)) != prior.as_ref().map(|r| (&r.uid, r.generation)) {
        return Err(Problem::conflict(format!(
            "the {} {:?} was changed at the same moment; try again",
            K::NAME,
            call.name
        )));
    }
    let (action, record) = match now {
        None => {
            let uid = uuid::Uuid::now_v7().to_string();
            let new = records::NewRecord {
                uid: &uid,
                kind: K::NAME,
                workspace: scope.owner(),
                parent: scope.parent(),
                name: &call.name,
                state: State::Creating,
                spec: &spec,
                status: &status,
            };
            ("create", records::insert(&mut tx, &new).await.map_err(store_problem)?)
        }
        Some(prior) if prior.spec == spec && prior.state != State::Failed => {
            drop(tx);
            return present(&control, &scope, prior).await;
        }
        Some(prior) => {
            let state = if prior.state == State::Creating { State::Creating } else { State::Updating };
            records::update_spec(&mut tx, &prior.uid, &spec, state).await.map_err(store_problem)?;
            ("update", records::update_status(&mut tx, &prior.uid, &status).await.map_err(store_problem)?)
        }
    };
    let state = K::declared(&control, &mut tx, &scope, &record).await?;
    if state != record.state {
        records::set_state(&mut tx, &record.uid, state).await.map_err(store_problem)?;
    }
    let details = json!({ "generation": record.generation, "spec": spec });
    note::<K>(&mut tx, &caller, &scope, &record, action, details).await?;
    tx.commit().await.map_err(store_problem)?;
    K::wake(&control);
    let mut session = control.store.read().await.map_err(store_problem)?;
    let record = records::get_by_uid(&mut session, &record.uid).await.map_err(store_problem)?;
    drop(session);
    present(&control, &scope, record.ok_or_else(|| gone::<K>(&call.name))?).await
}

pub(crate) async fn get<K: Noun>(control: Arc<Control>, _: Principal, call: Get<K>) -> Result<Record<K>, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let scope = scope(&mut session, call.workspace.as_deref()).await?;
    let record = records::get(&mut session, K::NAME, scope.parent(), &call.name).await.map_err(store_problem)?;
    drop(session);
    let record = record.ok_or_else(|| gone::<K>(&call.name))?;
    if let Some(uid) = &call.uid {
        if record.uid != *uid {
            return Err(gone::<K>(&call.name));
        }
        if !record.claimed {
            let mut tx = control.store.begin().await.map_err(store_problem)?;
            records::claim(&mut tx, uid).await.map_err(store_problem)?;
            tx.commit().await.map_err(store_problem)?;
        }
    }
    present(&control, &scope, record).await
}

async fn list<K: Noun>(control: Arc<Control>, _: Principal, call: List<K>) -> Result<Vec<Record<K>>, Problem> {
    let mut session = control.store.read().await.map_err(store_problem)?;
    let scope = scope(&mut session, call.workspace.as_deref()).await?;
    let found = records::list(&mut session, K::NAME, scope.parent()).await.map_err(store_problem)?;
    drop(session);
    let mut presented = Vec::with_capacity(found.len());
    for record in found {
        presented.push(present(&control, &scope, record).await?);
    }
    Ok(presented)
}

async fn delete<K: Noun>(control: Arc<Control>, caller: Principal, call: Delete<K>) -> Result<Done, Problem> {
    let mut tx = control.store.begin().await.map_err(store_problem)?;
    let scope = scope(&mut tx, call.workspace.as_deref()).await?;
    let record = records::get(&mut tx, K::NAME, scope.parent(), &call.name).await.map_err(store_problem)?;
    let record = record.filter(|record| record.uid == call.uid).ok_or_else(|| gone::<K>(&call.name))?;
    K::removable(&control, &mut tx, &scope, &record).await?;
    K::removed(&mut tx, &record).await?;
    operations::delete_for(&mut tx, &record.uid).await.map_err(store_problem)?;
    records::delete(&mut tx, &record.uid).await.map_err(store_problem)?;
    note::<K>(&mut tx, &caller, &scope, &record, "delete", json!({ "generation": record.generation })).await?;
    tx.commit().await.map_err(store_problem)?;
    K::wake(&control);
    Ok(Done {})
}

/// Tells the audit chain what was done.
async fn note<K: Kind>(
    tx: &mut Tx,
    caller: &Principal,
    scope: &Scope,
    record: &records::Record,
    action: &str,
    details: serde_json::Value,
) -> Result<(), Problem> {
    let action = format!("{}.{action}", K::NAME);
    let event = audit::Event::allowed(scope.owner(), caller.to_string(), action, &record.uid).details(details);
    audit::append(tx, &event).await.map_err(store_problem)?;
    Ok(())
}

/// A stored record as the contract has it.
async fn present<K: Kind>(control: &Control, scope: &Scope, record: records::Record) -> Result<Record<K>, Problem> {
    let operation = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        operations::latest(&mut session, &record.uid).await.map_err(store_problem)?
    };
    Ok(Record {
        id: id::<K>(control, scope, &record).to_string(),
        name: record.name,
        generation: record.generation,
        state: record.state,
        spec: from_json(record.spec)?,
        status: from_json(record.status)?,
        operation: operation.map(|operation| operation.id),
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

fn id<K: Kind>(control: &Control, scope: &Scope, record: &records::Record) -> Id {
    let cluster = Prefix::cluster(control.cluster.spec.region.clone(), &control.cluster.name);
    let place = match (K::NAME, &scope.workspace) {
        ("cluster", _) => cluster,
        ("workspace", _) => cluster.workspace(&record.name),
        (noun, Some(workspace)) => cluster.workspace(&workspace.name).object(noun, &record.name),
        (noun, None) => cluster.object(noun, &record.name),
    };
    place.with_uid(&record.uid)
}

fn exists<K: Kind>(control: &Control, scope: &Scope, prior: &records::Record) -> Problem {
    let id = id::<K>(control, scope, prior);
    Problem::new(
        409,
        "exists",
        "It exists already",
        format!(
            "a {noun} named {name:?} exists already and another state manages it; to manage it here: \
             terraform import falaj_{noun}.NAME '{id}'",
            noun = K::NAME,
            name = prior.name,
        ),
    )
}
