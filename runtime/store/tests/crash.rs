//! `kill -9` at any moment: what was acknowledged is there, and the evidence is whole.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{WORKSPACE, open};
use falaj_api::record::State;
use falaj_store::audit::{self, Event};
use falaj_store::records::NewRecord;
use falaj_store::{Digest, Store, records};
use serde_json::{Value, json};

const DIR: &str = "FALAJ_TEST_CRASH_DIR";
const CYCLES: u32 = 20;

fn content(uid: &str) -> Vec<u8> {
    uid.as_bytes().repeat(3000)
}

/// One change in the order the control plane makes it: blob, then record and event in one
/// transaction, then the reply.
async fn change(store: &Store, uid: &str) -> Result<(), falaj_store::StoreError> {
    let digest = store.blobs().put(WORKSPACE, content(uid)).await?;
    let mut tx = store.begin().await?;
    let record = NewRecord {
        uid,
        kind: "model",
        workspace: WORKSPACE,
        parent: WORKSPACE,
        name: uid,
        state: State::Ready,
        spec: &json!({ "blob": digest }),
        status: &Value::Null,
    };
    records::insert(&mut tx, &record).await?;
    audit::append(&mut tx, &Event::allowed(WORKSPACE, "admin", "model.create", uid)).await?;
    tx.commit().await
}

#[tokio::test]
#[ignore = "child of what_was_acknowledged_survives_kill_9_and_the_chain_verifies"]
async fn child_writes_until_it_is_killed() {
    let root = PathBuf::from(std::env::var_os(DIR).expect("run the parent test"));
    let store = open(&root).await;
    let pid = std::process::id();
    for number in 0u64.. {
        let uid = format!("{pid}-{number}");
        change(&store, &uid).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "ack {uid}").unwrap();
        out.flush().unwrap();
    }
}

/// Starts the child, kills it after `acks` acknowledgements and `pause`, and returns all it
/// acknowledged.
fn run_and_kill(root: &Path, acks: usize, pause: Duration) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_writes_until_it_is_killed", "--include-ignored", "--nocapture"])
        .env(DIR, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acked = Vec::new();
    let mut killed = false;
    for line in lines.map_while(Result::ok) {
        // The first line may share its place with what the test harness prints.
        if let Some((_, uid)) = line.split_once("ack ") {
            acked.push(uid.to_owned());
        }
        if acked.len() >= acks && !killed {
            std::thread::sleep(pause);
            child.kill().unwrap();
            killed = true;
        }
    }
    let status = child.wait().unwrap();
    assert!(killed && !status.success(), "the child ended by itself: {status}");
    acked
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9_and_the_chain_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked: Vec<String> = Vec::new();
    for cycle in 0..CYCLES {
        let (root, acks) = (dir.path().to_owned(), 1 + (cycle as usize * 7) % 13);
        let pause = Duration::from_micros(u64::from(cycle) * 137 % 2500);
        let new = tokio::task::spawn_blocking(move || run_and_kill(&root, acks, pause)).await.unwrap();
        assert!(!new.is_empty());
        acked.extend(new);

        let store = open(dir.path()).await;
        let mut reader = store.read().await.unwrap();
        let stored = records::list(&mut reader, "model", WORKSPACE).await.unwrap();
        for uid in &acked {
            assert!(stored.iter().any(|r| r.uid == *uid), "cycle {cycle}: {uid} was acknowledged and is gone");
        }
        // At most the change in flight at each kill was stored without its reply.
        assert!(stored.len() <= acked.len() + cycle as usize + 1);
        for record in &stored {
            let digest: Digest = serde_json::from_value(record.spec["blob"].clone()).unwrap();
            assert_eq!(digest, Digest::of(&content(&record.uid)));
            store.blobs().verify(WORKSPACE, &digest).await.unwrap();
        }
        let report = audit::verify_chain(&mut reader, WORKSPACE, None).await.unwrap();
        assert_eq!((report.first_bad, report.events), (None, stored.len() as u64), "a record without its event");
        let temporary = dir.path().join("data/tmp").read_dir().unwrap().count();
        assert_eq!(temporary, 0, "what was being written is swept");
        drop(reader);
        store.close().await;
    }
}
