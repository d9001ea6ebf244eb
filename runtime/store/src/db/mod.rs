//! The database: one writer at a time, any number of readers, each of which sees one moment.
//!
//! Repositories are functions over [`Session`] (reading) and [`Tx`] (writing). Both [`Tx`] and
//! [`Reader`] dereference to `Session`, so a read works inside either.

mod columns;
mod migrate;

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use falaj_kms::unwrap_data_key;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use crate::audit::Signer;
use crate::error::{Result, StoreError};
use crate::keys::{KeyRef, KeySet, Keyring};

pub use columns::{COLUMNS, Custody};

const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// What every session of one database shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub keyring: Keyring,
    pub signer: OnceLock<Signer>,
    pub checkpoint_every: i64,
    snapshots: PathBuf,
    log_holds_erased: AtomicBool,
}

/// The database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db {
    writer: SqlitePool,
    readers: SqlitePool,
    shared: Arc<Shared>,
}

impl Db {
    pub(crate) async fn open(path: &Path, snapshots: PathBuf, keyring: Keyring, checkpoint_every: i64) -> Result<Self> {
        // SQLite gives its WAL and shared memory the mode of the database, so it is made here.
        std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(StoreError::io("create", path))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // Deleted keys are overwritten, not only unlinked; nothing is spilled to files.
            .pragma("secure_delete", "ON")
            .pragma("temp_store", "MEMORY");
        let db = StoreError::db("open the database");
        let pool = |most| {
            SqlitePoolOptions::new()
                .max_connections(most)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(&db)?;
        let mut conn = writer.acquire().await.map_err(&db)?;
        migrate::migrate(&mut conn, migrate::MIGRATIONS, &snapshots).await?;
        drop(conn);
        let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await.map_err(&db)?;
        let shared = Arc::new(Shared {
            keyring,
            signer: OnceLock::new(),
            checkpoint_every,
            snapshots,
            log_holds_erased: AtomicBool::new(false),
        });
        Ok(Self { writer, readers, shared })
    }

    /// Begins a transaction that writes; waits for the one before it. Dropping it undoes it.
    pub async fn begin(&self) -> Result<Tx> {
        let inner = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::db("begin a transaction"))?;
        Ok(Tx(Session::new(inner, self.clone())))
    }

    /// Begins a transaction that only reads, and sees one moment throughout.
    pub async fn read(&self) -> Result<Reader> {
        let inner = self.readers.begin().await.map_err(StoreError::db("begin reading"))?;
        Ok(Reader(Session::new(inner, self.clone())))
    }

    /// The keys `reference` names, made now if there are none yet.
    pub async fn keys(&self, reference: &KeyRef) -> Result<Arc<KeySet>> {
        if let Some(keys) = self.shared.keyring.fresh(reference) {
            return Ok(keys);
        }
        let found = self.read().await?.keys(reference).await;
        match found {
            Err(StoreError::KeyErased { .. }) => {
                let mut tx = self.begin().await?;
                let keys = tx.keys_or_create(reference).await?;
                tx.commit().await?;
                Ok(keys)
            }
            other => other,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Moves what the write-ahead log holds into the database and empties the log, so that erased
    /// rows are gone from it. A reader in the way puts it off until the next commit.
    async fn empty_log(&self) -> Result<()> {
        let db = StoreError::db("empty the write-ahead log");
        let mut conn = self.writer.acquire().await.map_err(&db)?;
        sqlx::query("PRAGMA busy_timeout = 100").execute(&mut *conn).await.map_err(&db)?;
        let busy = sqlx::query_scalar::<_, i64>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *conn).await;
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA busy_timeout = {}", BUSY_TIMEOUT.as_millis())))
            .execute(&mut *conn)
            .await
            .map_err(&db)?;
        let put_off = busy.map_err(&db)? != 0;
        self.shared.log_holds_erased.store(put_off, Ordering::Release);
        Ok(())
    }

    /// Closes every connection once its transaction has ended.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A transaction's connection and the keys it has used. Not made directly: see [`Db::read`] and
/// [`Db::begin`].
pub struct Session {
    inner: sqlx::Transaction<'static, Sqlite>,
    db: Db,
    /// Keys made in this transaction: known to others once it has committed.
    created: HashMap<KeyRef, Arc<KeySet>>,
    erased: Vec<(KeyRef, Uuid)>,
}

impl Session {
    fn new(inner: sqlx::Transaction<'static, Sqlite>, db: Db) -> Self {
        Self { inner, db, created: HashMap::new(), erased: Vec::new() }
    }

    pub(crate) fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.inner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.db.shared
    }

    /// The keys `reference` names.
    ///
    /// # Errors
    /// [`StoreError::KeyErased`] where there is no such row.
    pub async fn keys(&mut self, reference: &KeyRef) -> Result<Arc<KeySet>> {
        if let Some(keys) = self.created.get(reference) {
            return Ok(keys.clone());
        }
        let erased = self.erased.iter().any(|(r, _)| r == reference);
        if let Some(keys) = self.shared().keyring.fresh(reference).filter(|_| !erased) {
            return Ok(keys);
        }
        let row = sqlx::query("SELECT uid, wrapped FROM keys WHERE workspace = $1 AND segment = $2 AND subject = $3")
            .bind(&reference.workspace)
            .bind(&reference.segment)
            .bind(&reference.subject)
            .fetch_optional(self.conn())
            .await
            .map_err(StoreError::db("read a key"))?
            .ok_or_else(|| StoreError::KeyErased { key: reference.to_string() })?;
        let uid = parse_uuid(&column::<String>(&row, "uid")?, "keys.uid")?;
        let wrapped: Vec<u8> = column(&row, "wrapped")?;
        let shared = self.shared().clone();
        let kms = shared.keyring.service(&reference.workspace);
        let context = shared.keyring.context(uid, reference);
        let root = match unwrap_data_key(kms.as_ref(), &wrapped, &context).await {
            Ok(root) => root,
            Err(error) if error.retryable() => {
                return shared.keyring.stale(reference).ok_or(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let keys = Arc::new(KeySet::derive(uid, reference.clone(), &root)?);
        shared.keyring.remember(keys.clone());
        Ok(keys)
    }

    /// The keys of a whole workspace.
    pub async fn workspace_keys(&mut self, workspace: &str) -> Result<Arc<KeySet>> {
        self.keys(&KeyRef::workspace(workspace)).await
    }
}

/// A transaction that only reads.
pub struct Reader(Session);

/// A transaction that writes. Nothing is kept unless [`Tx::commit`] returns `Ok`.
pub struct Tx(Session);

impl Tx {
    /// Makes the transaction's changes durable.
    pub async fn commit(self) -> Result<()> {
        let Session { inner, db, created, erased } = self.0;
        if !erased.is_empty() {
            // What is erased must not live on in a snapshot. Before the commit: losing snapshots
            // to a commit that then fails is harmless, the other way round is not.
            remove_snapshots(&db.shared.snapshots)?;
        }
        inner.commit().await.map_err(StoreError::db("commit a transaction"))?;
        for keys in created.into_values() {
            db.shared.keyring.remember(keys);
        }
        for (reference, uid) in erased {
            db.shared.keyring.forget(&reference, uid);
            db.shared.log_holds_erased.store(true, Ordering::Release);
        }
        if db.shared.log_holds_erased.load(Ordering::Acquire)
            && let Err(error) = db.empty_log().await
        {
            // The transaction is durable, so this is no failure of it; the next one tries again.
            tracing::warn!(%error, "erased keys are still in the write-ahead log");
        }
        Ok(())
    }

    /// Undoes the transaction now rather than when it is dropped.
    pub async fn rollback(self) -> Result<()> {
        self.0.inner.rollback().await.map_err(StoreError::db("roll back a transaction"))
    }

    /// The keys `reference` names, made in this transaction if there are none.
    pub async fn keys_or_create(&mut self, reference: &KeyRef) -> Result<Arc<KeySet>> {
        match self.keys(reference).await {
            Err(StoreError::KeyErased { .. }) => {}
            other => return other,
        }
        let uid = Uuid::now_v7();
        let shared = self.shared().clone();
        let kms = shared.keyring.service(&reference.workspace);
        let context = shared.keyring.context(uid, reference);
        let fresh = kms.generate_data_key(&context).await?;
        sqlx::query(
            "INSERT INTO keys (uid, workspace, segment, subject, kms_uri, wrapped, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(uid.to_string())
        .bind(&reference.workspace)
        .bind(&reference.segment)
        .bind(&reference.subject)
        .bind(kms.uri())
        .bind(&fresh.wrapped)
        .bind(now())
        .execute(self.conn())
        .await
        .map_err(StoreError::db("store a key"))?;
        let keys = Arc::new(KeySet::derive(uid, reference.clone(), &fresh.plaintext)?);
        self.0.created.insert(reference.clone(), keys.clone());
        Ok(keys)
    }

    /// The keys of a whole workspace, made in this transaction if there are none.
    pub async fn workspace_keys_or_create(&mut self, workspace: &str) -> Result<Arc<KeySet>> {
        self.keys_or_create(&KeyRef::workspace(workspace)).await
    }

    /// Deletes one key: everything sealed under it is erased once this commits. Whether there was
    /// one.
    pub async fn erase_key(&mut self, reference: &KeyRef) -> Result<bool> {
        let uids: Vec<String> =
            sqlx::query_scalar("DELETE FROM keys WHERE workspace = $1 AND segment = $2 AND subject = $3 RETURNING uid")
                .bind(&reference.workspace)
                .bind(&reference.segment)
                .bind(&reference.subject)
                .fetch_all(self.conn())
                .await
                .map_err(StoreError::db("delete a key"))?;
        self.0.created.remove(reference);
        for uid in &uids {
            let uid = parse_uuid(uid, "keys.uid")?;
            self.0.erased.push((reference.clone(), uid));
        }
        Ok(!uids.is_empty())
    }

    /// Deletes every key of a workspace. How many there were.
    pub async fn erase_workspace_keys(&mut self, workspace: &str) -> Result<usize> {
        let rows = sqlx::query("SELECT segment, subject FROM keys WHERE workspace = $1")
            .bind(workspace)
            .fetch_all(self.conn())
            .await
            .map_err(StoreError::db("list the keys of a workspace"))?;
        for row in &rows {
            let reference = KeyRef {
                workspace: workspace.to_owned(),
                segment: column(row, "segment")?,
                subject: column(row, "subject")?,
            };
            self.erase_key(&reference).await?;
        }
        Ok(rows.len())
    }
}

impl Deref for Reader {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.0
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

impl Deref for Tx {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.0
    }
}

fn remove_snapshots(dir: &Path) -> Result<()> {
    let io = StoreError::io("remove the snapshots in", dir);
    for entry in std::fs::read_dir(dir).map_err(&io)? {
        std::fs::remove_file(entry.map_err(&io)?.path()).map_err(&io)?;
    }
    Ok(())
}

/// Microseconds since 1970-01-01 UTC.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

/// A column by its name.
pub(crate) fn column<'r, T>(row: &'r sqlx::sqlite::SqliteRow, name: &'static str) -> Result<T>
where
    T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
{
    row.try_get(name).map_err(|e| StoreError::damaged(format!("column {name}"), e))
}

pub(crate) fn time_column(row: &sqlx::sqlite::SqliteRow, name: &'static str) -> Result<Timestamp> {
    let micros: i64 = column(row, name)?;
    Timestamp::from_microsecond(micros).map_err(|e| StoreError::damaged(format!("column {name}"), e))
}

/// A column that holds one of an enumeration's words, in the spelling of its JSON form.
pub(crate) fn word_column<T: serde::de::DeserializeOwned>(
    row: &sqlx::sqlite::SqliteRow,
    name: &'static str,
) -> Result<T> {
    let word: String = column(row, name)?;
    serde_json::from_value(serde_json::Value::String(word))
        .map_err(|e| StoreError::damaged(format!("column {name}"), e))
}

fn parse_uuid(text: &str, what: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|e| StoreError::damaged(what, e))
}
