//! Where a local cluster keeps everything: one directory, readable only by its owner.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use falaj_api::local::{LOCK_FILE, RUNNING_FILE, SEED_FILE, Seed};

/// The layout of a data directory.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

/// Held while a server uses the directory; released by the kernel when it ends.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "holding the file is holding the lock")] File);

impl DataDir {
    /// # Errors
    /// The directory does not exist, or others can read it.
    pub fn open(root: &Path) -> Result<Self> {
        let root =
            root.canonicalize().with_context(|| format!("the data directory {} cannot be opened", root.display()))?;
        let mode = fs::metadata(&root)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            bail!("the data directory {} has mode {mode:o}: others can enter it; run chmod 700 on it", root.display());
        }
        Ok(Self { root })
    }

    /// # Errors
    /// Another process holds it.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.root.join(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            anyhow::anyhow!("another server uses the data directory {} ({error})", self.root.display())
        })?;
        Ok(Lock(file))
    }

    /// # Errors
    /// The seed is missing or not what a provider writes.
    pub fn seed(&self) -> Result<Seed> {
        let path = self.root.join(SEED_FILE);
        let bytes = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not a cluster's seed", path.display()))
    }

    #[must_use]
    pub fn running_file(&self) -> PathBuf {
        self.root.join(RUNNING_FILE)
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A directory below, made if it is missing, for its owner only.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn dir(&self, parts: &[&str]) -> Result<PathBuf> {
        let path = parts.iter().fold(self.root.clone(), |path, part| path.join(part));
        private_dir(&path)?;
        Ok(path)
    }
}

/// Makes a directory that only its owner can enter, with its parents.
///
/// # Errors
/// It cannot be made.
pub fn private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file whole or not at all: a temporary file, synced, renamed over
/// the old one. Only its owner can read it.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let temporary = parent.join(format!(".{}.tmp", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{DataDir, write_private};

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(DataDir::open(dir.path()).unwrap_err().to_string().contains("chmod 700"));
    }

    #[test]
    fn two_servers_cannot_hold_one_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = DataDir::open(dir.path()).unwrap();
        let held = data.lock().unwrap();
        assert!(data.lock().is_err());
        drop(held);
        assert!(data.lock().is_ok());
    }

    #[test]
    fn a_private_file_is_replaced_whole_and_unreadable_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
