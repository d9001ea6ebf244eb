use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use falaj_kms::Context;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::crypto;
use crate::error::{Result, StoreError};
use crate::keys::FileKey;

use super::header::{Closing, Fixed, HEADER_LEN};
use super::{CHUNK_LOG2, FileSecrets, chunk_nonce};

/// A file without its final name; removed when dropped before [`TempFile::persist`].
#[derive(Debug)]
pub struct TempFile {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl TempFile {
    /// Creates a file in `dir`, readable by its owner only.
    pub fn create(dir: &Path) -> Result<Self> {
        let path = dir.join(format!(".tmp-{}", Uuid::new_v4()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        Ok(Self { file, path, kept: false })
    }

    /// Where it lies until it has its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the content durable, then gives it its name, then makes the name durable. An error of
    /// a sync is final: what the disk holds is then unknown.
    pub fn persist(mut self, path: &Path) -> Result<()> {
        let io = StoreError::io("write", path);
        self.file.sync_all().map_err(&io)?;
        std::fs::rename(&self.path, path).map_err(&io)?;
        self.kept = true;
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|d| d.sync_all()).map_err(&io)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.kept {
            // Nothing to do if it fails: it holds no plaintext, and opening the store sweeps it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Seals what is written to it. Nothing is readable before [`Writer::finish`].
pub struct Writer {
    temp: TempFile,
    fixed: Fixed,
    secrets: FileSecrets,
    cipher: LessSafeKey,
    /// Plaintext of the chunk being filled: sealed once it is known whether it is the last.
    chunk: Zeroizing<Vec<u8>>,
    index: u32,
    total: u64,
    offset: u64,
}

impl Writer {
    /// A new sealed file in `dir`, still without a name.
    ///
    /// `context` says what the file is, and must be given again to read it. `chunk_log2` is from
    /// 10 to 24; [`DEFAULT_CHUNK_LOG2`](super::DEFAULT_CHUNK_LOG2) suits random reads.
    pub fn create(dir: &Path, key: &FileKey, context: &Context, chunk_log2: u8) -> Result<Self> {
        if !CHUNK_LOG2.contains(&chunk_log2) {
            return Err(StoreError::invalid("the chunk size of a sealed file", "its log2 is from 10 to 24"));
        }
        let (fixed, data_key) = Fixed::new(key, chunk_log2)?;
        Self::with_header(TempFile::create(dir)?, fixed, &data_key, context)
    }

    pub(super) fn with_header(
        temp: TempFile,
        fixed: Fixed,
        data_key: &[u8; crypto::KEY_LEN],
        context: &Context,
    ) -> Result<Self> {
        let secrets = FileSecrets::derive(data_key, &fixed.salt, &fixed.encode(), context)?;
        Ok(Self {
            cipher: crypto::cipher(&secrets.chunk)?,
            // Reserved whole, so that growing it leaves no copies of plaintext behind.
            chunk: Zeroizing::new(Vec::with_capacity(1 << fixed.chunk_log2)),
            temp,
            fixed,
            secrets,
            index: 0,
            total: 0,
            offset: HEADER_LEN as u64,
        })
    }

    /// Plaintext bytes written so far.
    pub fn written(&self) -> u64 {
        self.total
    }

    fn chunk_len(&self) -> usize {
        1 << self.fixed.chunk_log2
    }

    fn seal_chunk(&mut self, last: bool) -> io::Result<()> {
        let nonce = Nonce::assume_unique_for_key(chunk_nonce(self.index, last));
        let aad = Aad::from(self.secrets.header_hash);
        let tag = self
            .cipher
            .seal_in_place_separate_tag(nonce, aad, &mut self.chunk)
            .map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        for part in [self.chunk.as_slice(), tag.as_ref()] {
            self.temp.file.write_all_at(part, self.offset)?;
            self.offset += part.len() as u64;
        }
        self.chunk.clear();
        if !last {
            self.index = self.index.checked_add(1).ok_or_else(|| io::Error::other("the file has too many chunks"))?;
        }
        Ok(())
    }

    /// Seals the end and the length. `binding` is what the file is, where that is known only now
    /// (the name of a blob, for one); it must be given again to read it.
    ///
    /// The file gets its name by [`TempFile::persist`].
    pub fn finish(mut self, binding: &[u8]) -> Result<TempFile> {
        let io = StoreError::io("write", &self.temp.path);
        self.seal_chunk(true).map_err(&io)?;
        let chunks = u64::from(self.index) + 1;
        let closing = Closing {
            commitment: *self.secrets.commitment,
            total: self.total,
            chunks,
            seal: self.secrets.length_seal(self.total, chunks, binding),
        };
        let header = [self.fixed.encode().as_slice(), &closing.encode()].concat();
        self.temp.file.write_all_at(&header, 0).map_err(&io)?;
        Ok(self.temp)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.chunk.len() == self.chunk_len() {
            self.seal_chunk(false)?;
        }
        let room = self.chunk_len() - self.chunk.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.chunk.extend_from_slice(taken);
        self.total += taken.len() as u64;
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // A chunk cannot be sealed before it is known whether another follows.
        Ok(())
    }
}
