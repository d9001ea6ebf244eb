//! Rotation: wrapping the stored keys anew. What is sealed under them stays as it is.

use std::sync::Arc;

use falaj_kms::Kms;

use crate::CLUSTER;
use crate::audit;
use crate::db::{Db, Tx, column};
use crate::error::{Result, StoreError};
use crate::keys::KeyRef;

/// The keys of one workspace, by the newest material of its KMS key or by `to`.
pub(crate) async fn workspace(db: &Db, workspace: &str, to: Option<Arc<dyn Kms>>) -> Result<usize> {
    let mut tx = db.begin().await?;
    let count = rewrap_rows(&mut tx, workspace, to.as_ref()).await?;
    tx.commit().await?;
    if let Some(to) = to {
        db.shared().keyring.set_service(workspace, to);
    }
    Ok(count)
}

/// Everything the cluster's KMS key wraps.
pub(crate) async fn cluster(db: &Db, to: Option<Arc<dyn Kms>>) -> Result<usize> {
    let mut tx = db.begin().await?;
    let keyring = &db.shared().keyring;
    let workspaces: Vec<String> = sqlx::query_scalar("SELECT DISTINCT workspace FROM keys ORDER BY workspace")
        .fetch_all(tx.conn())
        .await
        .map_err(StoreError::db("list the workspaces with keys"))?;
    let mut count = 0;
    for workspace in workspaces.iter().filter(|workspace| !keyring.has_own_service(workspace)) {
        count += rewrap_rows(&mut tx, workspace, to.as_ref()).await?;
    }
    count += rewrap_signing_keys(&mut tx, to.as_ref()).await?;
    tx.commit().await?;
    if let Some(to) = to {
        keyring.set_default_service(to);
    }
    Ok(count)
}

async fn rewrap_rows(tx: &mut Tx, workspace: &str, to: Option<&Arc<dyn Kms>>) -> Result<usize> {
    let shared = tx.shared().clone();
    let from = shared.keyring.service(workspace);
    let rows = sqlx::query("SELECT uid, segment, subject, wrapped FROM keys WHERE workspace = $1")
        .bind(workspace)
        .fetch_all(tx.conn())
        .await
        .map_err(StoreError::db("list the keys of a workspace"))?;
    for row in &rows {
        let uid: String = column(row, "uid")?;
        let (segment, subject): (String, String) = (column(row, "segment")?, column(row, "subject")?);
        let reference = KeyRef::subject(workspace, segment, subject);
        let parsed = uuid::Uuid::parse_str(&uid).map_err(|e| StoreError::damaged("keys.uid", e))?;
        let context = shared.keyring.context(parsed, &reference);
        let wrapped: Vec<u8> = column(row, "wrapped")?;
        let (wrapped, uri) = anew(&from, to, &wrapped, &context).await?;
        sqlx::query("UPDATE keys SET wrapped = $2, kms_uri = $3 WHERE uid = $1")
            .bind(&uid)
            .bind(wrapped)
            .bind(uri)
            .execute(tx.conn())
            .await
            .map_err(StoreError::db("store a rewrapped key"))?;
    }
    Ok(rows.len())
}

async fn rewrap_signing_keys(tx: &mut Tx, to: Option<&Arc<dyn Kms>>) -> Result<usize> {
    let shared = tx.shared().clone();
    let from = shared.keyring.service(CLUSTER);
    let context = audit::signing_context(shared.keyring.cluster());
    let rows = sqlx::query("SELECT key_id, wrapped FROM signing_keys")
        .fetch_all(tx.conn())
        .await
        .map_err(StoreError::db("list the audit signing keys"))?;
    for row in &rows {
        let key_id: String = column(row, "key_id")?;
        let wrapped: Vec<u8> = column(row, "wrapped")?;
        let (wrapped, uri) = anew(&from, to, &wrapped, &context).await?;
        sqlx::query("UPDATE signing_keys SET wrapped = $2, kms_uri = $3 WHERE key_id = $1")
            .bind(&key_id)
            .bind(wrapped)
            .bind(uri)
            .execute(tx.conn())
            .await
            .map_err(StoreError::db("store a rewrapped key"))?;
    }
    Ok(rows.len())
}

async fn anew(
    from: &Arc<dyn Kms>,
    to: Option<&Arc<dyn Kms>>,
    wrapped: &[u8],
    context: &falaj_kms::Context,
) -> Result<(Vec<u8>, String)> {
    let Some(to) = to else {
        return Ok((from.rewrap(wrapped, context).await?, from.uri().to_owned()));
    };
    let plaintext = from.unwrap(wrapped, context).await?;
    Ok((to.wrap(&plaintext, context).await?, to.uri().to_owned()))
}
