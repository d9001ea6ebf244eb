use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use falaj_kms::Context;
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{self, TAG_LEN};
use crate::error::{Result, StoreError};
use crate::keys::FileKey;

use super::header::{Closing, Fixed, HEADER_LEN};
use super::{FileSecrets, chunk_nonce, chunks_for, sealed_len};

/// Bytes that can be read from any offset, by several threads at once.
pub trait ReadAt: Send + Sync {
    /// Fills `buffer` from `offset`, or fails.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Bytes there are now.
    fn size(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|m| m.len())
    }
}

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let source = from
            .and_then(|from| Some(from..from.checked_add(buffer.len())?))
            .and_then(|range| self.get(range))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(source);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }
}

type Plaintext = Zeroizing<Vec<u8>>;

/// An opened sealed file. Its length is authentic from the start, each chunk once it is read.
pub struct Reader<R> {
    source: R,
    /// For messages: what the file is.
    name: String,
    chunk_log2: u8,
    total: u64,
    chunks: u64,
    cipher: LessSafeKey,
    header_hash: [u8; 32],
    /// The chunk read last, in the clear, for small reads in order.
    last: Mutex<Option<(u64, Arc<Plaintext>)>>,
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("name", &self.name).field("total", &self.total).finish_non_exhaustive()
    }
}

impl<R: ReadAt> Reader<R> {
    /// Checks the header, the key, the context, the binding and the length. `name` is for messages.
    pub fn open(source: R, name: impl Into<String>, key: &FileKey, context: &Context, binding: &[u8]) -> Result<Self> {
        let name = name.into();
        let refuse = |why| StoreError::not_authentic(name.as_str(), why);
        let size = source.size().map_err(|e| failed(&name, e))?;
        if size < HEADER_LEN as u64 {
            return Err(refuse("it is cut short"));
        }
        let mut header = [0u8; HEADER_LEN];
        source.read_exact_at(&mut header, 0).map_err(|e| failed(&name, e))?;
        let fixed = Fixed::decode(&header).map_err(refuse)?;
        let closing = Closing::decode(&header).map_err(refuse)?;
        if fixed.key != key.uid() {
            return Err(refuse("it is sealed under another key"));
        }
        let data_key = fixed.unwrap(key)?.ok_or_else(|| refuse("its header is altered, or the key is not its own"))?;
        let secrets = FileSecrets::derive(&data_key, &fixed.salt, &fixed.encode(), context)?;
        if !crypto::same(secrets.commitment.as_slice(), &closing.commitment) {
            return Err(refuse("its header is altered, or it was sealed in another context"));
        }
        let seal = secrets.length_seal(closing.total, closing.chunks, binding);
        if !crypto::same(&seal, &closing.seal) {
            return Err(refuse("its length is altered, or it is another file"));
        }
        let expected = sealed_len(closing.total, closing.chunks);
        if closing.chunks != chunks_for(closing.total, fixed.chunk_log2) || expected != Some(size) {
            return Err(refuse("bytes were cut off or appended"));
        }
        Ok(Self {
            cipher: crypto::cipher(&secrets.chunk)?,
            header_hash: secrets.header_hash,
            chunk_log2: fixed.chunk_log2,
            total: closing.total,
            chunks: closing.chunks,
            last: Mutex::new(None),
            source,
            name,
        })
    }

    /// Bytes of plaintext.
    pub fn len(&self) -> u64 {
        self.total
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Reads from `offset`; fewer bytes than asked for only at the end. On an error `buffer` holds
    /// zeros.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let result = self.fill(offset, buffer);
        if result.is_err() {
            buffer.zeroize();
        }
        result
    }

    fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let chunk_len = 1u64 << self.chunk_log2;
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            if at >= self.total {
                break;
            }
            let skip = usize::try_from(at % chunk_len).unwrap_or(usize::MAX);
            let chunk = self.chunk(at / chunk_len)?;
            let from = chunk.get(skip..).unwrap_or_default();
            let count = from.len().min(rest.len());
            if let (Some(to), Some(from)) = (rest.get_mut(..count), from.get(..count)) {
                to.copy_from_slice(from);
            }
            done += count;
        }
        Ok(done)
    }

    /// A chunk in the clear. The lock is not held while one is opened, so readers of different
    /// parts do not wait for each other.
    fn chunk(&self, index: u64) -> Result<Arc<Plaintext>> {
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, chunk)) = last().as_ref().filter(|(at, _)| *at == index) {
            return Ok(chunk.clone());
        }
        let chunk = Arc::new(self.open_chunk(index)?);
        *last() = Some((index, chunk.clone()));
        Ok(chunk)
    }

    fn open_chunk(&self, index: u64) -> Result<Plaintext> {
        let refuse = || StoreError::not_authentic(self.name.as_str(), "a chunk of it was altered or moved");
        let start = index << self.chunk_log2;
        let len = self.total.saturating_sub(start).min(1 << self.chunk_log2);
        let len = usize::try_from(len).map_err(|_| refuse())?;
        let offset = HEADER_LEN as u64 + start + index * TAG_LEN as u64;
        let mut buffer = Zeroizing::new(vec![0u8; len + TAG_LEN]);
        self.source.read_exact_at(&mut buffer, offset).map_err(|e| failed(&self.name, e))?;
        let number = u32::try_from(index).map_err(|_| refuse())?;
        let nonce = Nonce::assume_unique_for_key(chunk_nonce(number, index + 1 == self.chunks));
        self.cipher.open_in_place(nonce, Aad::from(self.header_hash), &mut buffer).map_err(|_| refuse())?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Reads and authenticates everything, keeping nothing.
    pub fn verify(&self) -> Result<()> {
        (0..self.chunks).try_for_each(|index| self.open_chunk(index).map(drop))
    }

    /// The whole plaintext, every byte of it authentic.
    pub fn read_all(&self) -> Result<Zeroizing<Vec<u8>>> {
        let too_long = |_| StoreError::invalid(self.name.as_str(), "it does not fit in memory");
        let mut all = Zeroizing::new(vec![0u8; usize::try_from(self.total).map_err(too_long)?]);
        self.read_at(0, &mut all)?;
        Ok(all)
    }

    /// The plaintext in order.
    pub fn sequential(&self) -> Sequential<'_, R> {
        Sequential { reader: self, at: 0 }
    }
}

/// Reads a sealed file from its start to its end.
pub struct Sequential<'a, R> {
    reader: &'a Reader<R>,
    at: u64,
}

impl<R: ReadAt> io::Read for Sequential<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read_at(self.at, buffer).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.at += read as u64;
        Ok(read)
    }
}

fn failed(name: &str, source: io::Error) -> StoreError {
    StoreError::Io { action: "read", path: name.into(), source }
}
