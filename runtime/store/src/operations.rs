//! Long work that survives the process that started it.
//!
//! Each start of the work is an *attempt*. What an attempt reports is kept only while it is the
//! newest, so a worker that was given up cannot finish an operation a second time.

use falaj_api::operation::OperationState;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

use crate::db::{Session, Tx, column, now, time_column, word_column};
use crate::error::{Result, StoreError};
use crate::keys::KeySet;
use crate::sealed::record::{Place, open, open_json, seal, seal_json};

const TABLE: &str = "operations";

/// A stored operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    pub id: String,
    /// Such as `train`.
    pub kind: String,
    pub workspace: String,
    /// Uid of the record it works on.
    pub target_uid: String,
    pub state: OperationState,
    /// From 1; rises by one each time the work is started again.
    pub attempt: i64,
    /// From 0 to 100.
    pub progress_percent: f64,
    pub message: String,
    /// What went wrong, where it failed.
    pub error: Option<Value>,
    /// What the work needs to be started again.
    pub payload: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn place<'a>(id: &'a str, column: &'a str, version: i64) -> Place<'a> {
    Place { table: TABLE, row: id, column, version }
}

/// Stores a new operation, running, attempt 1.
pub async fn start(
    tx: &mut Tx,
    id: &str,
    kind: &str,
    workspace: &str,
    target_uid: &str,
    payload: &Value,
) -> Result<Operation> {
    let keys = tx.workspace_keys_or_create(workspace).await?;
    let row = sqlx::query(
        "INSERT INTO operations (id, kind, workspace, target_uid, state, attempt, revision,
                                 progress_percent, payload, created_at, updated_at)
         VALUES ($1, $2, $3, $4, 'running', 1, 1, 0.0, $5, $6, $6) RETURNING *",
    )
    .bind(id)
    .bind(kind)
    .bind(workspace)
    .bind(target_uid)
    .bind(seal_json(&keys, place(id, "payload", 1), payload)?)
    .bind(now())
    .fetch_one(tx.conn())
    .await
    .map_err(StoreError::db("store an operation"))?;
    read(&row, &keys)
}

/// Reports progress of a running attempt.
///
/// # Errors
/// [`StoreError::Superseded`] when another attempt owns the operation or it has ended.
pub async fn advance(tx: &mut Tx, id: &str, attempt: i64, progress_percent: f64, message: &str) -> Result<()> {
    let (keys, revision) = owned(tx, id, attempt).await?;
    let sealed = seal(&keys, place(id, "message", revision + 1), message.as_bytes())?;
    sqlx::query(
        "UPDATE operations SET progress_percent = $3, message = $4, error = NULL, revision = $5,
                               updated_at = $6
         WHERE id = $1 AND attempt = $2 AND state = 'running'",
    )
    .bind(id)
    .bind(attempt)
    .bind(progress_percent.clamp(0.0, 100.0))
    .bind(sealed)
    .bind(revision + 1)
    .bind(now())
    .execute(tx.conn())
    .await
    .map_err(StoreError::db("advance an operation"))?;
    Ok(())
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a> {
    Succeeded,
    /// With what to tell the user.
    Failed(&'a Value),
    Cancelled,
}

/// Ends a running attempt. In the same [`Tx`] as the result it commits.
///
/// # Errors
/// [`StoreError::Superseded`] when another attempt owns the operation or it has ended: the caller
/// then drops its transaction, and its result with it.
pub async fn finish(tx: &mut Tx, id: &str, attempt: i64, outcome: Outcome<'_>, message: &str) -> Result<Operation> {
    let (keys, revision) = owned(tx, id, attempt).await?;
    let next = revision + 1;
    let (state, error) = match outcome {
        Outcome::Succeeded => ("succeeded", None),
        Outcome::Cancelled => ("cancelled", None),
        Outcome::Failed(error) => ("failed", Some(seal_json(&keys, place(id, "error", next), error)?)),
    };
    let row = sqlx::query(
        "UPDATE operations
         SET state = $3, message = $4, error = $5, revision = $6, updated_at = $7,
             progress_percent = CASE WHEN $3 = 'succeeded' THEN 100.0 ELSE progress_percent END
         WHERE id = $1 AND attempt = $2 AND state = 'running' RETURNING *",
    )
    .bind(id)
    .bind(attempt)
    .bind(state)
    .bind(seal(&keys, place(id, "message", next), message.as_bytes())?)
    .bind(error)
    .bind(next)
    .bind(now())
    .fetch_optional(tx.conn())
    .await
    .map_err(StoreError::db("finish an operation"))?
    .ok_or_else(|| superseded(id, attempt))?;
    read(&row, &keys)
}

/// Starts a running operation's work again: the attempt before it can no longer report anything.
pub async fn bump_attempt(tx: &mut Tx, id: &str) -> Result<Operation> {
    let row = sqlx::query(
        "UPDATE operations SET attempt = attempt + 1, progress_percent = 0.0, updated_at = $2
         WHERE id = $1 AND state = 'running' RETURNING *",
    )
    .bind(id)
    .bind(now())
    .fetch_optional(tx.conn())
    .await
    .map_err(StoreError::db("start an operation again"))?
    .ok_or_else(|| StoreError::missing(format!("running operation {id}")))?;
    opened(tx, row).await
}

pub async fn get(session: &mut Session, id: &str) -> Result<Option<Operation>> {
    let row = sqlx::query("SELECT * FROM operations WHERE id = $1")
        .bind(id)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find an operation"))?;
    match row {
        Some(row) => opened(session, row).await.map(Some),
        None => Ok(None),
    }
}

/// The newest operation on a record.
pub async fn latest(session: &mut Session, target_uid: &str) -> Result<Option<Operation>> {
    let row = sqlx::query("SELECT * FROM operations WHERE target_uid = $1 ORDER BY created_at DESC, id DESC LIMIT 1")
        .bind(target_uid)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find an operation"))?;
    match row {
        Some(row) => opened(session, row).await.map(Some),
        None => Ok(None),
    }
}

/// Operations that were running when the process ended, oldest first.
pub async fn list_unfinished(session: &mut Session) -> Result<Vec<Operation>> {
    let rows = sqlx::query("SELECT * FROM operations WHERE state = 'running' ORDER BY created_at, id")
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list operations"))?;
    let mut operations = Vec::with_capacity(rows.len());
    for row in rows {
        operations.push(opened(session, row).await?);
    }
    Ok(operations)
}

/// Deletes every operation on a record. How many there were.
pub async fn delete_for(tx: &mut Tx, target_uid: &str) -> Result<u64> {
    sqlx::query("DELETE FROM operations WHERE target_uid = $1")
        .bind(target_uid)
        .execute(tx.conn())
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::db("delete operations"))
}

fn superseded(id: &str, attempt: i64) -> StoreError {
    StoreError::Superseded { operation: id.to_owned(), attempt }
}

async fn owned(tx: &mut Tx, id: &str, attempt: i64) -> Result<(std::sync::Arc<KeySet>, i64)> {
    let row = sqlx::query(
        "SELECT workspace, revision FROM operations
         WHERE id = $1 AND attempt = $2 AND state = 'running'",
    )
    .bind(id)
    .bind(attempt)
    .fetch_optional(tx.conn())
    .await
    .map_err(StoreError::db("find an operation"))?
    .ok_or_else(|| superseded(id, attempt))?;
    let workspace: String = column(&row, "workspace")?;
    Ok((tx.workspace_keys(&workspace).await?, column(&row, "revision")?))
}

async fn opened(session: &mut Session, row: SqliteRow) -> Result<Operation> {
    let workspace: String = column(&row, "workspace")?;
    let keys = session.workspace_keys(&workspace).await?;
    read(&row, &keys)
}

fn read(row: &SqliteRow, keys: &KeySet) -> Result<Operation> {
    let id: String = column(row, "id")?;
    let revision: i64 = column(row, "revision")?;
    let payload: Vec<u8> = column(row, "payload")?;
    let message: Option<Vec<u8>> = column(row, "message")?;
    let error: Option<Vec<u8>> = column(row, "error")?;
    let message = match message {
        Some(sealed) => {
            let text = open(keys, place(&id, "message", revision), &sealed)?;
            String::from_utf8_lossy(&text).into_owned()
        }
        None => String::new(),
    };
    let error = error.map(|sealed| open_json(keys, place(&id, "error", revision), &sealed)).transpose()?;
    Ok(Operation {
        payload: open_json(keys, place(&id, "payload", 1), &payload)?,
        message,
        error,
        kind: column(row, "kind")?,
        workspace: column(row, "workspace")?,
        target_uid: column(row, "target_uid")?,
        state: word_column(row, "state")?,
        attempt: column(row, "attempt")?,
        progress_percent: column(row, "progress_percent")?,
        created_at: time_column(row, "created_at")?,
        updated_at: time_column(row, "updated_at")?,
        id,
    })
}
