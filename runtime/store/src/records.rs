//! Declared objects: what should be, and what was made of it.

use falaj_api::record::State;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

use crate::db::{Session, Tx, column, now, time_column, word_column};
use crate::error::{Result, StoreError};
use crate::keys::KeySet;
use crate::sealed::record::{Place, open_json, seal_json};

const TABLE: &str = "records";

/// A record to be made.
#[derive(Debug, Clone)]
pub struct NewRecord<'a> {
    pub uid: &'a str,
    /// The noun, such as `model`.
    pub kind: &'a str,
    /// Uid of the workspace whose key seals it, or [`crate::CLUSTER`]. For a workspace's own record
    /// that is its own uid.
    pub workspace: &'a str,
    /// Uid of what it is in: names are unique within (kind, parent).
    pub parent: &'a str,
    pub name: &'a str,
    pub state: State,
    pub spec: &'a Value,
    pub status: &'a Value,
}

/// A stored record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub uid: String,
    pub kind: String,
    pub workspace: String,
    pub parent: String,
    pub name: String,
    /// Rises by one with each change of `spec`, from 1.
    pub generation: i64,
    pub state: State,
    /// Whether a saved state has quoted its uid.
    pub claimed: bool,
    pub spec: Value,
    pub status: Value,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn place<'a>(uid: &'a str, column: &'a str, version: i64) -> Place<'a> {
    Place { table: TABLE, row: uid, column, version }
}

/// Stores a new, unclaimed record of generation 1.
///
/// # Errors
/// [`StoreError::Exists`] with the uid of the record that has the same kind, parent and name.
pub async fn insert(tx: &mut Tx, new: &NewRecord<'_>) -> Result<Record> {
    let keys = tx.workspace_keys_or_create(new.workspace).await?;
    let spec = seal_json(&keys, place(new.uid, "spec", 1), new.spec)?;
    let status = seal_json(&keys, place(new.uid, "status", 1), new.status)?;
    let row = sqlx::query(
        "INSERT INTO records (uid, kind, workspace, parent, name, generation, revision, state,
                              claimed, spec, status, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 1, 1, $6, 0, $7, $8, $9, $9)
         ON CONFLICT (kind, parent, name) DO NOTHING RETURNING *",
    )
    .bind(new.uid)
    .bind(new.kind)
    .bind(new.workspace)
    .bind(new.parent)
    .bind(new.name)
    .bind(new.state.as_str())
    .bind(spec)
    .bind(status)
    .bind(now())
    .fetch_optional(tx.conn())
    .await
    .map_err(StoreError::db("store a record"))?;
    match row {
        Some(row) => read(&row, &keys),
        None => {
            let uid = sqlx::query_scalar("SELECT uid FROM records WHERE kind = $1 AND parent = $2 AND name = $3")
                .bind(new.kind)
                .bind(new.parent)
                .bind(new.name)
                .fetch_one(tx.conn())
                .await
                .map_err(StoreError::db("find a record"))?;
            Err(StoreError::Exists { kind: new.kind.to_owned(), name: new.name.to_owned(), uid })
        }
    }
}

/// The record of this kind and name in `parent`.
pub async fn get(session: &mut Session, kind: &str, parent: &str, name: &str) -> Result<Option<Record>> {
    let row = sqlx::query("SELECT * FROM records WHERE kind = $1 AND parent = $2 AND name = $3")
        .bind(kind)
        .bind(parent)
        .bind(name)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find a record"))?;
    opened(session, row).await
}

/// The record with this uid, of any kind.
pub async fn get_by_uid(session: &mut Session, uid: &str) -> Result<Option<Record>> {
    let row = sqlx::query("SELECT * FROM records WHERE uid = $1")
        .bind(uid)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find a record"))?;
    opened(session, row).await
}

/// Records of a kind in `parent`, by name.
pub async fn list(session: &mut Session, kind: &str, parent: &str) -> Result<Vec<Record>> {
    let rows = sqlx::query("SELECT * FROM records WHERE kind = $1 AND parent = $2 ORDER BY name")
        .bind(kind)
        .bind(parent)
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list records"))?;
    opened_all(session, rows).await
}

/// Records of a kind anywhere, oldest first.
pub async fn list_kind(session: &mut Session, kind: &str) -> Result<Vec<Record>> {
    let rows = sqlx::query("SELECT * FROM records WHERE kind = $1 ORDER BY created_at, uid")
        .bind(kind)
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list records"))?;
    opened_all(session, rows).await
}

/// Everything in `parent`, of any kind, by kind and name: what stands in the way of deleting it.
pub async fn list_children(session: &mut Session, parent: &str) -> Result<Vec<Record>> {
    let rows = sqlx::query("SELECT * FROM records WHERE parent = $1 ORDER BY kind, name")
        .bind(parent)
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list records"))?;
    opened_all(session, rows).await
}

/// Replaces the spec and sets the state; the generation rises by one.
pub async fn update_spec(tx: &mut Tx, uid: &str, spec: &Value, state: State) -> Result<Record> {
    let (keys, generation, _) = versions_of(tx, uid).await?;
    let sealed = seal_json(&keys, place(uid, "spec", generation + 1), spec)?;
    let row = sqlx::query(
        "UPDATE records SET spec = $2, state = $3, generation = $4, updated_at = $5
         WHERE uid = $1 RETURNING *",
    )
    .bind(uid)
    .bind(sealed)
    .bind(state.as_str())
    .bind(generation + 1)
    .bind(now())
    .fetch_one(tx.conn())
    .await
    .map_err(StoreError::db("update a record"))?;
    read(&row, &keys)
}

/// Replaces the status; the generation and the state stay.
pub async fn update_status(tx: &mut Tx, uid: &str, status: &Value) -> Result<Record> {
    let (keys, _, revision) = versions_of(tx, uid).await?;
    let sealed = seal_json(&keys, place(uid, "status", revision + 1), status)?;
    let row = sqlx::query("UPDATE records SET status = $2, revision = $3, updated_at = $4 WHERE uid = $1 RETURNING *")
        .bind(uid)
        .bind(sealed)
        .bind(revision + 1)
        .bind(now())
        .fetch_one(tx.conn())
        .await
        .map_err(StoreError::db("update a record"))?;
    read(&row, &keys)
}

/// Sets the state alone.
pub async fn set_state(tx: &mut Tx, uid: &str, state: State) -> Result<()> {
    let done = sqlx::query("UPDATE records SET state = $2, updated_at = $3 WHERE uid = $1")
        .bind(uid)
        .bind(state.as_str())
        .bind(now())
        .execute(tx.conn())
        .await
        .map_err(StoreError::db("set the state of a record"))?;
    match done.rows_affected() {
        0 => Err(StoreError::missing(format!("record {uid}"))),
        _ => Ok(()),
    }
}

/// Notes that a saved state holds this uid: creates of the same name no longer adopt the record.
/// Whether this call changed that.
pub async fn claim(tx: &mut Tx, uid: &str) -> Result<bool> {
    let done = sqlx::query("UPDATE records SET claimed = 1 WHERE uid = $1 AND claimed = 0")
        .bind(uid)
        .execute(tx.conn())
        .await
        .map_err(StoreError::db("claim a record"))?;
    Ok(done.rows_affected() > 0)
}

/// Deletes a record. Whether there was one.
pub async fn delete(tx: &mut Tx, uid: &str) -> Result<bool> {
    let done = sqlx::query("DELETE FROM records WHERE uid = $1")
        .bind(uid)
        .execute(tx.conn())
        .await
        .map_err(StoreError::db("delete a record"))?;
    Ok(done.rows_affected() > 0)
}

async fn versions_of(tx: &mut Tx, uid: &str) -> Result<(std::sync::Arc<KeySet>, i64, i64)> {
    let row = sqlx::query("SELECT workspace, generation, revision FROM records WHERE uid = $1")
        .bind(uid)
        .fetch_optional(tx.conn())
        .await
        .map_err(StoreError::db("find a record"))?
        .ok_or_else(|| StoreError::missing(format!("record {uid}")))?;
    let workspace: String = column(&row, "workspace")?;
    let keys = tx.workspace_keys(&workspace).await?;
    Ok((keys, column(&row, "generation")?, column(&row, "revision")?))
}

async fn opened(session: &mut Session, row: Option<SqliteRow>) -> Result<Option<Record>> {
    let Some(row) = row else { return Ok(None) };
    let workspace: String = column(&row, "workspace")?;
    let keys = session.workspace_keys(&workspace).await?;
    read(&row, &keys).map(Some)
}

async fn opened_all(session: &mut Session, rows: Vec<SqliteRow>) -> Result<Vec<Record>> {
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        records.extend(opened(session, Some(row)).await?);
    }
    Ok(records)
}

fn read(row: &SqliteRow, keys: &KeySet) -> Result<Record> {
    let uid: String = column(row, "uid")?;
    let generation: i64 = column(row, "generation")?;
    let revision: i64 = column(row, "revision")?;
    let spec: Vec<u8> = column(row, "spec")?;
    let status: Vec<u8> = column(row, "status")?;
    Ok(Record {
        spec: open_json(keys, place(&uid, "spec", generation), &spec)?,
        status: open_json(keys, place(&uid, "status", revision), &status)?,
        kind: column(row, "kind")?,
        workspace: column(row, "workspace")?,
        parent: column(row, "parent")?,
        name: column(row, "name")?,
        generation,
        state: word_column(row, "state")?,
        claimed: column::<i64>(row, "claimed")? != 0,
        created_at: time_column(row, "created_at")?,
        updated_at: time_column(row, "updated_at")?,
        uid,
    })
}
