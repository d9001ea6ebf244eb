//! The formats as their pages describe them: read by programs that share no code with this one.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{WORKSPACE, open, options};
use falaj_store::audit::{self, Event};
use falaj_store::{KeyRef, Options, Store};
use serde_json::json;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The interpreter with the tests' packages: `FALAJ_TEST_PYTHON`, or the tests' own, installed now.
fn python() -> String {
    if let Ok(python) = std::env::var("FALAJ_TEST_PYTHON") {
        return python;
    }
    let tools = repository().join("tests/tools");
    let installed = Command::new(tools.join("install")).arg("python").status().unwrap();
    assert!(installed.success(), "tests/tools/install python failed");
    let path = Command::new(tools.join("path")).arg("python").output().unwrap();
    String::from_utf8(path.stdout).unwrap().trim().to_owned()
}

fn run(script: &str, args: &[&str]) -> Output {
    let script = repository().join("docs/formats").join(script);
    Command::new(python()).arg(script).args(args).output().unwrap()
}

fn the_only_file(dir: &Path) -> PathBuf {
    let entry = dir.read_dir().unwrap().next().unwrap().unwrap();
    match entry.file_type().unwrap().is_dir() {
        true => the_only_file(&entry.path()),
        false => entry.path(),
    }
}

#[tokio::test]
async fn the_python_reader_opens_a_blob_and_refuses_an_altered_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    store.blobs().put(WORKSPACE, bytes.clone()).await.unwrap();
    let path = the_only_file(&dir.path().join("data/blobs"));
    let keys = store.keys(&KeyRef::workspace(WORKSPACE)).await.unwrap().file_key();
    let (uid, secret) = keys.expose();
    let (uid, secret) = (uid.to_string(), hex::encode(secret));
    let name = path.file_name().unwrap().to_str().unwrap();
    let workspace = format!("falaj:workspace={WORKSPACE}");
    let args = [path.to_str().unwrap(), &uid, &secret, name, "falaj:purpose=blob", &workspace];
    let read = run("open_sealed_file.py", &args);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    assert_eq!(read.stdout, bytes);

    let mut altered = std::fs::read(&path).unwrap();
    altered[500_000] ^= 1;
    std::fs::write(&path, altered).unwrap();
    assert!(!run("open_sealed_file.py", &args).status.success());
}

#[tokio::test]
async fn the_python_verifier_agrees_on_a_chain_and_on_where_it_is_bad() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(Options { checkpoint_every: 7, ..options(dir.path()) }).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    for i in 0..23 {
        let event = Event::allowed(WORKSPACE, "user:زينب", "model.update", format!("m\"{i}\n\u{7f}"))
            .details(json!({ "i": i }));
        audit::append(&mut tx, &event).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut reader = store.read().await.unwrap();
    let report = audit::verify_chain(&mut reader, WORKSPACE, None).await.unwrap();
    assert_eq!((report.events, &report.first_bad), (23, &None));
    drop(reader);
    store.close().await;
    let path = dir.path().join("data/db.sqlite");
    let verified = run("verify_audit.py", &[path.to_str().unwrap()]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    assert!(said.starts_with(&format!("{WORKSPACE} 23 {} 3 checkpoints", hex::encode(report.root))), "{said}");

    let raw = sqlx::SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    sqlx::query("UPDATE audit_events SET details = x'00' WHERE seq = 9").execute(&raw).await.unwrap();
    raw.close().await;
    let refused = run("verify_audit.py", &[path.to_str().unwrap()]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("event 9 does not verify"));
}
