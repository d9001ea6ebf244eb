//! Numbered migrations, applied in order, each in a transaction of its own, after a snapshot.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use crate::error::{Result, StoreError};

pub(crate) struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sql: &'static str,
}

pub(crate) const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "initial", sql: include_str!("migrations/0001_initial.sql") }];

const CREATE: &str = "CREATE TABLE IF NOT EXISTS migrations (
  version    BIGINT NOT NULL PRIMARY KEY,
  name       TEXT   NOT NULL,
  applied_at BIGINT NOT NULL
)";

/// Brings the database to the newest of `migrations`. A database that holds anything is copied to
/// `snapshots` first.
///
/// # Errors
/// A database of a newer release is refused: there is no way back down.
pub(crate) async fn migrate(conn: &mut SqliteConnection, migrations: &[Migration], snapshots: &Path) -> Result<()> {
    let db = StoreError::db("migrate the database");
    sqlx::query(CREATE).execute(&mut *conn).await.map_err(&db)?;
    let at: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM migrations")
        .fetch_one(&mut *conn)
        .await
        .map_err(&db)?;
    let newest = migrations.last().map_or(0, |m| m.version);
    if at > newest {
        return Err(StoreError::invalid(
            "the database",
            format!(
                "it was migrated to version {at} by a newer release, and this one knows up to {newest}; run the newer release"
            ),
        ));
    }
    if at == newest {
        return Ok(());
    }
    if at > 0 {
        snapshot(conn, &snapshots.join(format!("version-{at}.sqlite"))).await?;
    }
    for migration in migrations.iter().filter(|m| m.version > at) {
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(&db)?;
        // Another process may have migrated while this one waited for the lock.
        let done: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM migrations WHERE version = $1")
            .bind(migration.version)
            .fetch_one(&mut *tx)
            .await
            .map_err(&db)?;
        if done == 0 {
            sqlx::raw_sql(migration.sql).execute(&mut *tx).await.map_err(&db)?;
            sqlx::query("INSERT INTO migrations (version, name, applied_at) VALUES ($1, $2, $3)")
                .bind(migration.version)
                .bind(migration.name)
                .bind(super::now())
                .execute(&mut *tx)
                .await
                .map_err(&db)?;
        }
        tx.commit().await.map_err(&db)?;
    }
    Ok(())
}

async fn snapshot(conn: &mut SqliteConnection, path: &Path) -> Result<()> {
    let io = StoreError::io("snapshot the database to", path);
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(e)),
        _ => {}
    }
    let name = path.to_str().ok_or_else(|| StoreError::invalid(path.display().to_string(), "the path is not UTF-8"))?;
    sqlx::query("VACUUM INTO $1").bind(name).execute(conn).await.map_err(StoreError::db("snapshot the database"))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(&io)?;
    let sync = |p: &Path| std::fs::File::open(p).and_then(|f| f.sync_all());
    sync(path).map_err(&io)?;
    path.parent().map_or(Ok(()), sync).map_err(&io)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sqlx::Connection;

    use super::*;
    use crate::db::COLUMNS;

    const LATER: &[Migration] = &[
        Migration { version: 1, name: "initial", sql: include_str!("migrations/0001_initial.sql") },
        Migration { version: 2, name: "later", sql: "CREATE TABLE later (x BIGINT NOT NULL)" },
    ];

    async fn open(dir: &Path) -> SqliteConnection {
        let url = format!("sqlite:{}?mode=rwc", dir.join("db.sqlite").display());
        SqliteConnection::connect(&url).await.unwrap()
    }

    #[tokio::test]
    async fn every_column_is_declared_clear_or_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = open(dir.path()).await;
        migrate(&mut conn, MIGRATIONS, dir.path()).await.unwrap();
        let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
        let mut found = BTreeMap::new();
        for table in tables {
            let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info($1)")
                .bind(&table)
                .fetch_all(&mut conn)
                .await
                .unwrap();
            found.insert(table, BTreeSet::from_iter(columns));
        }
        let declared: BTreeMap<_, _> = COLUMNS
            .iter()
            .map(|(table, columns)| {
                let columns = columns.iter().map(|(name, _)| (*name).to_owned());
                ((*table).to_owned(), BTreeSet::from_iter(columns))
            })
            .collect();
        assert_eq!(found, declared);
    }

    #[tokio::test]
    async fn a_database_with_content_is_copied_before_it_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = dir.path().join("snapshots");
        std::fs::create_dir(&snapshots).unwrap();
        let mut conn = open(dir.path()).await;
        migrate(&mut conn, MIGRATIONS, &snapshots).await.unwrap();
        assert_eq!(snapshots.read_dir().unwrap().count(), 0, "nothing was there to copy");
        sqlx::query("INSERT INTO audit_heads VALUES ('w', 0, x'00', x'')").execute(&mut conn).await.unwrap();
        migrate(&mut conn, LATER, &snapshots).await.unwrap();
        migrate(&mut conn, LATER, &snapshots).await.unwrap();
        let path = snapshots.join("version-1.sqlite");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut copy = SqliteConnection::connect(&format!("sqlite:{}", path.display())).await.unwrap();
        let chain: String = sqlx::query_scalar("SELECT chain FROM audit_heads").fetch_one(&mut copy).await.unwrap();
        assert_eq!(chain, "w");
        assert!(sqlx::query("SELECT x FROM later").fetch_all(&mut copy).await.is_err());
    }

    #[tokio::test]
    async fn a_migration_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let bad: &[Migration] =
            &[Migration { version: 1, name: "bad", sql: "CREATE TABLE a (x BIGINT); CREATE TABLE a (x BIGINT);" }];
        let mut conn = open(dir.path()).await;
        assert!(migrate(&mut conn, bad, dir.path()).await.is_err());
        assert!(sqlx::query("SELECT x FROM a").fetch_all(&mut conn).await.is_err());
    }

    #[tokio::test]
    async fn a_database_of_a_newer_release_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = open(dir.path()).await;
        migrate(&mut conn, LATER, dir.path()).await.unwrap();
        let error = migrate(&mut conn, MIGRATIONS, dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("newer release"), "{error}");
    }
}
