//! The store as the control plane uses it.

mod common;

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::{CLUSTER_UID, WORKSPACE, kms, open, options};
use falaj_api::operation::OperationState;
use falaj_api::record::State;
use falaj_store::audit::{self, Appended, Event};
use falaj_store::operations::Outcome;
use falaj_store::records::NewRecord;
use falaj_store::reports::Report;
use falaj_store::segments::Segment;
use falaj_store::versions::NewVersion;
use falaj_store::{
    CLUSTER, Digest, KeyRef, Options, Store, StoreError, Tx, operations, records, reports, segments, versions,
};
use jiff::Timestamp;
use serde_json::{Value, json};

fn new<'a>(uid: &'a str, name: &'a str, spec: &'a Value) -> NewRecord<'a> {
    NewRecord {
        uid,
        kind: "model",
        workspace: WORKSPACE,
        parent: WORKSPACE,
        name,
        state: State::Creating,
        spec,
        status: &Value::Null,
    }
}

#[tokio::test]
async fn a_record_lives_from_insert_to_delete() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let spec = json!({"training": {"seed": 7}});
    let mut tx = store.begin().await.unwrap();
    let made = records::insert(&mut tx, &new("u1", "employed", &spec)).await.unwrap();
    assert_eq!((made.generation, made.claimed, &made.spec), (1, false, &spec));
    tx.commit().await.unwrap();

    let mut reader = store.read().await.unwrap();
    let read = records::get(&mut reader, "model", WORKSPACE, "employed").await.unwrap();
    assert_eq!(read.as_ref(), Some(&made));
    assert_eq!(records::get_by_uid(&mut reader, "u1").await.unwrap(), read);
    drop(reader);

    let mut tx = store.begin().await.unwrap();
    let other = json!({"training": {"seed": 8}});
    let changed = records::update_spec(&mut tx, "u1", &other, State::Updating).await.unwrap();
    assert_eq!((changed.generation, changed.state, &changed.spec), (2, State::Updating, &other));
    let status = json!({"version": 2});
    let changed = records::update_status(&mut tx, "u1", &status).await.unwrap();
    assert_eq!((changed.generation, &changed.status, &changed.spec), (2, &status, &other));
    records::set_state(&mut tx, "u1", State::Ready).await.unwrap();
    assert!(records::claim(&mut tx, "u1").await.unwrap());
    assert!(!records::claim(&mut tx, "u1").await.unwrap(), "it is claimed once");
    tx.commit().await.unwrap();

    let mut tx = store.begin().await.unwrap();
    let read = records::get_by_uid(&mut tx, "u1").await.unwrap().unwrap();
    assert_eq!((read.state, read.claimed), (State::Ready, true));
    assert!(records::delete(&mut tx, "u1").await.unwrap());
    assert!(!records::delete(&mut tx, "u1").await.unwrap());
    assert_eq!(records::get_by_uid(&mut tx, "u1").await.unwrap(), None);
}

#[tokio::test]
async fn an_equal_name_is_refused_with_the_uid_that_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    records::insert(&mut tx, &new("u1", "employed", &Value::Null)).await.unwrap();
    let error = records::insert(&mut tx, &new("u2", "employed", &Value::Null)).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { uid, .. } if uid == "u1"));
    records::insert(&mut tx, &new("u3", "other", &Value::Null)).await.unwrap();
    let names: Vec<_> = records::list(&mut tx, "model", WORKSPACE).await.unwrap().into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["employed", "other"]);
    assert_eq!(records::list_children(&mut tx, WORKSPACE).await.unwrap().len(), 2);
    assert_eq!(records::list_kind(&mut tx, "model").await.unwrap().len(), 2);
    assert_eq!(records::list_kind(&mut tx, "endpoint").await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_and_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    records::insert(&mut tx, &new("u1", "employed", &Value::Null)).await.unwrap();
    drop(tx);
    let mut reader = store.read().await.unwrap();
    assert_eq!(records::get_by_uid(&mut reader, "u1").await.unwrap(), None);
    let error = reader.workspace_keys(WORKSPACE).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyErased { .. }), "{error}");
}

#[tokio::test]
async fn write_commits_on_success_only_and_can_be_spawned() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let task = {
        let store = store.clone();
        tokio::spawn(async move {
            let spec = json!({"a": 1});
            store.write(async |tx: &mut Tx| records::insert(tx, &new("u1", "a", &spec)).await).await
        })
    };
    task.await.unwrap().unwrap();
    let failed: Result<(), StoreError> = store
        .write(async |tx: &mut Tx| {
            records::insert(tx, &new("u2", "b", &Value::Null)).await?;
            records::set_state(tx, "nobody", State::Ready).await
        })
        .await;
    assert!(matches!(failed, Err(StoreError::NotFound { .. })));
    let mut reader = store.read().await.unwrap();
    assert!(records::get_by_uid(&mut reader, "u1").await.unwrap().is_some());
    assert!(records::get_by_uid(&mut reader, "u2").await.unwrap().is_none());
}
