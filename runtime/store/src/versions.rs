//! The model registry: immutable versions, and aliases that point at them.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

use crate::Digest;
use crate::db::{Session, Tx, column, now, time_column};
use crate::error::{Result, StoreError};
use crate::keys::KeySet;
use crate::sealed::record::{Place, open, seal};

/// A version to be registered.
#[derive(Debug, Clone)]
pub struct NewVersion<'a> {
    pub model_uid: &'a str,
    pub workspace: &'a str,
    /// Digest of the declaration that made it.
    pub spec_digest: &'a str,
    /// Digest of the data it was made from.
    pub data_digest: &'a str,
    /// Blobs by their role, such as `model.onnx`.
    pub artifacts: &'a BTreeMap<String, Digest>,
    /// Signature, metrics, lineage: whatever else is known of it.
    pub metadata: &'a Value,
}

/// A registered version. It never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub model_uid: String,
    pub workspace: String,
    /// From 1, without gaps.
    pub version: i64,
    pub spec_digest: String,
    pub data_digest: String,
    pub artifacts: BTreeMap<String, Digest>,
    pub metadata: Value,
    pub created_at: Timestamp,
}

/// What is sealed of a version.
#[derive(Serialize, Deserialize)]
struct Body {
    spec_digest: String,
    data_digest: String,
    artifacts: BTreeMap<String, Digest>,
    metadata: Value,
}

/// An alias and the version it points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    pub alias: String,
    pub version: i64,
    pub updated_at: Timestamp,
}

fn place(row: &str, version: i64) -> Place<'_> {
    Place { table: "versions", row, column: "body", version }
}

fn spec_mark(keys: &KeySet, model_uid: &str, digest: &str) -> String {
    keys.pseudonym("versions.spec", format!("{model_uid}/{digest}").as_bytes())
}

fn data_mark(keys: &KeySet, model_uid: &str, digest: &str) -> String {
    keys.pseudonym("versions.data", format!("{model_uid}/{digest}").as_bytes())
}

/// Registers the next version of a model.
///
/// # Errors
/// [`StoreError::Exists`], its `uid` the version's number, when the same declaration and data made
/// a version before.
pub async fn insert(tx: &mut Tx, new: &NewVersion<'_>) -> Result<Version> {
    let keys = tx.workspace_keys_or_create(new.workspace).await?;
    let known = find(tx, new.workspace, new.model_uid, new.spec_digest, new.data_digest).await?;
    if let Some(known) = known {
        return Err(StoreError::Exists {
            kind: "model version".into(),
            name: format!("{} of {}", known.version, new.model_uid),
            uid: known.version.to_string(),
        });
    }
    let last: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM versions WHERE model_uid = $1")
        .bind(new.model_uid)
        .fetch_one(tx.conn())
        .await
        .map_err(StoreError::db("number a version"))?;
    let body = Body {
        spec_digest: new.spec_digest.to_owned(),
        data_digest: new.data_digest.to_owned(),
        artifacts: new.artifacts.clone(),
        metadata: new.metadata.clone(),
    };
    let text = serde_json::to_vec(&body).map_err(|e| StoreError::damaged("a version", e))?;
    let row = sqlx::query(
        "INSERT INTO versions (model_uid, version, workspace, spec_mark, data_mark, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *",
    )
    .bind(new.model_uid)
    .bind(last + 1)
    .bind(new.workspace)
    .bind(spec_mark(&keys, new.model_uid, new.spec_digest))
    .bind(data_mark(&keys, new.model_uid, new.data_digest))
    .bind(seal(&keys, place(new.model_uid, last + 1), &text)?)
    .bind(now())
    .fetch_one(tx.conn())
    .await
    .map_err(StoreError::db("register a version"))?;
    read(&row, &keys)
}

/// The version this declaration and data made.
pub async fn find(
    session: &mut Session,
    workspace: &str,
    model_uid: &str,
    spec_digest: &str,
    data_digest: &str,
) -> Result<Option<Version>> {
    let keys = session.workspace_keys(workspace).await?;
    let row = sqlx::query("SELECT * FROM versions WHERE model_uid = $1 AND spec_mark = $2 AND data_mark = $3")
        .bind(model_uid)
        .bind(spec_mark(&keys, model_uid, spec_digest))
        .bind(data_mark(&keys, model_uid, data_digest))
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find a version"))?;
    row.map(|row| read(&row, &keys)).transpose()
}

/// The newest version this declaration made, from whatever data.
pub async fn find_by_spec(
    session: &mut Session,
    workspace: &str,
    model_uid: &str,
    spec_digest: &str,
) -> Result<Option<Version>> {
    let keys = session.workspace_keys(workspace).await?;
    let row = sqlx::query(
        "SELECT * FROM versions WHERE model_uid = $1 AND spec_mark = $2
         ORDER BY version DESC LIMIT 1",
    )
    .bind(model_uid)
    .bind(spec_mark(&keys, model_uid, spec_digest))
    .fetch_optional(session.conn())
    .await
    .map_err(StoreError::db("find a version"))?;
    row.map(|row| read(&row, &keys)).transpose()
}

pub async fn get(session: &mut Session, model_uid: &str, version: i64) -> Result<Option<Version>> {
    let row = sqlx::query("SELECT * FROM versions WHERE model_uid = $1 AND version = $2")
        .bind(model_uid)
        .bind(version)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find a version"))?;
    match row {
        Some(row) => opened(session, row).await.map(Some),
        None => Ok(None),
    }
}

/// Versions of a model, oldest first.
pub async fn list(session: &mut Session, model_uid: &str) -> Result<Vec<Version>> {
    let rows = sqlx::query("SELECT * FROM versions WHERE model_uid = $1 ORDER BY version")
        .bind(model_uid)
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list versions"))?;
    let mut versions = Vec::with_capacity(rows.len());
    for row in rows {
        versions.push(opened(session, row).await?);
    }
    Ok(versions)
}

/// Every blob a version of this workspace needs.
pub async fn artifacts(session: &mut Session, workspace: &str) -> Result<HashSet<Digest>> {
    let rows = sqlx::query("SELECT * FROM versions WHERE workspace = $1")
        .bind(workspace)
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list versions"))?;
    let mut digests = HashSet::new();
    for row in rows {
        digests.extend(opened(session, row).await?.artifacts.into_values());
    }
    Ok(digests)
}

/// Deletes a model's versions and aliases. Its blobs are collected later.
pub async fn delete_model(tx: &mut Tx, model_uid: &str) -> Result<()> {
    for sql in ["DELETE FROM aliases WHERE model_uid = $1", "DELETE FROM versions WHERE model_uid = $1"] {
        sqlx::query(sql)
            .bind(model_uid)
            .execute(tx.conn())
            .await
            .map_err(StoreError::db("delete the versions of a model"))?;
    }
    Ok(())
}

/// Points an alias at a version.
///
/// # Errors
/// [`StoreError::NotFound`] when there is no such version.
pub async fn set_alias(tx: &mut Tx, model_uid: &str, alias: &str, version: i64) -> Result<()> {
    if get(tx, model_uid, version).await?.is_none() {
        return Err(StoreError::missing(format!("version {version} of model {model_uid}")));
    }
    sqlx::query(
        "INSERT INTO aliases (model_uid, alias, version, updated_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (model_uid, alias)
         DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at",
    )
    .bind(model_uid)
    .bind(alias)
    .bind(version)
    .bind(now())
    .execute(tx.conn())
    .await
    .map_err(StoreError::db("set an alias"))?;
    Ok(())
}

/// The version an alias points at.
pub async fn alias(session: &mut Session, model_uid: &str, alias: &str) -> Result<Option<Alias>> {
    let row = sqlx::query("SELECT * FROM aliases WHERE model_uid = $1 AND alias = $2")
        .bind(model_uid)
        .bind(alias)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find an alias"))?;
    row.as_ref().map(read_alias).transpose()
}

/// Aliases of a model, by name.
pub async fn list_aliases(session: &mut Session, model_uid: &str) -> Result<Vec<Alias>> {
    let rows = sqlx::query("SELECT * FROM aliases WHERE model_uid = $1 ORDER BY alias")
        .bind(model_uid)
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list aliases"))?;
    rows.iter().map(read_alias).collect()
}

/// Removes an alias. Whether there was one.
pub async fn delete_alias(tx: &mut Tx, model_uid: &str, alias: &str) -> Result<bool> {
    sqlx::query("DELETE FROM aliases WHERE model_uid = $1 AND alias = $2")
        .bind(model_uid)
        .bind(alias)
        .execute(tx.conn())
        .await
        .map(|done| done.rows_affected() > 0)
        .map_err(StoreError::db("delete an alias"))
}

fn read_alias(row: &SqliteRow) -> Result<Alias> {
    Ok(Alias {
        alias: column(row, "alias")?,
        version: column(row, "version")?,
        updated_at: time_column(row, "updated_at")?,
    })
}

async fn opened(session: &mut Session, row: SqliteRow) -> Result<Version> {
    let workspace: String = column(&row, "workspace")?;
    let keys = session.workspace_keys(&workspace).await?;
    read(&row, &keys)
}

fn read(row: &SqliteRow, keys: &KeySet) -> Result<Version> {
    let model_uid: String = column(row, "model_uid")?;
    let version: i64 = column(row, "version")?;
    let sealed: Vec<u8> = column(row, "body")?;
    let text = open(keys, place(&model_uid, version), &sealed)?;
    let body: Body = serde_json::from_slice(&text).map_err(|e| StoreError::damaged("a version", e))?;
    Ok(Version {
        workspace: column(row, "workspace")?,
        spec_digest: body.spec_digest,
        data_digest: body.data_digest,
        artifacts: body.artifacts,
        metadata: body.metadata,
        created_at: time_column(row, "created_at")?,
        model_uid,
        version,
    })
}
