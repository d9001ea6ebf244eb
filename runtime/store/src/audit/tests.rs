use std::path::PathBuf;
use std::sync::Arc;

use falaj_kms::{FileKms, create_key_file};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use super::*;
use crate::{CLUSTER, Options, Store};

const CHAIN: &str = "w1";

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
    /// Writes to the database as an attacker would.
    raw: SqlitePool,
    path: PathBuf,
}

async fn fixture(checkpoint_every: u32) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    create_key_file(&key).unwrap();
    let kms = Arc::new(FileKms::open(&key, None).unwrap());
    let options = Options { checkpoint_every, ..Options::new(dir.path().join("data"), kms, "c1") };
    let store = Store::open(options).await.unwrap();
    let path = dir.path().join("data/db.sqlite");
    let raw = SqlitePool::connect(&format!("sqlite:{}", path.display())).await.unwrap();
    Fixture { _dir: dir, store, raw, path }
}

impl Fixture {
    async fn append(&self, event: &Event) -> Appended {
        let mut tx = self.store.begin().await.unwrap();
        let appended = append(&mut tx, event).await.unwrap();
        tx.commit().await.unwrap();
        appended
    }

    async fn fill(&self, count: usize) {
        let mut tx = self.store.begin().await.unwrap();
        for i in 0..count {
            let event = Event::allowed(CHAIN, "admin", "model.update", format!("m{i}")).details(json!({ "i": i }));
            append(&mut tx, &event).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn verify(&self) -> ChainReport {
        self.verify_against(None).await
    }

    async fn verify_against(&self, known: Option<&Checkpoint>) -> ChainReport {
        let mut reader = self.store.read().await.unwrap();
        verify_chain(&mut reader, CHAIN, known).await.unwrap()
    }

    async fn tamper(&self, sql: &'static str) {
        assert!(sqlx::query(sql).execute(&self.raw).await.unwrap().rows_affected() > 0, "{sql}");
    }

    async fn all(&self) -> Vec<StoredEvent> {
        let mut reader = self.store.read().await.unwrap();
        events(&mut reader, CHAIN, 0, 10_000).await.unwrap()
    }
}

fn bad_seq(report: &ChainReport) -> Option<i64> {
    report.first_bad.as_ref().map(|bad| bad.seq)
}

#[tokio::test]
async fn an_honest_chain_verifies_with_its_checkpoints() {
    let fixture = fixture(10).await;
    fixture.fill(25).await;
    let report = fixture.verify().await;
    assert_eq!((report.events, report.checkpoints, &report.first_bad), (25, 2, &None));
    let offline = verify_database(&fixture.path).await.unwrap();
    assert_eq!(offline, [report]);
}

#[tokio::test]
async fn events_hold_what_was_said_and_details_only_sealed() {
    let fixture = fixture(10).await;
    let event = Event::refused(CHAIN, "user:a", "model.create", "m1", "residency", "aws:us-east-1 is not allowed")
        .details(json!({"canary": "dubai"}));
    let appended = fixture.append(&event).await;
    let stored = fixture.all().await.remove(0);
    assert_eq!(appended, Appended::Event { seq: 1, hash: stored.hash.clone().try_into().unwrap() });
    let text: Value = serde_json::from_str(&stored.event).unwrap();
    for (name, value) in [
        ("actor", "user:a"),
        ("action", "model.create"),
        ("target", "m1"),
        ("outcome", "refused"),
        ("rule", "residency"),
        ("reason", "aws:us-east-1 is not allowed"),
        ("chain", CHAIN),
    ] {
        assert_eq!(text[name], value);
    }
    assert!(stored.event.starts_with(r#"{"action":"model.create","actor":"#), "members are in order");
    assert!(!stored.event.contains("dubai"));
    let mut reader = fixture.store.read().await.unwrap();
    assert_eq!(details(&mut reader, CHAIN, &stored).await.unwrap(), Some(json!({"canary": "dubai"})));
    let line: Value = serde_json::from_str(&stored.export_line()).unwrap();
    assert_eq!((&line["event"], &line["hash"]), (&text, &json!(hex::encode(&stored.hash))));
}

#[tokio::test]
async fn an_export_verifies_away_from_the_database() {
    let fixture = fixture(10).await;
    fixture.fill(12).await;
    let lines: Vec<String> = fixture.all().await.iter().map(StoredEvent::export_line).collect();
    let verify = |lines: &[String]| verify_export(CHAIN, lines.join("\n").as_bytes()).unwrap();
    let report = verify(&lines);
    assert_eq!(report, ChainReport { checkpoints: 0, ..fixture.verify().await });
    let known = latest_checkpoint(&mut fixture.store.read().await.unwrap(), CHAIN).await.unwrap().unwrap();
    assert_eq!(verify(&lines[..10]).root, known.root);
    for (at, bad) in
        [(4, lines[4].replace("admin", "other")), (4, lines[5].clone()), (4, "{}".into()), (4, String::new())]
    {
        let mut changed = lines.clone();
        changed[at] = bad;
        assert_eq!(bad_seq(&verify(&changed)), Some(5));
    }
    assert_eq!(bad_seq(&verify_export("w2", lines.join("\n").as_bytes()).unwrap()), Some(1), "another chain's");
}

#[tokio::test]
async fn a_dropped_transaction_leaves_no_event_and_no_gap() {
    let fixture = fixture(10).await;
    fixture.fill(1).await;
    let mut tx = fixture.store.begin().await.unwrap();
    append(&mut tx, &Event::allowed(CHAIN, "a", "b", "c")).await.unwrap();
    drop(tx);
    fixture.fill(1).await;
    let report = fixture.verify().await;
    assert_eq!((report.events, report.first_bad), (2, None));
}

#[tokio::test]
async fn the_first_event_that_was_changed_removed_or_moved_is_named() {
    let cases: &[(&str, i64)] = &[
        ("UPDATE audit_events SET event = replace(event, 'admin', 'nobdy') WHERE seq = 7", 7),
        ("UPDATE audit_events SET event = replace(event, ',', ', ') WHERE seq = 7", 7),
        ("UPDATE audit_events SET event = x'ff00' WHERE seq = 7", 7),
        ("UPDATE audit_events SET hash = (SELECT hash FROM audit_events WHERE seq = 8) WHERE seq = 7", 7),
        ("UPDATE audit_events SET details = x'00' WHERE seq = 7", 7),
        ("UPDATE audit_events SET details = (SELECT details FROM audit_events WHERE seq = 8) WHERE seq = 7", 7),
        ("DELETE FROM audit_events WHERE seq = 1", 1),
        ("DELETE FROM audit_events WHERE seq = 7", 7),
        ("DELETE FROM audit_events WHERE seq > 17", 18),
        ("DELETE FROM audit_events", 1),
        ("UPDATE audit_events SET seq = 1000 WHERE seq = 7", 7),
        ("INSERT INTO audit_events SELECT chain, 21, event, hash, details FROM audit_events WHERE seq = 20", 21),
        (
            "UPDATE audit_events SET event = (SELECT event FROM audit_events b WHERE b.seq = 19 - audit_events.seq),
                 hash = (SELECT hash FROM audit_events b WHERE b.seq = 19 - audit_events.seq)
          WHERE seq IN (9, 10)",
            9,
        ),
        ("UPDATE audit_heads SET size = 19 WHERE chain = 'w1'", 21),
        ("UPDATE audit_heads SET hash = zeroblob(32) WHERE chain = 'w1'", 21),
        ("DELETE FROM audit_heads", 21),
        ("UPDATE audit_checkpoints SET root = zeroblob(32) WHERE size = 8", 8),
        ("UPDATE audit_checkpoints SET at = at + 1 WHERE size = 8", 8),
        ("UPDATE audit_checkpoints SET key_id = 'x' WHERE size = 8", 8),
    ];
    for (sql, seq) in cases {
        let fixture = fixture(8).await;
        fixture.fill(20).await;
        assert_eq!(fixture.verify().await.first_bad, None);
        fixture.tamper(sql).await;
        let report = fixture.verify().await;
        assert_eq!(bad_seq(&report), Some(*seq), "{sql}: {report:?}");
        let offline = verify_database(&fixture.path).await.unwrap();
        assert_eq!(offline.iter().find(|r| r.chain == CHAIN), Some(&report), "{sql}");
    }
}

#[tokio::test]
async fn every_event_of_a_chain_is_guarded() {
    let fixture = fixture(1000).await;
    fixture.fill(60).await;
    for seq in 1..=60i64 {
        sqlx::query("UPDATE audit_events SET event = replace(event, 'model', 'nodel') WHERE seq = $1")
            .bind(seq)
            .execute(&fixture.raw)
            .await
            .unwrap();
        assert_eq!(bad_seq(&fixture.verify().await), Some(seq));
        sqlx::query("UPDATE audit_events SET event = replace(event, 'nodel', 'model') WHERE seq = $1")
            .bind(seq)
            .execute(&fixture.raw)
            .await
            .unwrap();
    }
    assert_eq!(fixture.verify().await.first_bad, None);
}

/// An attacker with the database computes all hashes anew: only signatures stop that.
#[tokio::test]
async fn a_chain_that_is_rewritten_throughout_fails_at_its_signed_checkpoint() {
    let fixture = fixture(8).await;
    fixture.fill(20).await;
    let mut head = [0u8; 32];
    let mut frontier = Frontier::default();
    for event in fixture.all().await {
        let text = event.event.replace("admin", "other");
        head = super::event::link(&head, &text);
        frontier.push(&head);
        sqlx::query("UPDATE audit_events SET event = $1, hash = $2 WHERE seq = $3")
            .bind(&text)
            .bind(head.as_slice())
            .bind(event.seq)
            .execute(&fixture.raw)
            .await
            .unwrap();
    }
    sqlx::query("UPDATE audit_heads SET hash = $1, frontier = $2")
        .bind(head.as_slice())
        .bind(frontier.to_bytes())
        .execute(&fixture.raw)
        .await
        .unwrap();
    let report = fixture.verify().await;
    assert_eq!(bad_seq(&report), Some(8), "{report:?}");
}

/// Cut at its end with its head and checkpoints, a chain looks as if it never was longer: that case
/// needs a checkpoint kept elsewhere.
#[tokio::test]
async fn a_chain_cut_at_its_end_is_found_by_a_checkpoint_kept_elsewhere_only() {
    let fixture = fixture(1000).await;
    fixture.fill(10).await;
    let kept = fixture.all().await;
    fixture.fill(5).await;
    let mut tx = fixture.store.begin().await.unwrap();
    let outside = checkpoint(&mut tx, CHAIN).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    assert_eq!(outside.size, 15);
    assert_eq!(fixture.verify_against(Some(&outside)).await.first_bad, None);

    let mut frontier = Frontier::default();
    kept.iter().for_each(|event| frontier.push(&event.hash));
    fixture.tamper("DELETE FROM audit_events WHERE seq > 10").await;
    fixture.tamper("DELETE FROM audit_checkpoints").await;
    sqlx::query("UPDATE audit_heads SET size = 10, hash = $1, frontier = $2")
        .bind(&kept[9].hash)
        .bind(frontier.to_bytes())
        .execute(&fixture.raw)
        .await
        .unwrap();
    assert_eq!(fixture.verify().await.first_bad, None, "nothing inside the database tells");
    assert_eq!(bad_seq(&fixture.verify_against(Some(&outside)).await), Some(11));
}

#[tokio::test]
async fn checkpoints_verify_with_their_public_key_and_no_other() {
    let fixture = fixture(4).await;
    fixture.fill(5).await;
    let mut reader = fixture.store.read().await.unwrap();
    let found = latest_checkpoint(&mut reader, CHAIN).await.unwrap().unwrap();
    assert_eq!(found.size, 4);
    let keys = public_keys(&mut reader).await.unwrap();
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    assert!(found.signed_by(key));
    assert!(!Checkpoint { size: 5, ..found.clone() }.signed_by(key));
    assert!(!Checkpoint { chain: "w2".into(), ..found.clone() }.signed_by(key));
    assert!(!found.signed_by(&PublicKey { cluster: "c2".into(), ..key.clone() }));
    assert!(found.text("c1").starts_with("falaj audit checkpoint v1\nc1\nw1\n4\n"));
}

#[tokio::test]
async fn the_signing_key_outlives_a_restart() {
    let fixture = fixture(4).await;
    let id = public_keys(&mut fixture.store.read().await.unwrap()).await.unwrap();
    fixture.store.close().await;
    let kms = Arc::new(FileKms::open(&fixture._dir.path().join("key"), None).unwrap());
    let store = Store::open(Options::new(fixture.store.dir(), kms, "c1")).await.unwrap();
    assert_eq!(public_keys(&mut store.read().await.unwrap()).await.unwrap(), id);
}

#[tokio::test]
async fn refusals_beyond_the_first_few_are_counted_and_told_together() {
    let fixture = fixture(1000).await;
    let refusal = |actor: &str| Event::refused(CHAIN, actor, "model.create", "m", "residency", "no");
    for i in 1..=5 {
        assert!(matches!(fixture.append(&refusal("a")).await, Appended::Event { seq, .. } if seq == i));
    }
    for untold in 1..=100 {
        assert_eq!(fixture.append(&refusal("a")).await, Appended::Counted { untold });
    }
    assert!(matches!(fixture.append(&refusal("b")).await, Appended::Event { seq: 6, .. }), "another caller");
    let other_rule = Event::refused(CHAIN, "a", "model.create", "m", "role", "no");
    assert!(matches!(fixture.append(&other_rule).await, Appended::Event { seq: 7, .. }), "another rule");
    let allowed = Event::allowed(CHAIN, "a", "model.create", "m");
    assert!(matches!(fixture.append(&allowed).await, Appended::Event { seq: 8, .. }), "never counted");

    // The window passes; the next refusal tells the count first.
    fixture.tamper("UPDATE audit_refusals SET first_at = first_at - 3700000000 WHERE actor = 'a' AND untold > 0").await;
    assert!(matches!(fixture.append(&refusal("a")).await, Appended::Event { seq: 10, .. }));
    let told: Value = serde_json::from_str(&fixture.all().await[8].event).unwrap();
    assert_eq!(
        (&told["action"], &told["actor"], &told["rule"]),
        (&json!("audit.refusals"), &json!("a"), &json!("residency"))
    );
    assert!(told["reason"].as_str().unwrap().starts_with("100 more requests were refused"));

    for _ in 0..10 {
        fixture.append(&refusal("b")).await;
    }
    let mut tx = fixture.store.begin().await.unwrap();
    assert_eq!(flush_refusals(&mut tx, CHAIN).await.unwrap(), 1);
    tx.commit().await.unwrap();
    assert_eq!(fixture.verify().await.first_bad, None);
}

#[tokio::test]
async fn many_callers_cannot_fill_the_disk_with_refusals() {
    let fixture = fixture(1000).await;
    let mut tx = fixture.store.begin().await.unwrap();
    for i in 0..3000 {
        let event = Event::refused(CHAIN, format!("caller-{i}"), "x", "y", "role", "no");
        append(&mut tx, &event).await.unwrap();
    }
    tx.commit().await.unwrap();
    let counted: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_refusals").fetch_one(&fixture.raw).await.unwrap();
    assert_eq!(counted, 1025, "1,024 apart and one for all others");
    let told = fixture.all().await.len();
    assert_eq!(told, 1024 + 5);
}

#[tokio::test]
async fn a_chain_outlives_the_erasure_of_its_workspace() {
    let fixture = fixture(4).await;
    fixture.fill(5).await;
    let mut tx = fixture.store.begin().await.unwrap();
    tx.erase_workspace_keys(CHAIN).await.unwrap();
    append(&mut tx, &Event::allowed(CLUSTER, "admin", "workspace.erase", CHAIN)).await.unwrap();
    tx.commit().await.unwrap();
    let report = fixture.verify().await;
    assert_eq!((report.events, report.first_bad), (5, None));
    let stored = fixture.all().await.remove(0);
    let mut reader = fixture.store.read().await.unwrap();
    assert!(matches!(details(&mut reader, CHAIN, &stored).await, Err(crate::StoreError::KeyErased { .. })));
    assert_eq!(chains(&mut reader).await.unwrap(), [(CLUSTER.to_owned(), 1), (CHAIN.to_owned(), 5)]);
}

#[test]
fn canonical_json_sorts_at_every_depth_and_escapes() {
    let value = json!({"b": [1, {"z": null, "a": "\"\n\u{2028}é"}], "a": true});
    assert_eq!(super::event::canonical_json(&value), "{\"a\":true,\"b\":[1,{\"a\":\"\\\"\\n\u{2028}é\",\"z\":null}]}");
}
