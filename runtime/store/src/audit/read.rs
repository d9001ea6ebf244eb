use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::{Row, SqliteConnection};

use crate::db::{Session, column};
use crate::error::{Result, StoreError};
use crate::sealed::record::open_json;

use super::append::details_place;

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub seq: i64,
    /// Canonical JSON: the bytes that are hashed.
    pub event: String,
    pub hash: Vec<u8>,
    /// Sealed; gone where the details were erased.
    pub details: Option<Vec<u8>>,
}

impl StoredEvent {
    /// One line of an export: `{"event":{...},"hash":"..."}`. Sealed details are left out; their
    /// hash is in the event.
    pub fn export_line(&self) -> String {
        format!("{{\"event\":{},\"hash\":\"{}\"}}", self.event, hex::encode(&self.hash))
    }
}

/// The other end of [`StoredEvent::export_line`]; only what an export has.
pub(super) fn read_line(line: &str) -> Option<StoredEvent> {
    #[derive(Deserialize)]
    struct Line<'a> {
        /// Kept as it is written: these bytes are hashed.
        #[serde(borrow)]
        event: &'a RawValue,
        hash: &'a str,
    }
    #[derive(Deserialize)]
    struct Seq {
        seq: i64,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    let text = line.event.get();
    let Seq { seq } = serde_json::from_str(text).ok()?;
    let hash = hex::decode(line.hash).ok()?;
    Some(StoredEvent { seq, event: text.to_owned(), hash, details: None })
}

/// Chains and their sizes, by name.
pub async fn chains(session: &mut Session) -> Result<Vec<(String, i64)>> {
    read_chains(session.conn()).await
}

/// Events of a chain after `after` (0 for all), at most `limit`, in order.
pub async fn events(session: &mut Session, chain: &str, after: i64, limit: u32) -> Result<Vec<StoredEvent>> {
    read_events(session.conn(), chain, after, limit).await
}

/// The details of an event, in the clear.
///
/// # Errors
/// [`StoreError::KeyErased`] when the workspace was.
pub async fn details(session: &mut Session, chain: &str, event: &StoredEvent) -> Result<Option<Value>> {
    let Some(sealed) = &event.details else {
        return Ok(None);
    };
    let keys = session.workspace_keys(chain).await?;
    let row = format!("{chain}/{}", event.seq);
    open_json(&keys, details_place(&row), sealed).map(Some)
}

pub(super) async fn read_chains(conn: &mut SqliteConnection) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query("SELECT chain, size FROM audit_heads ORDER BY chain")
        .fetch_all(conn)
        .await
        .map_err(StoreError::db("list the audit chains"))?;
    rows.iter().map(|row| Ok((column(row, "chain")?, column(row, "size")?))).collect()
}

pub(super) async fn read_events(
    conn: &mut SqliteConnection,
    chain: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<StoredEvent>> {
    let rows = sqlx::query(
        "SELECT seq, event, hash, details FROM audit_events
         WHERE chain = $1 AND seq > $2 ORDER BY seq LIMIT $3",
    )
    .bind(chain)
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await
    .map_err(StoreError::db("read the audit chain"))?;
    rows.iter()
        .map(|row| {
            Ok(StoredEvent {
                seq: column(row, "seq")?,
                // A damaged event may not even be text; that is the verifier's to say.
                event: row
                    .try_get_unchecked::<Vec<u8>, _>("event")
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .map_err(|e| StoreError::damaged("an audit event", e))?,
                hash: column(row, "hash")?,
                details: column(row, "details")?,
            })
        })
        .collect()
}
