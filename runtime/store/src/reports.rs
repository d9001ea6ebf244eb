//! What monitors found.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::sqlite::SqliteRow;

use crate::db::{Session, Tx, column, time_column};
use crate::error::{Result, StoreError};
use crate::sealed::record::{Place, open_json, seal_json};

/// A stored report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub id: String,
    pub monitor_uid: String,
    pub workspace: String,
    /// One word in the clear, for alerts and lists.
    pub verdict: String,
    pub body: Value,
    pub created_at: Timestamp,
}

fn place(id: &str) -> Place<'_> {
    Place { table: "reports", row: id, column: "body", version: 1 }
}

/// Stores a report; `report.created_at` is when the monitor ran.
pub async fn insert(tx: &mut Tx, report: &Report) -> Result<()> {
    let keys = tx.workspace_keys_or_create(&report.workspace).await?;
    sqlx::query(
        "INSERT INTO reports (id, monitor_uid, workspace, verdict, body, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&report.id)
    .bind(&report.monitor_uid)
    .bind(&report.workspace)
    .bind(&report.verdict)
    .bind(seal_json(&keys, place(&report.id), &report.body)?)
    .bind(report.created_at.as_microsecond())
    .execute(tx.conn())
    .await
    .map_err(StoreError::db("store a report"))?;
    Ok(())
}

/// The newest reports of a monitor, newest first.
pub async fn list(session: &mut Session, monitor_uid: &str, limit: u32) -> Result<Vec<Report>> {
    let rows = sqlx::query("SELECT * FROM reports WHERE monitor_uid = $1 ORDER BY created_at DESC, id DESC LIMIT $2")
        .bind(monitor_uid)
        .bind(i64::from(limit))
        .fetch_all(session.conn())
        .await
        .map_err(StoreError::db("list reports"))?;
    let mut reports = Vec::with_capacity(rows.len());
    for row in rows {
        reports.push(opened(session, row).await?);
    }
    Ok(reports)
}

/// The newest report of a monitor.
pub async fn latest(session: &mut Session, monitor_uid: &str) -> Result<Option<Report>> {
    Ok(list(session, monitor_uid, 1).await?.pop())
}

pub async fn get(session: &mut Session, id: &str) -> Result<Option<Report>> {
    let row = sqlx::query("SELECT * FROM reports WHERE id = $1")
        .bind(id)
        .fetch_optional(session.conn())
        .await
        .map_err(StoreError::db("find a report"))?;
    match row {
        Some(row) => opened(session, row).await.map(Some),
        None => Ok(None),
    }
}

/// Deletes a monitor's reports. How many there were.
pub async fn delete_for(tx: &mut Tx, monitor_uid: &str) -> Result<u64> {
    sqlx::query("DELETE FROM reports WHERE monitor_uid = $1")
        .bind(monitor_uid)
        .execute(tx.conn())
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::db("delete reports"))
}

async fn opened(session: &mut Session, row: SqliteRow) -> Result<Report> {
    let workspace: String = column(&row, "workspace")?;
    let keys = session.workspace_keys(&workspace).await?;
    let id: String = column(&row, "id")?;
    let sealed: Vec<u8> = column(&row, "body")?;
    Ok(Report {
        body: open_json(&keys, place(&id), &sealed)?,
        monitor_uid: column(&row, "monitor_uid")?,
        verdict: column(&row, "verdict")?,
        created_at: time_column(&row, "created_at")?,
        workspace,
        id,
    })
}
