//! The few primitives the sealed formats are made of, all of them from aws-lc.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hkdf, hmac, rand};
use zeroize::Zeroizing;

use crate::error::{Result, StoreError};

pub(crate) const KEY_LEN: usize = 32;
pub(crate) const TAG_LEN: usize = 16;
pub(crate) use aws_lc_rs::aead::NONCE_LEN as GCM_NONCE_LEN;

/// A 256-bit secret, wiped when dropped.
pub(crate) type Secret = Zeroizing<[u8; KEY_LEN]>;

struct Len(usize);

impl hkdf::KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

fn failed(action: &'static str) -> impl Fn(Unspecified) -> StoreError {
    move |_| StoreError::Crypto { action }
}

/// HKDF-SHA-512 (RFC 5869) of `secret`; `info` parts are each prefixed by their length.
pub(crate) fn derive(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Result<Secret> {
    let mut bound = Vec::new();
    for part in info {
        put_bytes(&mut bound, part);
    }
    let mut out = Zeroizing::new([0u8; KEY_LEN]);
    hkdf::Salt::new(hkdf::HKDF_SHA512, salt)
        .extract(secret)
        .expand(&[&bound], Len(KEY_LEN))
        .and_then(|okm| okm.fill(out.as_mut_slice()))
        .map_err(failed("derive a key"))?;
    Ok(out)
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0u8; N];
    rand::fill(&mut out).map_err(failed("get random bytes"))?;
    Ok(out)
}

pub(crate) fn random_secret() -> Result<Secret> {
    let mut out = Zeroizing::new([0u8; KEY_LEN]);
    rand::fill(out.as_mut_slice()).map_err(failed("get random bytes"))?;
    Ok(out)
}

pub(crate) fn cipher(key: &[u8; KEY_LEN]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(failed("set up AES-256-GCM"))
}

/// `nonce | ciphertext | tag` under a fresh random nonce.
pub(crate) fn seal(key: &[u8; KEY_LEN], aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; NONCE_LEN] = random()?;
    let mut out = Vec::with_capacity(NONCE_LEN + plaintext.len() + TAG_LEN);
    out.extend_from_slice(&nonce);
    out.extend_from_slice(plaintext);
    let body = out.get_mut(NONCE_LEN..).unwrap_or_default();
    let tag = cipher(key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
        .map_err(failed("seal"))?;
    out.extend_from_slice(tag.as_ref());
    Ok(out)
}

/// The plaintext of [`seal`], or `None` when anything differs.
pub(crate) fn open(key: &[u8; KEY_LEN], aad: &[u8], sealed: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some((nonce, body)) = sealed.split_at_checked(NONCE_LEN) else {
        return Ok(None);
    };
    let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else {
        return Ok(None);
    };
    let mut buffer = Zeroizing::new(body.to_vec());
    let opened = cipher(key)?.open_in_place(nonce, Aad::from(aad), &mut buffer).map(|plaintext| plaintext.len());
    match opened {
        Ok(len) => {
            buffer.truncate(len);
            Ok(Some(buffer))
        }
        Err(Unspecified) => Ok(None),
    }
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    to_array(context.finish().as_ref())
}

pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    to_array(context.sign().as_ref())
}

/// Compares without telling by its duration where the two differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// Appends `bytes` after their length, a big-endian `u32`.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}

fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0u8; 32];
    out.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    out
}
