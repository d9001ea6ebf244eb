//! The store as the control plane uses it.

mod common;

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::PermissionsExt;

use common::{CLUSTER_UID, WORKSPACE, kms, open, options};
use falaj_api::operation::OperationState;
use falaj_api::record::State;
use falaj_store::audit::{self, Appended, Event};
use falaj_store::operations::Outcome;
use falaj_store::records::NewRecord;
use falaj_store::reports::Report;
use falaj_store::segments::Segment;
use falaj_store::versions::NewVersion;
use falaj_store::{CLUSTER, Digest, Options, Store, StoreError, Tx, operations, records, reports, segments, versions};
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

#[tokio::test]
async fn only_the_newest_attempt_can_report_or_finish() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    let payload = json!({"window": "365d"});
    let made = operations::start(&mut tx, "o1", "train", WORKSPACE, "u1", &payload).await.unwrap();
    assert_eq!((made.attempt, made.state), (1, OperationState::Running));
    operations::advance(&mut tx, "o1", 1, 40.0, "epoch 4 of 10").await.unwrap();
    let again = operations::bump_attempt(&mut tx, "o1").await.unwrap();
    assert_eq!((again.attempt, again.progress_percent, again.message.as_str()), (2, 0.0, "epoch 4 of 10"));
    let orphan = operations::finish(&mut tx, "o1", 1, Outcome::Succeeded, "").await.unwrap_err();
    assert!(matches!(orphan, StoreError::Superseded { attempt: 1, .. }), "{orphan}");
    assert!(operations::advance(&mut tx, "o1", 1, 50.0, "").await.is_err());
    assert_eq!(operations::list_unfinished(&mut tx).await.unwrap().len(), 1);

    let error = json!({"title": "gate", "detail": "auc 0.6"});
    let ended = operations::finish(&mut tx, "o1", 2, Outcome::Failed(&error), "gate").await.unwrap();
    assert_eq!((ended.state, ended.error.as_ref(), &ended.payload), (OperationState::Failed, Some(&error), &payload));
    assert!(operations::finish(&mut tx, "o1", 2, Outcome::Succeeded, "").await.is_err(), "it ends once");
    assert!(operations::bump_attempt(&mut tx, "o1").await.is_err());
    assert!(operations::list_unfinished(&mut tx).await.unwrap().is_empty());
    assert_eq!(operations::latest(&mut tx, "u1").await.unwrap(), Some(ended.clone()));
    assert_eq!(operations::get(&mut tx, "o1").await.unwrap(), Some(ended));

    operations::start(&mut tx, "o2", "train", WORKSPACE, "u1", &payload).await.unwrap();
    let done = operations::finish(&mut tx, "o2", 1, Outcome::Succeeded, "trained").await.unwrap();
    assert_eq!((done.progress_percent, done.message.as_str()), (100.0, "trained"));
    assert_eq!(operations::delete_for(&mut tx, "u1").await.unwrap(), 2);
}

#[tokio::test]
async fn a_version_is_found_by_what_made_it_and_never_made_twice() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    let artifacts = BTreeMap::from([("model.onnx".to_owned(), Digest::of(b"onnx"))]);
    let metadata = json!({"auc": 0.85});
    let version = |spec_digest, data_digest| NewVersion {
        model_uid: "m1",
        workspace: WORKSPACE,
        spec_digest,
        data_digest,
        artifacts: &artifacts,
        metadata: &metadata,
    };
    let first = versions::insert(&mut tx, &version("spec-a", "data-1")).await.unwrap();
    assert_eq!((first.version, &first.artifacts, &first.metadata), (1, &artifacts, &metadata));
    let error = versions::insert(&mut tx, &version("spec-a", "data-1")).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { uid, .. } if uid == "1"));
    let second = versions::insert(&mut tx, &version("spec-a", "data-2")).await.unwrap();
    let third = versions::insert(&mut tx, &version("spec-b", "data-2")).await.unwrap();
    assert_eq!((second.version, third.version), (2, 3));
    let found = versions::find(&mut tx, WORKSPACE, "m1", "spec-a", "data-1").await.unwrap();
    assert_eq!(found, Some(first.clone()));
    let found = versions::find_by_spec(&mut tx, WORKSPACE, "m1", "spec-a").await.unwrap();
    assert_eq!(found, Some(second));
    assert_eq!(versions::find_by_spec(&mut tx, WORKSPACE, "m2", "spec-a").await.unwrap(), None);
    assert_eq!(versions::list(&mut tx, "m1").await.unwrap().len(), 3);
    let needed = versions::artifacts(&mut tx, WORKSPACE).await.unwrap();
    assert_eq!(needed, HashSet::from([Digest::of(b"onnx")]));

    assert!(matches!(versions::set_alias(&mut tx, "m1", "champion", 9).await, Err(StoreError::NotFound { .. })));
    versions::set_alias(&mut tx, "m1", "champion", 1).await.unwrap();
    versions::set_alias(&mut tx, "m1", "champion", 3).await.unwrap();
    versions::set_alias(&mut tx, "m1", "candidate", 1).await.unwrap();
    assert_eq!(versions::alias(&mut tx, "m1", "champion").await.unwrap().unwrap().version, 3);
    assert_eq!(versions::alias(&mut tx, "m1", "none").await.unwrap(), None);
    let names: Vec<_> = versions::list_aliases(&mut tx, "m1").await.unwrap().into_iter().map(|a| a.alias).collect();
    assert_eq!(names, ["candidate", "champion"]);
    assert!(versions::delete_alias(&mut tx, "m1", "candidate").await.unwrap());
    versions::delete_model(&mut tx, "m1").await.unwrap();
    assert!(versions::list(&mut tx, "m1").await.unwrap().is_empty());
    assert!(versions::list_aliases(&mut tx, "m1").await.unwrap().is_empty());
}

#[tokio::test]
async fn reports_and_segments_come_back_in_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    let at = |second| Timestamp::from_second(second).unwrap();
    for (id, second, verdict) in [("r1", 10, "ok"), ("r3", 30, "drift"), ("r2", 20, "ok")] {
        let report = Report {
            id: id.into(),
            monitor_uid: "mon".into(),
            workspace: WORKSPACE.into(),
            verdict: verdict.into(),
            body: json!({ "id": id }),
            created_at: at(second),
        };
        reports::insert(&mut tx, &report).await.unwrap();
    }
    let ids: Vec<_> = reports::list(&mut tx, "mon", 2).await.unwrap().into_iter().map(|r| r.id).collect();
    assert_eq!(ids, ["r3", "r2"]);
    let latest = reports::latest(&mut tx, "mon").await.unwrap().unwrap();
    assert_eq!((latest.verdict.as_str(), latest.body), ("drift", json!({"id": "r3"})));
    assert!(reports::get(&mut tx, "r1").await.unwrap().is_some());
    assert_eq!(reports::delete_for(&mut tx, "mon").await.unwrap(), 3);

    let segment = |name: &str, first, last| Segment {
        endpoint_uid: "e".into(),
        name: name.into(),
        workspace: WORKSPACE.into(),
        kind: "predictions".into(),
        row_count: 5,
        first_at: at(first),
        last_at: at(last),
    };
    for (name, first, last) in [("s2", 20, 29), ("s1", 10, 19), ("s3", 30, 39)] {
        assert!(segments::insert(&mut tx, &segment(name, first, last)).await.unwrap());
    }
    assert!(!segments::insert(&mut tx, &segment("s2", 20, 29)).await.unwrap(), "told twice");
    let names = |segments: Vec<Segment>| segments.into_iter().map(|s| s.name).collect::<Vec<_>>();
    let found = segments::list(&mut tx, "e", "predictions", at(19), at(30)).await.unwrap();
    assert_eq!(names(found), ["s1", "s2"]);
    assert!(segments::list(&mut tx, "e", "outcomes", at(0), at(99)).await.unwrap().is_empty());
    assert_eq!(names(segments::expire(&mut tx, "e", at(29)).await.unwrap()), ["s1"]);
}

#[tokio::test]
async fn a_value_moved_to_another_row_or_put_back_after_a_change_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    records::insert(&mut tx, &new("u1", "a", &json!(1))).await.unwrap();
    records::insert(&mut tx, &new("u2", "b", &json!(2))).await.unwrap();
    tx.commit().await.unwrap();
    let raw =
        sqlx::SqlitePool::connect(&format!("sqlite:{}", dir.path().join("data/db.sqlite").display())).await.unwrap();
    let old: Vec<u8> = sqlx::query_scalar("SELECT spec FROM records WHERE uid = 'u1'").fetch_one(&raw).await.unwrap();
    sqlx::query("UPDATE records SET spec = $1 WHERE uid = 'u2'").bind(&old).execute(&raw).await.unwrap();
    let error = records::get_by_uid(&mut store.read().await.unwrap(), "u2").await.unwrap_err();
    assert!(matches!(error, StoreError::NotAuthentic { .. }), "{error}");

    let mut tx = store.begin().await.unwrap();
    records::update_spec(&mut tx, "u1", &json!(3), State::Ready).await.unwrap();
    tx.commit().await.unwrap();
    sqlx::query("UPDATE records SET spec = $1 WHERE uid = 'u1'").bind(&old).execute(&raw).await.unwrap();
    let error = records::get_by_uid(&mut store.read().await.unwrap(), "u1").await.unwrap_err();
    assert!(matches!(error, StoreError::NotAuthentic { .. }), "{error}");
}

#[tokio::test]
async fn what_is_stored_is_there_after_reopening_and_not_under_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut tx = store.begin().await.unwrap();
    let made = records::insert(&mut tx, &new("u1", "a", &json!({"x": 1}))).await.unwrap();
    tx.commit().await.unwrap();
    store.close().await;
    let store = open(dir.path()).await;
    let read = records::get_by_uid(&mut store.read().await.unwrap(), "u1").await.unwrap();
    assert_eq!(read, Some(made));
    store.close().await;

    let elsewhere = tempfile::tempdir().unwrap();
    let other = Options::new(dir.path().join("data"), kms(elsewhere.path()), CLUSTER_UID);
    assert!(matches!(Store::open(other).await, Err(StoreError::Kms(_))));
    let other = Options { cluster: "another".into(), ..options(dir.path()) };
    assert!(Store::open(other).await.unwrap_err().to_string().contains("belongs to cluster"));
}

#[tokio::test]
async fn everything_is_private_and_a_shared_directory_or_a_key_inside_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let digest = store.blobs().put(WORKSPACE, b"x".to_vec()).await.unwrap();
    assert!(store.blobs().exists(WORKSPACE, &digest).await.unwrap());
    let mut seen = 0;
    let mut dirs = vec![dir.path().join("data")];
    while let Some(path) = dirs.pop() {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
        for entry in path.read_dir().unwrap().map(|e| e.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            } else {
                let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", entry.path().display());
                seen += 1;
            }
        }
    }
    assert!(seen >= 4, "database, log, shared memory and a blob: {seen}");
    store.close().await;

    std::fs::set_permissions(dir.path().join("data"), std::fs::Permissions::from_mode(0o750)).unwrap();
    assert!(Store::open(options(dir.path())).await.unwrap_err().to_string().contains("0750"));
    std::fs::set_permissions(dir.path().join("data"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let inside = Options::new(dir.path().join("data"), kms(&dir.path().join("data")), CLUSTER_UID);
    assert!(Store::open(inside).await.unwrap_err().to_string().contains("inside the data directory"));
}

#[tokio::test]
async fn readers_see_one_moment_while_a_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut reader = store.read().await.unwrap();
    assert_eq!(records::get_by_uid(&mut reader, "u1").await.unwrap(), None);
    let mut tx = store.begin().await.unwrap();
    records::insert(&mut tx, &new("u1", "a", &Value::Null)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(records::get_by_uid(&mut reader, "u1").await.unwrap(), None, "the same moment as before");
    assert!(records::get_by_uid(&mut store.read().await.unwrap(), "u1").await.unwrap().is_some());
}

#[tokio::test]
async fn fifty_concurrent_writers_each_get_their_turn() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await?;
                let name = format!("n{i}");
                records::insert(&mut tx, &new(&name, &name, &Value::Null)).await?;
                audit::append(&mut tx, &Event::allowed(WORKSPACE, "admin", "model.create", name)).await?;
                tx.commit().await
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut reader = store.read().await.unwrap();
    assert_eq!(records::list(&mut reader, "model", WORKSPACE).await.unwrap().len(), 50);
    let report = audit::verify_chain(&mut reader, WORKSPACE, None).await.unwrap();
    assert_eq!((report.events, report.first_bad), (50, None));
    assert!(matches!(
        audit::append(&mut store.begin().await.unwrap(), &Event::allowed(CLUSTER, "a", "b", "c")).await.unwrap(),
        Appended::Event { seq: 1, .. }
    ));
}

#[tokio::test]
async fn a_task_cut_off_in_the_middle_of_a_transaction_leaves_the_writer_usable() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for pause in 0..20 {
        let task = {
            let store = store.clone();
            tokio::spawn(async move {
                let mut tx = store.begin().await.unwrap();
                for i in 0.. {
                    let name = format!("n{i}");
                    records::insert(&mut tx, &new(&name, &name, &Value::Null)).await.unwrap();
                }
            })
        };
        tokio::time::sleep(std::time::Duration::from_micros(pause * 300)).await;
        task.abort();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(records::list_kind(&mut tx, "model").await.unwrap(), []);
        tx.commit().await.unwrap();
    }
}
