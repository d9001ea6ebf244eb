//! Checking a chain, with no key and no service: only the database, or an export of it.

use std::io::BufRead;
use std::path::Path;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use crate::crypto::sha256;
use crate::db::{Session, column};
use crate::error::{Result, StoreError};

use super::checkpoint::{self, Checkpoint, PublicKey, read_public_keys};
use super::event::{canonical_json, link};
use super::merkle::Frontier;
use super::read::{StoredEvent, read_chains, read_events, read_line};

const PAGE: u32 = 1000;

/// The first event that does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEvent {
    pub seq: i64,
    pub reason: String,
}

/// What a chain turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainReport {
    pub chain: String,
    /// Events that verify, from the first.
    pub events: u64,
    /// Hash of the last of them.
    pub head: [u8; 32],
    /// Merkle root of them.
    pub root: [u8; 32],
    /// Signed checkpoints that agree with them.
    pub checkpoints: u64,
    pub first_bad: Option<BadEvent>,
}

/// Follows a chain from its first event.
#[derive(Debug, Clone)]
pub struct Verifier {
    chain: String,
    head: [u8; 32],
    frontier: Frontier,
}

impl Verifier {
    pub fn new(chain: impl Into<String>) -> Self {
        Self { chain: chain.into(), head: [0; 32], frontier: Frontier::default() }
    }

    fn next(&self) -> i64 {
        i64::try_from(self.frontier.size()).map_or(i64::MAX, |size| size.saturating_add(1))
    }

    fn bad(&self, reason: &str) -> BadEvent {
        BadEvent { seq: self.next(), reason: reason.to_owned() }
    }

    fn report(&self, checkpoints: u64, first_bad: Option<BadEvent>) -> ChainReport {
        let (chain, events) = (self.chain.clone(), self.size());
        ChainReport { chain, events, head: self.head(), root: self.root(), checkpoints, first_bad }
    }

    /// Checks the next event.
    pub fn push(&mut self, stored: &StoredEvent) -> Result<(), BadEvent> {
        let seq = self.next();
        let bad = |reason| self.bad(reason);
        if stored.seq != seq {
            return Err(bad("it is missing, or was moved"));
        }
        let hash = link(&self.head, &stored.event);
        if stored.hash != hash {
            return Err(bad("it was altered, or the one before it was replaced"));
        }
        let event: Value = serde_json::from_str(&stored.event).map_err(|_| bad("it is not an event"))?;
        let names_itself = event.get("seq").and_then(Value::as_i64) == Some(seq)
            && event.get("chain").and_then(Value::as_str) == Some(self.chain.as_str());
        if !names_itself {
            return Err(bad("it is the event of another place"));
        }
        if canonical_json(&event) != stored.event {
            return Err(bad("it is not in canonical form"));
        }
        if let Some(details) = &stored.details {
            let told = event.get("details_sha256").and_then(Value::as_str);
            if told != Some(hex::encode(sha256(&[details])).as_str()) {
                return Err(bad("its details were altered"));
            }
        }
        self.frontier.push(&hash);
        self.head = hash;
        Ok(())
    }

    /// Events so far.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub fn head(&self) -> [u8; 32] {
        self.head
    }

    pub fn root(&self) -> [u8; 32] {
        self.frontier.root()
    }
}

/// Verifies one chain of an open database against its own checkpoints, and against `known`, a
/// checkpoint kept elsewhere: without one, a chain cut at its end together with its checkpoints
/// cannot be told from one that never was longer.
pub async fn verify_chain(session: &mut Session, chain: &str, known: Option<&Checkpoint>) -> Result<ChainReport> {
    verify_in(session.conn(), chain, known).await
}

/// Verifies every chain of the database file at `path`, which may be a copy. Needs no key.
pub async fn verify_database(path: &Path) -> Result<Vec<ChainReport>> {
    let mut conn = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .connect()
        .await
        .map_err(StoreError::db("open the database to verify"))?;
    let mut tx = conn.begin().await.map_err(StoreError::db("begin reading"))?;
    let mut reports = Vec::new();
    for (chain, _) in all_chains(&mut tx).await? {
        reports.push(verify_in(&mut tx, &chain, None).await?);
    }
    Ok(reports)
}

/// Verifies an export of a chain: lines of [`StoredEvent::export_line`] from the first event on.
/// Compare the size and the root of the report with a signed [`Checkpoint`].
pub fn verify_export(chain: &str, lines: impl BufRead) -> Result<ChainReport> {
    let mut verifier = Verifier::new(chain);
    let mut first_bad = None;
    for line in lines.lines() {
        let line = line.map_err(StoreError::io("read", Path::new("the export")))?;
        let event = read_line(&line).ok_or_else(|| verifier.bad("its line is not one of an export"));
        if let Err(bad) = event.and_then(|event| verifier.push(&event)) {
            first_bad = Some(bad);
            break;
        }
    }
    Ok(verifier.report(0, first_bad))
}

/// Chains with a head, and those of which only events are left.
async fn all_chains(conn: &mut SqliteConnection) -> Result<Vec<(String, i64)>> {
    let mut chains = read_chains(conn).await?;
    let headless = "SELECT DISTINCT chain FROM audit_events
                    WHERE chain NOT IN (SELECT chain FROM audit_heads)";
    let headless: Vec<String> =
        sqlx::query_scalar(headless).fetch_all(conn).await.map_err(StoreError::db("list the audit chains"))?;
    chains.extend(headless.into_iter().map(|chain| (chain, 0)));
    Ok(chains)
}

async fn verify_in(conn: &mut SqliteConnection, chain: &str, known: Option<&Checkpoint>) -> Result<ChainReport> {
    let failed = StoreError::db("read the audit chain");
    let keys = read_public_keys(conn).await?;
    let rows = sqlx::query("SELECT * FROM audit_checkpoints WHERE chain = $1 ORDER BY size")
        .bind(chain)
        .fetch_all(&mut *conn)
        .await
        .map_err(&failed)?;
    let mut checkpoints = rows.iter().map(checkpoint::read).collect::<Result<Vec<_>>>()?;
    checkpoints.extend(known.cloned());
    checkpoints.sort_by_key(|c| c.size);
    let head = sqlx::query("SELECT size, hash FROM audit_heads WHERE chain = $1")
        .bind(chain)
        .fetch_optional(&mut *conn)
        .await
        .map_err(&failed)?;

    let mut verifier = Verifier::new(chain);
    let mut waiting = checkpoints.iter().peekable();
    let mut agreed = 0;
    let mut first_bad = None;
    'pages: loop {
        let after = verifier.next() - 1;
        let page = read_events(conn, chain, after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for event in &page {
            if let Err(bad) = verifier.push(event) {
                first_bad = Some(bad);
                break 'pages;
            }
            while let Some(checkpoint) = waiting.next_if(|c| c.size == event.seq) {
                if let Err(reason) = agrees(checkpoint, &verifier, &keys) {
                    first_bad = Some(BadEvent { seq: event.seq, reason });
                    break 'pages;
                }
                agreed += 1;
            }
        }
    }
    if first_bad.is_none() {
        let told = match &head {
            Some(row) => (column::<i64>(row, "size")?, column::<Vec<u8>>(row, "hash")?),
            None => (0, vec![0; 32]),
        };
        let missing = told != (verifier.next() - 1, verifier.head().to_vec());
        first_bad = match waiting.next() {
            Some(checkpoint) => Some(BadEvent {
                seq: verifier.next(),
                reason: format!("it is missing: a signed checkpoint says the chain had {} events", checkpoint.size),
            }),
            None if missing => Some(BadEvent {
                seq: verifier.next(),
                reason: format!("the chain's head says {} events, and their last hash is another", told.0),
            }),
            None => None,
        };
    }
    Ok(verifier.report(agreed, first_bad))
}

fn agrees(checkpoint: &Checkpoint, verifier: &Verifier, keys: &[PublicKey]) -> Result<(), String> {
    if checkpoint.root != verifier.root() {
        return Err("a signed checkpoint has another root here: the chain was rewritten".into());
    }
    match keys.iter().find(|key| key.key_id == checkpoint.key_id) {
        Some(key) if checkpoint.signed_by(key) => Ok(()),
        Some(_) => Err("the signature of the checkpoint here is not valid".into()),
        None => Err("the checkpoint here is signed by an unknown key".into()),
    }
}
