//! Nothing leaves the store unsealed: words planted in everything it is given are not on disk.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use common::{WORKSPACE, open};
use falaj_api::record::State;
use falaj_store::audit::{self, Event};
use falaj_store::operations::Outcome;
use falaj_store::records::NewRecord;
use falaj_store::reports::Report;
use falaj_store::versions::NewVersion;
use falaj_store::{Digest, Store, operations, records, reports, versions};
use jiff::Timestamp;
use serde_json::json;

/// Long enough not to occur by chance, and different for each place.
fn canary(place: &str) -> String {
    format!("canary-of-{place}-7f3a9c")
}

const PLACES: &[&str] = &[
    "spec",
    "spec2",
    "status",
    "payload",
    "progress",
    "message",
    "error",
    "metadata",
    "artifact",
    "report",
    "details",
    "blob",
    "stream",
    "unfinished",
];

/// The bytes `text` may appear as: itself, in hexadecimal, and in base64 at each of its three
/// alignments, where the first and last characters depend on their neighbours and are left out.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![text.into(), hex::encode(text).into(), hex::encode_upper(text).into()];
    for shift in 0..3 {
        let shifted = [vec![b' '; shift], text.into()].concat();
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            let inner = encoded.get(4..encoded.len() - 4).unwrap();
            forms.push(inner.into());
        }
    }
    // As SQLite or JSON might spread it.
    forms.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Every file below `dir` that holds `needle`, and how many files there were.
fn search(dir: &Path, needle: &[u8]) -> (Vec<String>, usize) {
    let (mut found, mut seen) = (Vec::new(), 0);
    for entry in dir.read_dir().unwrap().map(|e| e.unwrap()) {
        if entry.file_type().unwrap().is_dir() {
            let (more, files) = search(&entry.path(), needle);
            found.extend(more);
            seen += files;
            continue;
        }
        seen += 1;
        let name = entry.file_name().to_string_lossy().into_owned();
        if holds(name.as_bytes(), needle) || holds(&std::fs::read(entry.path()).unwrap(), needle) {
            found.push(entry.path().display().to_string());
        }
    }
    (found, seen)
}

async fn plant(store: &Store) {
    let mut tx = store.begin().await.unwrap();
    let record = NewRecord {
        uid: "u1",
        kind: "model",
        workspace: WORKSPACE,
        parent: WORKSPACE,
        name: "name-in-the-clear",
        state: State::Creating,
        spec: &json!({ "column": canary("spec") }),
        status: &json!({ "why": canary("status") }),
    };
    records::insert(&mut tx, &record).await.unwrap();
    records::update_spec(&mut tx, "u1", &json!([canary("spec2")]), State::Ready).await.unwrap();
    let payload = json!({ canary("payload"): 1 });
    operations::start(&mut tx, "o1", "train", WORKSPACE, "u1", &payload).await.unwrap();
    operations::advance(&mut tx, "o1", 1, 1.0, &canary("progress")).await.unwrap();
    let error = json!({ "detail": canary("error") });
    operations::finish(&mut tx, "o1", 1, Outcome::Failed(&error), &canary("message")).await.unwrap();
    let version = NewVersion {
        model_uid: "u1",
        workspace: WORKSPACE,
        spec_digest: "spec-digest-9b1d77",
        data_digest: &Digest::of(b"data").to_string(),
        artifacts: &BTreeMap::from([(canary("artifact"), Digest::of(b"artifact"))]),
        metadata: &json!({ "feature": canary("metadata") }),
    };
    versions::insert(&mut tx, &version).await.unwrap();
    let report = Report {
        id: "r1".into(),
        monitor_uid: "m1".into(),
        workspace: WORKSPACE.into(),
        verdict: "drift".into(),
        body: json!({ "top_category": canary("report") }),
        created_at: Timestamp::now(),
    };
    reports::insert(&mut tx, &report).await.unwrap();
    let event = Event::allowed(WORKSPACE, "admin", "model.create", "u1").details(json!({ "x": canary("details") }));
    audit::append(&mut tx, &event).await.unwrap();
    tx.commit().await.unwrap();

    let text = canary("blob").repeat(10_000);
    store.blobs().put(WORKSPACE, text.into_bytes()).await.unwrap();
    let source = std::io::Cursor::new(canary("stream").into_bytes());
    store.blobs().put_reader(WORKSPACE, source).await.unwrap();
}

#[tokio::test]
async fn no_planted_word_is_on_disk_in_any_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    plant(&store).await;
    // A blob that is still being written lies among the temporary files.
    let mut unfinished = store.blobs().writer(WORKSPACE).await.unwrap();
    unfinished.append(canary("unfinished").repeat(10_000).as_bytes()).unwrap();

    let clean = |when: &str| {
        let mut needles: Vec<(String, Vec<u8>)> = PLACES
            .iter()
            .flat_map(|place| forms(&canary(place)).into_iter().map(|form| ((*place).to_owned(), form)))
            .collect();
        for digest in [Digest::of(b"data"), Digest::of(b"artifact"), Digest::of(canary("stream").as_bytes())] {
            needles.push(("digest".into(), digest.to_string().into_bytes()));
            needles.push(("digest".into(), digest.0.to_vec()));
        }
        needles.push(("spec digest".into(), b"spec-digest-9b1d77".to_vec()));
        for (place, needle) in needles {
            let (found, seen) = search(&dir.path().join("data"), &needle);
            assert!(seen >= 3, "there is something to search");
            assert!(found.is_empty(), "{when}: {place} is in {found:?} as {}", String::from_utf8_lossy(&needle));
        }
    };
    let (log, _) = search(&dir.path().join("data"), b"name-in-the-clear");
    assert!(log.iter().any(|path| path.ends_with("-wal")), "the search looks into the log: {log:?}");
    clean("open");
    drop(unfinished);
    store.close().await;
    clean("closed");
    let (database, _) = search(&dir.path().join("data"), b"name-in-the-clear");
    assert!(database.iter().any(|path| path.ends_with("db.sqlite")), "and into the database: {database:?}");
}

#[test]
fn the_search_would_find_every_spelling() {
    let dir = tempfile::tempdir().unwrap();
    let text = canary("spec");
    let spellings = [
        text.clone(),
        hex::encode(&text),
        hex::encode_upper(&text),
        STANDARD_NO_PAD.encode(format!("{{\"column\":\"{text}\"}}")),
        STANDARD_NO_PAD.encode(format!("x{text}yz")),
        URL_SAFE_NO_PAD.encode(format!("xy{text}")),
    ];
    for spelling in spellings {
        std::fs::write(dir.path().join("file"), format!("..{spelling}..")).unwrap();
        let hits = forms(&text).into_iter().filter(|form| !search(dir.path(), form).0.is_empty()).count();
        assert!(hits > 0, "{spelling}");
    }
}
