//! A sealed value of one column of one row.
//!
//! `version (1) | nonce (12) | ciphertext | tag (16)`. The additional data name the table, the
//! row, the column and the version of the value, so a sealed value moved to another place, or an
//! old one put back, does not open. See `docs/formats/sealed-record.md`.

use serde_json::Value;
use zeroize::Zeroizing;

use crate::crypto;
use crate::error::{Result, StoreError};
use crate::keys::KeySet;

const FORMAT: u8 = 1;
const DOMAIN: &[u8] = b"falaj sealed record v1";

/// Where a sealed value stands.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'a str,
    pub row: &'a str,
    pub column: &'a str,
    /// Rises with each change of the value.
    pub version: i64,
}

impl Place<'_> {
    fn aad(&self, keys: &KeySet) -> Vec<u8> {
        let mut aad = vec![FORMAT];
        crypto::put_bytes(&mut aad, DOMAIN);
        crypto::put_bytes(&mut aad, keys.reference().workspace.as_bytes());
        for part in [self.table, self.row, self.column] {
            crypto::put_bytes(&mut aad, part.as_bytes());
        }
        aad.extend_from_slice(&self.version.to_be_bytes());
        aad
    }

    fn name(&self) -> String {
        format!("{}.{} of {}", self.table, self.column, self.row)
    }
}

/// Seals `plaintext` for `place`.
pub fn seal(keys: &KeySet, place: Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
    let body = crypto::seal(keys.record_key(), &place.aad(keys), plaintext)?;
    Ok([&[FORMAT], body.as_slice()].concat())
}

/// Opens what [`seal`] made for the same `place`.
pub fn open(keys: &KeySet, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let refuse = |why| StoreError::not_authentic(place.name(), why);
    match sealed.split_first() {
        Some((&FORMAT, body)) => crypto::open(keys.record_key(), &place.aad(keys), body)?
            .ok_or_else(|| refuse("it was altered, or belongs to another row or version")),
        Some(_) => Err(refuse("its format is of another release")),
        None => Err(refuse("it is empty")),
    }
}

/// [`seal`] for JSON.
pub fn seal_json(keys: &KeySet, place: Place<'_>, value: &Value) -> Result<Vec<u8>> {
    let text = Zeroizing::new(serde_json::to_vec(value).map_err(|e| StoreError::damaged(place.name(), e))?);
    seal(keys, place, &text)
}

/// [`open`] for JSON.
pub fn open_json(keys: &KeySet, place: Place<'_>, sealed: &[u8]) -> Result<Value> {
    let text = open(keys, place, sealed)?;
    serde_json::from_slice(&text).map_err(|e| StoreError::damaged(place.name(), e))
}
