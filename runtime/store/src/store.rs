use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falaj_kms::Kms;

use crate::audit::Signer;
use crate::blobs::{Blobs, make_private_dir};
use crate::db::{Db, Reader, Tx};
use crate::error::{Result, StoreError};
use crate::keys::{CachePolicy, KeyRef, KeySet, Keyring};
use crate::rewrap;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory everything lies in: made if missing, and only its owner may enter it.
    pub dir: PathBuf,
    /// The cluster's key.
    pub kms: Arc<dyn Kms>,
    /// Uid of the cluster; part of what every key is bound to.
    pub cluster: String,
    pub cache: CachePolicy,
    /// Events between signed checkpoints of an audit chain.
    pub checkpoint_every: u32,
}

impl Options {
    pub fn new(dir: impl Into<PathBuf>, kms: Arc<dyn Kms>, cluster: impl Into<String>) -> Self {
        Self { dir: dir.into(), kms, cluster: cluster.into(), cache: CachePolicy::default(), checkpoint_every: 1000 }
    }
}

/// Records, sealed objects and evidence of one cluster. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    db: Db,
    blobs: Blobs,
    dir: PathBuf,
}

impl Store {
    /// Opens the store in `options.dir`, migrating its database if an older release made it.
    ///
    /// # Errors
    /// A directory that others can enter, a key file inside it, a database of a newer release, a
    /// KMS that cannot be used.
    pub async fn open(options: Options) -> Result<Self> {
        let Options { dir, kms, cluster, cache, checkpoint_every } = options;
        make_private_dir(&dir)?;
        check_private(&dir)?;
        check_key_outside(&dir, kms.uri())?;
        let (blobs, temp, snapshots) = (dir.join("blobs"), dir.join("tmp"), dir.join("snapshots"));
        for dir in [&blobs, &temp, &snapshots] {
            make_private_dir(dir)?;
        }
        sweep(&temp)?;
        let keyring = Keyring::new(cluster, kms, cache);
        let every = i64::from(checkpoint_every.max(1));
        let db = Db::open(&dir.join("db.sqlite"), snapshots, keyring, every).await?;
        let signer = Signer::load(&db).await?;
        // Set once: this is the only place that sets it.
        let _ = db.shared().signer.set(signer);
        Ok(Self { blobs: Blobs::open(db.clone(), blobs, temp), db, dir })
    }

    /// Begins a transaction that writes. Dropping it undoes it.
    pub async fn begin(&self) -> Result<Tx> {
        self.db.begin().await
    }

    /// Begins reading; sees one moment throughout.
    pub async fn read(&self) -> Result<Reader> {
        self.db.read().await
    }

    /// Runs `work` in a transaction, and commits it if `work` succeeds.
    pub async fn write<T, E>(&self, work: impl AsyncFnOnce(&mut Tx) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let mut tx = self.begin().await?;
        let result = work(&mut tx).await?;
        tx.commit().await?;
        Ok(result)
    }

    pub fn db(&self) -> &Db {
        &self.db
    }

    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The keys `reference` names, made now if there are none.
    pub async fn keys(&self, reference: &KeyRef) -> Result<Arc<KeySet>> {
        self.db.keys(reference).await
    }

    /// Names the KMS key of a workspace that has its own. To be called at every start, before the
    /// workspace is used.
    pub fn set_workspace_kms(&self, workspace: &str, kms: Arc<dyn Kms>) -> Result<()> {
        check_key_outside(&self.dir, kms.uri())?;
        self.db.shared().keyring.set_service(workspace, kms);
        Ok(())
    }

    /// Wraps every key of a workspace anew: by the newest material of its KMS key, or by `to`, which
    /// it uses from then on. How many there were.
    pub async fn rewrap_keys(&self, workspace: &str, to: Option<Arc<dyn Kms>>) -> Result<usize> {
        if let Some(to) = &to {
            check_key_outside(&self.dir, to.uri())?;
        }
        rewrap::workspace(&self.db, workspace, to).await
    }

    /// [`Store::rewrap_keys`] for the cluster, the workspaces without a KMS key of their own, and
    /// the audit signing key.
    pub async fn rewrap_cluster_keys(&self, to: Option<Arc<dyn Kms>>) -> Result<usize> {
        if let Some(to) = &to {
            check_key_outside(&self.dir, to.uri())?;
        }
        rewrap::cluster(&self.db, to).await
    }

    /// Closes the database. Further use of the store fails.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

fn check_private(dir: &Path) -> Result<()> {
    let io = StoreError::io("look at", dir);
    let metadata = dir.symlink_metadata().map_err(io)?;
    let what = || format!("the data directory {}", dir.display());
    let mode = metadata.permissions().mode() & 0o7777;
    if !metadata.is_dir() {
        return Err(StoreError::invalid(what(), "it is not a directory"));
    }
    if mode & 0o077 != 0 {
        let why = format!("its mode is {mode:04o}, so others can enter it; chmod it to 0700");
        return Err(StoreError::invalid(what(), why));
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() != me {
        let why = format!("it belongs to uid {}, and this process runs as uid {me}", metadata.uid());
        return Err(StoreError::invalid(what(), why));
    }
    Ok(())
}

/// A key beside what it seals is no protection: one copy of the directory would hold both.
fn check_key_outside(dir: &Path, uri: &str) -> Result<()> {
    let Some(path) = uri.strip_prefix("file://").map(Path::new) else {
        return Ok(());
    };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match real(path).starts_with(real(dir)) {
        false => Ok(()),
        true => {
            Err(StoreError::invalid(format!("the key {uri}"), "it lies inside the data directory; keep it elsewhere"))
        }
    }
}

/// Removes what an earlier process was writing when it ended.
fn sweep(temp: &Path) -> Result<()> {
    let io = StoreError::io("sweep", temp);
    for entry in std::fs::read_dir(temp).map_err(&io)? {
        std::fs::remove_file(entry.map_err(&io)?.path()).map_err(&io)?;
    }
    Ok(())
}
