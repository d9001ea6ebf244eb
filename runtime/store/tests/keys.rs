//! Keys: erasure, rotation, and what happens while the KMS does not answer.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::{CLUSTER_UID, WORKSPACE, kms, open};
use falaj_api::record::State;
use falaj_kms::{Context, DataKey, Description, Kms, KmsError, Problem};
use falaj_store::keys::CachePolicy;
use falaj_store::records::NewRecord;
use falaj_store::{KeyRef, Options, Store, StoreError, records};
use serde_json::{Value, json};

async fn store_one(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    let record = NewRecord {
        uid: "u1",
        kind: "model",
        workspace: WORKSPACE,
        parent: WORKSPACE,
        name: "a",
        state: State::Ready,
        spec: &json!({"secret": 1}),
        status: &Value::Null,
    };
    records::insert(&mut tx, &record).await.unwrap();
    tx.commit().await.unwrap();
}

async fn read_one(store: &Store) -> Result<Option<records::Record>, StoreError> {
    let mut reader = store.read().await?;
    records::get_by_uid(&mut reader, "u1").await
}

/// Every file under `dir`, whole.
fn all_bytes(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in dir.read_dir().unwrap().map(|e| e.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => bytes.extend(all_bytes(&entry.path())),
            false => bytes.extend(std::fs::read(entry.path()).unwrap()),
        }
    }
    bytes
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

#[tokio::test]
async fn deleting_a_workspace_key_erases_its_records_blobs_and_the_wrapped_key_itself() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store_one(&store).await;
    let digest = store.blobs().put(WORKSPACE, b"model bytes".to_vec()).await.unwrap();
    let data = dir.path().join("data");
    let raw = sqlx::SqlitePool::connect(&format!("sqlite:{}", data.join("db.sqlite").display())).await.unwrap();
    let wrapped: Vec<u8> = sqlx::query_scalar("SELECT wrapped FROM keys WHERE workspace = $1")
        .bind(WORKSPACE)
        .fetch_one(&raw)
        .await
        .unwrap();
    raw.close().await;
    assert!(holds(&all_bytes(&data), &wrapped));
    std::fs::write(data.join("snapshots/version-0.sqlite"), &wrapped).unwrap();
    let backup = all_bytes(&data.join("blobs"));

    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.erase_workspace_keys(WORKSPACE).await.unwrap(), 1);
    assert!(records::get_by_uid(&mut tx, "u1").await.is_err(), "gone within the transaction too");
    drop(tx);
    assert!(read_one(&store).await.unwrap().is_some(), "the erasure was undone with its transaction");

    let mut tx = store.begin().await.unwrap();
    tx.erase_workspace_keys(WORKSPACE).await.unwrap();
    tx.commit().await.unwrap();
    let error = read_one(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::KeyErased { .. }), "{error}");
    assert!(!holds(&all_bytes(&data), &wrapped), "the wrapped key is still on disk");
    assert_eq!(all_bytes(&data.join("blobs")), backup, "the file is there, as it would be in a backup");
    // A new key of the same name opens nothing of the old.
    assert!(store.blobs().get(WORKSPACE, &digest).await.is_err());
}

#[tokio::test]
async fn a_reader_in_the_way_only_puts_off_the_cleaning_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let subject = KeyRef::subject(WORKSPACE, "captures", "s1");
    store.keys(&subject).await.unwrap();
    let data = dir.path().join("data");
    let raw = sqlx::SqlitePool::connect(&format!("sqlite:{}", data.join("db.sqlite").display())).await.unwrap();
    let wrapped: Vec<u8> =
        sqlx::query_scalar("SELECT wrapped FROM keys WHERE subject = 's1'").fetch_one(&raw).await.unwrap();
    raw.close().await;
    let mut reader = store.read().await.unwrap();
    read_something(&mut reader).await;
    let mut tx = store.begin().await.unwrap();
    assert!(tx.erase_key(&subject).await.unwrap());
    tx.commit().await.unwrap();
    drop(reader);
    // Any later commit does it.
    for _ in 0..20 {
        store.begin().await.unwrap().commit().await.unwrap();
        if !holds(&all_bytes(&data), &wrapped) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the wrapped key stayed in the log");
}

async fn read_something(reader: &mut falaj_store::Reader) {
    assert_eq!(records::get_by_uid(reader, "none").await.unwrap(), None);
}

#[tokio::test]
async fn erasing_one_subject_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let (one, two) = (KeyRef::subject(WORKSPACE, "captures", "s1"), KeyRef::subject(WORKSPACE, "captures", "s2"));
    let first = store.keys(&one).await.unwrap().uid();
    let kept = store.keys(&two).await.unwrap().uid();
    let mut tx = store.begin().await.unwrap();
    assert!(tx.erase_key(&one).await.unwrap());
    assert!(!tx.erase_key(&one).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(store.keys(&two).await.unwrap().uid(), kept);
    assert_ne!(store.keys(&one).await.unwrap().uid(), first, "a new key, not the old one back");
}

#[tokio::test]
async fn keys_follow_to_another_kms_key_and_the_old_one_may_go() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store_one(&store).await;
    assert_eq!(store.rewrap_keys(WORKSPACE, None).await.unwrap(), 1);
    let elsewhere = tempfile::tempdir().unwrap();
    let own = kms(elsewhere.path());
    assert_eq!(store.rewrap_keys(WORKSPACE, Some(own.clone())).await.unwrap(), 1);
    store.close().await;

    let store = open(dir.path()).await;
    assert!(matches!(read_one(&store).await, Err(StoreError::Kms(_))), "the cluster's key no longer opens it");
    store.set_workspace_kms(WORKSPACE, own).unwrap();
    assert!(read_one(&store).await.unwrap().is_some());
}

/// A key file whose service can be made to fail.
#[derive(Debug)]
struct Failing {
    inner: Arc<dyn Kms>,
    down: AtomicBool,
    denied: AtomicBool,
}

impl Failing {
    fn check(&self) -> Result<(), KmsError> {
        let problem = match (self.down.load(Ordering::SeqCst), self.denied.load(Ordering::SeqCst)) {
            (true, _) => Problem::Unavailable,
            (_, true) => Problem::Disabled,
            _ => return Ok(()),
        };
        Err(KmsError::new(self.inner.uri(), "answer", problem))
    }
}

#[async_trait]
impl Kms for Failing {
    async fn generate_data_key(&self, context: &Context) -> Result<DataKey, KmsError> {
        self.check()?;
        self.inner.generate_data_key(context).await
    }
    async fn wrap(&self, plaintext: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        self.check()?;
        self.inner.wrap(plaintext, context).await
    }
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<zeroize::Zeroizing<Vec<u8>>, KmsError> {
        self.check()?;
        self.inner.unwrap(wrapped, context).await
    }
    async fn rewrap(&self, wrapped: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        self.check()?;
        self.inner.rewrap(wrapped, context).await
    }
    async fn describe(&self) -> Result<Description, KmsError> {
        self.inner.describe().await
    }
    fn uri(&self) -> &str {
        self.inner.uri()
    }
}

#[tokio::test]
async fn an_outage_is_survived_for_a_while_a_refusal_is_not_and_nothing_is_written_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let failing =
        Arc::new(Failing { inner: kms(dir.path()), down: AtomicBool::new(false), denied: AtomicBool::new(false) });
    let cache = CachePolicy { max_age: Duration::ZERO, ..CachePolicy::default() };
    let options = Options { cache, ..Options::new(dir.path().join("data"), failing.clone(), CLUSTER_UID) };
    let store = Store::open(options).await.unwrap();
    store_one(&store).await;

    failing.down.store(true, Ordering::SeqCst);
    assert!(read_one(&store).await.unwrap().is_some(), "the key in memory is used on");
    let error = store.keys(&KeyRef::workspace("w2")).await.unwrap_err();
    assert!(error.retryable(), "{error}");

    failing.down.store(false, Ordering::SeqCst);
    failing.denied.store(true, Ordering::SeqCst);
    let error = read_one(&store).await.unwrap_err();
    assert!(!error.retryable() && error.to_string().contains("disabled"), "{error}");

    failing.denied.store(false, Ordering::SeqCst);
    assert!(read_one(&store).await.unwrap().is_some());
}

#[tokio::test]
async fn the_cluster_key_can_be_changed_and_workspaces_with_their_own_stay() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    store_one(&store).await;
    let own_dir = tempfile::tempdir().unwrap();
    let own = kms(own_dir.path());
    store.set_workspace_kms("w2", own.clone()).unwrap();
    let second = store.keys(&KeyRef::workspace("w2")).await.unwrap().uid();
    assert_eq!(store.rewrap_cluster_keys(None).await.unwrap(), 2, "a workspace key and the signing key");

    let next_dir = tempfile::tempdir().unwrap();
    let next = kms(next_dir.path());
    assert_eq!(store.rewrap_cluster_keys(Some(next.clone())).await.unwrap(), 2);
    assert!(read_one(&store).await.unwrap().is_some());
    store.close().await;
    assert!(
        matches!(Store::open(common::options(dir.path())).await, Err(StoreError::Kms(_))),
        "the old key is of no use"
    );

    let store = Store::open(Options::new(dir.path().join("data"), next, CLUSTER_UID)).await.unwrap();
    assert!(read_one(&store).await.unwrap().is_some());
    store.set_workspace_kms("w2", own).unwrap();
    assert_eq!(store.keys(&KeyRef::workspace("w2")).await.unwrap().uid(), second);
}
