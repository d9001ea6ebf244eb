//! Sealed objects by the digest of their plaintext, as files.
//!
//! `blobs/<workspace>/<first two digits>/<name>`, where the name is an HMAC of the digest under the
//! workspace's key: who sees the directory learns sizes and times, not what is there. Putting is
//! idempotent; a blob that nothing refers to is collected after a grace period, so a put may precede
//! the record that refers to it; it must: a put inside an open transaction may wait for that
//! transaction's own lock.

mod writer;

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use falaj_kms::Context;
use zeroize::Zeroizing;

use crate::Digest;
use crate::db::Db;
use crate::error::{Result, StoreError};
use crate::keys::{KeyRef, KeySet};
use crate::sealed::file::Reader;

pub use writer::BlobWriter;

/// Sealed objects of every workspace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    db: Db,
    root: PathBuf,
    temp: PathBuf,
    /// Held while a blob gets its name or loses it, so that collecting cannot take a blob that is
    /// being put again.
    names: Mutex<()>,
}

impl Blobs {
    pub(crate) fn open(db: Db, root: PathBuf, temp: PathBuf) -> Self {
        let names = Mutex::new(());
        Self { inner: Arc::new(Inner { db, root, temp, names }) }
    }

    async fn keys(&self, workspace: &str) -> Result<Arc<KeySet>> {
        check_workspace(workspace)?;
        self.inner.db.keys(&KeyRef::workspace(workspace)).await
    }

    /// A blob to write to; it exists once [`BlobWriter::finish`] returns.
    pub async fn writer(&self, workspace: &str) -> Result<BlobWriter> {
        let keys = self.keys(workspace).await?;
        BlobWriter::new(self.clone(), keys)
    }

    /// Stores `bytes`; durable when it returns. Storing them again only renews their grace.
    pub async fn put(&self, workspace: &str, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<Digest> {
        let writer = self.writer(workspace).await?;
        blocking("store a blob", move || {
            let mut writer = writer;
            writer.append(bytes.as_ref())?;
            writer.finish_blocking()
        })
        .await
    }

    /// Stores everything `source` gives.
    pub async fn put_reader(&self, workspace: &str, source: impl std::io::Read + Send + 'static) -> Result<Digest> {
        let writer = self.writer(workspace).await?;
        blocking("store a blob", move || {
            let (mut writer, mut source) = (writer, source);
            let mut buffer = Zeroizing::new(vec![0u8; 1 << 16]);
            loop {
                let read =
                    source.read(&mut buffer).map_err(StoreError::io("read the source of", Path::new("a blob")))?;
                match buffer.get(..read).unwrap_or_default() {
                    [] => return writer.finish_blocking(),
                    bytes => writer.append(bytes)?,
                }
            }
        })
        .await
    }

    /// A blob for reading at any offset.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or [`StoreError::NotAuthentic`] when the file's header or length
    /// was altered. Chunks are checked as they are read.
    pub async fn open_blob(&self, workspace: &str, digest: &Digest) -> Result<Reader<File>> {
        let keys = self.keys(workspace).await?;
        let (inner, digest) = (self.inner.clone(), *digest);
        blocking("open a blob", move || inner.open(&keys, &digest)).await
    }

    /// A whole blob, its digest checked.
    pub async fn get(&self, workspace: &str, digest: &Digest) -> Result<Zeroizing<Vec<u8>>> {
        let keys = self.keys(workspace).await?;
        let (inner, digest) = (self.inner.clone(), *digest);
        blocking("read a blob", move || {
            let bytes = inner.open(&keys, &digest)?.read_all()?;
            match Digest::of(&bytes) == digest {
                true => Ok(bytes),
                false => Err(other_content(&digest)),
            }
        })
        .await
    }

    /// Reads a whole blob and checks its digest.
    pub async fn verify(&self, workspace: &str, digest: &Digest) -> Result<()> {
        let keys = self.keys(workspace).await?;
        let (inner, digest) = (self.inner.clone(), *digest);
        blocking("verify a blob", move || {
            let reader = inner.open(&keys, &digest)?;
            let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            let mut buffer = Zeroizing::new(vec![0u8; 1 << 16]);
            let mut at = 0;
            while at < reader.len() {
                let read = reader.read_at(at, &mut buffer)?;
                hash.update(buffer.get(..read).unwrap_or_default());
                at += read as u64;
            }
            match hash.finish().as_ref() == digest.0 {
                true => Ok(()),
                false => Err(other_content(&digest)),
            }
        })
        .await
    }

    pub async fn exists(&self, workspace: &str, digest: &Digest) -> Result<bool> {
        let keys = self.keys(workspace).await?;
        Ok(self.inner.path(&keys, digest).is_file())
    }

    /// Deletes a blob. Whether there was one.
    pub async fn delete(&self, workspace: &str, digest: &Digest) -> Result<bool> {
        let keys = self.keys(workspace).await?;
        let path = self.inner.path(&keys, digest);
        let _names = self.inner.lock();
        remove(&path)
    }

    /// Deletes the blobs of a workspace that are not `referenced` and were last put more than
    /// `grace` ago. How many there were.
    pub async fn collect(&self, workspace: &str, referenced: &HashSet<Digest>, grace: Duration) -> Result<usize> {
        let keys = self.keys(workspace).await?;
        let keep: HashSet<PathBuf> = referenced.iter().map(|digest| self.inner.path(&keys, digest)).collect();
        let inner = self.inner.clone();
        blocking("collect blobs", move || {
            let before = SystemTime::now().checked_sub(grace);
            let dir = inner.root.join(&keys.reference().workspace);
            let mut collected = 0;
            for path in files_under(&dir)?.into_iter().filter(|p| !keep.contains(p)) {
                let _names = inner.lock();
                let put = path.metadata().and_then(|m| m.modified()).map_err(StoreError::io("look at", &path))?;
                if before.is_some_and(|before| put < before) && remove(&path)? {
                    collected += 1;
                }
            }
            Ok(collected)
        })
        .await
    }

    /// Deletes every blob of a workspace, after its keys.
    pub async fn delete_workspace(&self, workspace: &str) -> Result<()> {
        check_workspace(workspace)?;
        let dir = self.inner.root.join(workspace);
        blocking("delete the blobs of a workspace", move || match std::fs::remove_dir_all(&dir) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("delete", &dir)(e)),
            _ => Ok(()),
        })
        .await
    }
}

impl Inner {
    fn lock(&self) -> std::sync::MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, keys: &KeySet, digest: &Digest) -> PathBuf {
        let name = name(keys, digest);
        let dir = name.get(..2).unwrap_or_default();
        self.root.join(&keys.reference().workspace).join(dir).join(&name)
    }

    fn open(&self, keys: &KeySet, digest: &Digest) -> Result<Reader<File>> {
        let path = self.path(keys, digest);
        let file = File::open(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => StoreError::missing(format!("blob {digest}")),
            _ => StoreError::io("open", &path)(e),
        })?;
        let binding = name(keys, digest);
        let context = context(&keys.reference().workspace);
        Reader::open(file, format!("blob {digest}"), &keys.file_key(), &context, binding.as_bytes())
    }
}

fn context(workspace: &str) -> Context {
    Context::new().with("falaj:purpose", "blob").with("falaj:workspace", workspace)
}

fn name(keys: &KeySet, digest: &Digest) -> String {
    keys.pseudonym("blob", &digest.0)
}

fn other_content(digest: &Digest) -> StoreError {
    StoreError::not_authentic(format!("blob {digest}"), "its content has another digest than its name")
}

/// A workspace becomes a directory, so it must be a plain name.
fn check_workspace(workspace: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match !workspace.is_empty() && workspace.len() <= 64 && workspace.bytes().all(plain) {
        true => Ok(()),
        false => Err(StoreError::invalid(
            format!("workspace {workspace:?}"),
            "use its uid: lower-case letters, digits and hyphens",
        )),
    }
}

/// Makes a directory that only its owner can enter, and its name durable.
pub(crate) fn make_private_dir(path: &Path) -> Result<()> {
    let io = StoreError::io("make the directory", path);
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(()),
        Err(e) => return Err(io(e)),
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    sync_dir(parent)
}

fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(StoreError::io("sync the directory", dir))
}

fn remove(path: &Path) -> Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(StoreError::io("delete", path)(e)),
    }
}

fn files_under(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let io = StoreError::io("list", &dir);
        let entries = match std::fs::read_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.map_err(&io)?,
        };
        for entry in entries {
            let entry = entry.map_err(&io)?;
            match entry.file_type().map_err(&io)?.is_dir() {
                true => dirs.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    Ok(files)
}

async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Interrupted { action })?
}
