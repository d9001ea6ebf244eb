use uuid::Uuid;

use crate::crypto::{self, GCM_NONCE_LEN, KEY_LEN, Secret, TAG_LEN};
use crate::error::{Result, StoreError};
use crate::keys::FileKey;

use super::CHUNK_LOG2;

const MAGIC: &[u8; 8] = b"falajsf\0";
const VERSION: u8 = 1;
/// AES-256-GCM chunks, HKDF-SHA-512, HMAC-SHA-256.
const SUITE: u8 = 1;
const WRAPPED_LEN: usize = GCM_NONCE_LEN + KEY_LEN + TAG_LEN;
const SALT_LEN: usize = 32;
/// The part that is fixed when writing starts, and hashed into every chunk.
pub(super) const FIXED_LEN: usize = 128;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = 208;

const WRAP_DOMAIN: &[u8] = b"falaj sealed file data key v1";

/// The header's fixed part, read or to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fixed {
    pub chunk_log2: u8,
    pub key: Uuid,
    pub wrapped: [u8; WRAPPED_LEN],
    pub salt: [u8; SALT_LEN],
}

/// What follows it: written when the length is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closing {
    pub commitment: [u8; 32],
    pub total: u64,
    pub chunks: u64,
    pub seal: [u8; 32],
}

impl Fixed {
    /// A header for a new file, and the data key it wraps.
    pub(super) fn new(key: &FileKey, chunk_log2: u8) -> Result<(Self, Secret)> {
        let data_key = crypto::random_secret()?;
        let salt = crypto::random()?;
        let sealed = crypto::seal(key.secret(), &wrap_aad(key.uid(), chunk_log2), data_key.as_slice())?;
        let wrapped = sealed.try_into().map_err(|_| StoreError::Crypto { action: "wrap a data key" })?;
        let fixed = Self { chunk_log2, key: key.uid(), wrapped, salt };
        Ok((fixed, data_key))
    }

    /// A header without chance, for the published vectors.
    #[cfg(test)]
    pub(super) fn for_vectors(key: &FileKey, chunk_log2: u8, data_key: [u8; KEY_LEN]) -> (Self, Secret) {
        use aws_lc_rs::aead::{Aad, Nonce};
        let count = |from: u8| move |i: usize| from + i as u8;
        let nonce: [u8; GCM_NONCE_LEN] = std::array::from_fn(count(0xa0));
        let mut body = data_key.to_vec();
        let tag = crypto::cipher(key.secret())
            .unwrap()
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(wrap_aad(key.uid(), chunk_log2)),
                &mut body,
            )
            .unwrap();
        let wrapped = [nonce.as_slice(), &body, tag.as_ref()].concat().try_into().unwrap();
        let salt = std::array::from_fn(count(0x80));
        (Self { chunk_log2, key: key.uid(), wrapped, salt }, Secret::new(data_key))
    }

    pub(super) fn encode(&self) -> [u8; FIXED_LEN] {
        let parts: [&[u8]; 6] = [
            MAGIC,
            &[VERSION, SUITE, self.chunk_log2, 0, 0, 0, 0, 0],
            self.key.as_bytes(),
            &self.wrapped,
            &self.salt,
            &[0; 4],
        ];
        let mut out = [0u8; FIXED_LEN];
        let bytes = parts.iter().flat_map(|p| p.iter());
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        out
    }

    /// Reads the fixed part; what it says is not yet authenticated.
    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, &'static str> {
        let mut rest = bytes.as_slice();
        if take::<8>(&mut rest)? != *MAGIC {
            return Err("it is not a sealed file");
        }
        let [version, suite, chunk_log2, reserved @ ..] = take::<8>(&mut rest)?;
        if version != VERSION || suite != SUITE {
            return Err("its format is of another release");
        }
        if !CHUNK_LOG2.contains(&chunk_log2) || reserved != [0; 5] {
            return Err("its header is altered");
        }
        let fixed = Self {
            chunk_log2,
            key: Uuid::from_bytes(take(&mut rest)?),
            wrapped: take(&mut rest)?,
            salt: take(&mut rest)?,
        };
        match take::<4>(&mut rest)? {
            [0, 0, 0, 0] => Ok(fixed),
            _ => Err("its header is altered"),
        }
    }

    /// The data key, or `None` when `key` is not the one or the header is altered.
    pub(super) fn unwrap(&self, key: &FileKey) -> Result<Option<Secret>> {
        let aad = wrap_aad(self.key, self.chunk_log2);
        let Some(plaintext) = crypto::open(key.secret(), &aad, &self.wrapped)? else {
            return Ok(None);
        };
        let bytes: Option<[u8; KEY_LEN]> = plaintext.as_slice().try_into().ok();
        Ok(bytes.map(Secret::new))
    }
}

impl Closing {
    pub(super) fn encode(&self) -> Vec<u8> {
        [self.commitment.as_slice(), &self.total.to_be_bytes(), &self.chunks.to_be_bytes(), &self.seal].concat()
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, &'static str> {
        let mut rest = bytes.get(FIXED_LEN..).unwrap_or_default();
        Ok(Self {
            commitment: take(&mut rest)?,
            total: u64::from_be_bytes(take(&mut rest)?),
            chunks: u64::from_be_bytes(take(&mut rest)?),
            seal: take(&mut rest)?,
        })
    }
}

fn wrap_aad(key: Uuid, chunk_log2: u8) -> Vec<u8> {
    let mut aad = Vec::new();
    crypto::put_bytes(&mut aad, WRAP_DOMAIN);
    aad.extend_from_slice(&[VERSION, SUITE, chunk_log2]);
    aad.extend_from_slice(key.as_bytes());
    aad
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or("it is cut short")?;
    *rest = tail;
    Ok(*head)
}

/// Uid of the key a sealed file says it needs; not authenticated until the file is opened.
pub fn key_uid(header: &[u8; HEADER_LEN]) -> Result<Uuid> {
    Fixed::decode(header).map(|fixed| fixed.key).map_err(|why| StoreError::not_authentic("the sealed file", why))
}
