use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest;

use crate::Digest;
use crate::error::{Result, StoreError};
use crate::keys::KeySet;
use crate::sealed::file::{DEFAULT_CHUNK_LOG2, Writer};

use super::{Blobs, blocking, context, make_private_dir, name, sync_dir};

/// A blob being written: sealed as it goes, named when it is whole. Dropping it leaves nothing.
pub struct BlobWriter {
    blobs: Blobs,
    keys: Arc<KeySet>,
    hash: digest::Context,
    writer: Writer,
}

impl BlobWriter {
    pub(super) fn new(blobs: Blobs, keys: Arc<KeySet>) -> Result<Self> {
        let writer = Writer::create(
            &blobs.inner.temp,
            &keys.file_key(),
            &context(&keys.reference().workspace),
            DEFAULT_CHUNK_LOG2,
        )?;
        Ok(Self { hash: digest::Context::new(&digest::SHA256), blobs, keys, writer })
    }

    /// Adds bytes. Writes to the page cache only, so it may be called from async code.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.writer.write_all(bytes).map_err(StoreError::io("write", Path::new("a blob")))
    }

    /// Bytes added so far.
    pub fn written(&self) -> u64 {
        self.writer.written()
    }

    /// Makes the blob durable and gives it its name.
    pub async fn finish(self) -> Result<Digest> {
        blocking("store a blob", move || self.finish_blocking()).await
    }

    /// [`BlobWriter::finish`], unless the content has another digest than `expected`: then nothing
    /// is kept.
    pub async fn finish_as(self, expected: Digest) -> Result<Digest> {
        let found = finished(&self.hash);
        if found != expected {
            return Err(StoreError::invalid(
                format!("blob {expected}"),
                format!("the bytes that came have the digest {found}"),
            ));
        }
        self.finish().await
    }

    pub(super) fn finish_blocking(self) -> Result<Digest> {
        let digest = finished(&self.hash);
        let inner = &self.blobs.inner;
        let path = inner.path(&self.keys, &digest);
        let temp = self.writer.finish(name(&self.keys, &digest).as_bytes())?;
        let dir = path.parent().unwrap_or(&inner.root);
        make_private_dir(&inner.root.join(&self.keys.reference().workspace))?;
        make_private_dir(dir)?;
        let _names = inner.lock();
        if path.is_file() && inner.open(&self.keys, &digest).and_then(|blob| blob.verify()).is_ok() {
            // Not replaced: a reader may hold it. Only its age starts again.
            std::fs::File::open(&path)
                .and_then(|file| file.set_modified(SystemTime::now()))
                .map_err(StoreError::io("renew", &path))?;
            return sync_dir(dir).map(|()| digest);
        }
        temp.persist(&path)?;
        Ok(digest)
    }
}

fn finished(hash: &digest::Context) -> Digest {
    let mut out = [0u8; 32];
    let hash = hash.clone().finish();
    out.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
    Digest(out)
}
