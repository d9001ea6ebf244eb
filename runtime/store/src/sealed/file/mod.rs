//! A sealed file: random access, nothing released unauthenticated.
//!
//! A fixed header, then chunks of AES-256-GCM. A data key of the file's own is wrapped in the
//! header by a [`FileKey`](crate::keys::FileKey); the chunk key, a commitment to it and the key of
//! the length seal are derived from it, the salt and the header. Layout, derivations and test
//! vectors: `docs/formats/sealed-file.md`.

mod header;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use falaj_kms::Context;

use crate::crypto::{self, GCM_NONCE_LEN, KEY_LEN, Secret, TAG_LEN};
use crate::error::Result;

pub use header::{HEADER_LEN, key_uid};
pub use reader::{ReadAt, Reader, Sequential};
pub use writer::{TempFile, Writer};

/// log2 of the chunk size a file gets unless asked otherwise: 64 KiB.
pub const DEFAULT_CHUNK_LOG2: u8 = 16;
const CHUNK_LOG2: std::ops::RangeInclusive<u8> = 10..=24;

/// What a file's bytes are sealed and checked with.
struct FileSecrets {
    chunk: Secret,
    commitment: Secret,
    length: Secret,
    /// SHA-256 of the fixed header and the context; the additional data of every chunk.
    header_hash: [u8; 32],
}

impl FileSecrets {
    fn derive(data_key: &[u8; KEY_LEN], salt: &[u8], fixed_header: &[u8], context: &Context) -> Result<Self> {
        let header_hash = crypto::sha256(&[fixed_header, &context.canonical()]);
        let derive = |purpose: &str| crypto::derive(data_key, salt, &[purpose.as_bytes(), &header_hash]);
        Ok(Self {
            chunk: derive("falaj sealed file chunks v1")?,
            commitment: derive("falaj sealed file commitment v1")?,
            length: derive("falaj sealed file length v1")?,
            header_hash,
        })
    }

    /// Authenticates how long the file is and what it is bound to.
    fn length_seal(&self, total: u64, chunks: u64, binding: &[u8]) -> [u8; 32] {
        let (total, chunks) = (total.to_be_bytes(), chunks.to_be_bytes());
        crypto::hmac_sha256(self.length.as_slice(), &[&self.header_hash, &total, &chunks, binding])
    }
}

/// The nonce of a chunk: seven zeros, its index, and whether it is the last (STREAM). The key is
/// the file's own, so the prefix need not vary.
fn chunk_nonce(index: u32, last: bool) -> [u8; GCM_NONCE_LEN] {
    let [a, b, c, d] = index.to_be_bytes();
    [0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(last)]
}

/// An empty file has one empty chunk, so that it too is authenticated.
fn chunks_for(total: u64, chunk_log2: u8) -> u64 {
    total.div_ceil(1 << chunk_log2).max(1)
}

/// Bytes of the whole sealed file.
fn sealed_len(total: u64, chunks: u64) -> Option<u64> {
    chunks.checked_mul(TAG_LEN as u64)?.checked_add(total)?.checked_add(HEADER_LEN as u64)
}
