//! An index of the captured segments of endpoints: which file holds which time.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use crate::db::{Session, Tx, column, now, time_column};
use crate::error::{Result, StoreError};

/// A captured segment: a sealed file written by a serving process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub endpoint_uid: String,
    /// Unique within the endpoint; the file's name follows from it.
    pub name: String,
    pub workspace: String,
    /// Such as `predictions` or `outcomes`.
    pub kind: String,
    pub row_count: i64,
    /// Time of the first and of the last row.
    pub first_at: Timestamp,
    pub last_at: Timestamp,
}

/// Indexes a segment. Whether it was new: telling twice is harmless.
pub async fn insert(tx: &mut Tx, segment: &Segment) -> Result<bool> {
    sqlx::query(
        "INSERT INTO segments (endpoint_uid, name, workspace, kind, row_count, first_at, last_at,
                               created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (endpoint_uid, name) DO NOTHING",
    )
    .bind(&segment.endpoint_uid)
    .bind(&segment.name)
    .bind(&segment.workspace)
    .bind(&segment.kind)
    .bind(segment.row_count)
    .bind(segment.first_at.as_microsecond())
    .bind(segment.last_at.as_microsecond())
    .bind(now())
    .execute(tx.conn())
    .await
    .map(|done| done.rows_affected() > 0)
    .map_err(StoreError::db("index a segment"))
}

/// Segments of a kind with a row in `from..until`, in the order of their first row.
pub async fn list(
    session: &mut Session,
    endpoint_uid: &str,
    kind: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Segment>> {
    let rows = sqlx::query(
        "SELECT * FROM segments
         WHERE endpoint_uid = $1 AND kind = $2 AND last_at >= $3 AND first_at < $4
         ORDER BY first_at, name",
    )
    .bind(endpoint_uid)
    .bind(kind)
    .bind(from.as_microsecond())
    .bind(until.as_microsecond())
    .fetch_all(session.conn())
    .await
    .map_err(StoreError::db("list segments"))?;
    rows.iter().map(read).collect()
}

/// Drops from the index the segments whose last row is before `until`, and returns them so that
/// their files can go too.
pub async fn expire(tx: &mut Tx, endpoint_uid: &str, until: Timestamp) -> Result<Vec<Segment>> {
    let rows = sqlx::query("DELETE FROM segments WHERE endpoint_uid = $1 AND last_at < $2 RETURNING *")
        .bind(endpoint_uid)
        .bind(until.as_microsecond())
        .fetch_all(tx.conn())
        .await
        .map_err(StoreError::db("expire segments"))?;
    rows.iter().map(read).collect()
}

fn read(row: &SqliteRow) -> Result<Segment> {
    Ok(Segment {
        endpoint_uid: column(row, "endpoint_uid")?,
        name: column(row, "name")?,
        workspace: column(row, "workspace")?,
        kind: column(row, "kind")?,
        row_count: column(row, "row_count")?,
        first_at: time_column(row, "first_at")?,
        last_at: time_column(row, "last_at")?,
    })
}
