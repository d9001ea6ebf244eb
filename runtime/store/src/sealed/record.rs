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

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::keys::KeyRef;

    fn keys(uid: u128, workspace: &str) -> KeySet {
        KeySet::derive(Uuid::from_u128(uid), KeyRef::workspace(workspace), &[9; 32]).unwrap()
    }

    const PLACE: Place<'_> = Place { table: "records", row: "u1", column: "spec", version: 3 };

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let keys = keys(1, "w1");
        let value = json!({"age": 41});
        let sealed = seal_json(&keys, PLACE, &value).unwrap();
        assert_eq!(open_json(&keys, PLACE, &sealed).unwrap(), value);
        let others = [
            Place { table: "reports", ..PLACE },
            Place { row: "u2", ..PLACE },
            Place { column: "status", ..PLACE },
            Place { version: 2, ..PLACE },
            // The same bytes in a row, cut elsewhere.
            Place { table: "recordsu", row: "1", ..PLACE },
        ];
        for place in others {
            assert!(open(&keys, place, &sealed).is_err(), "{place:?}");
        }
    }

    #[test]
    fn a_value_opens_under_its_own_key_only() {
        let sealed = seal(&keys(1, "w1"), PLACE, b"x").unwrap();
        assert!(open(&keys(2, "w1"), PLACE, &sealed).is_err());
        assert!(open(&keys(1, "w2"), PLACE, &sealed).is_err());
    }

    #[test]
    fn every_flipped_cut_or_added_byte_is_found() {
        let keys = keys(1, "w1");
        let sealed = seal(&keys, PLACE, b"some plaintext").unwrap();
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 0x40;
            assert!(open(&keys, PLACE, &bad).is_err(), "byte {at}");
            assert!(open(&keys, PLACE, &sealed[..at]).is_err(), "cut to {at}");
        }
        assert!(open(&keys, PLACE, &[sealed.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn equal_values_are_sealed_to_different_bytes() {
        let keys = keys(1, "w1");
        assert_ne!(seal(&keys, PLACE, b"x").unwrap(), seal(&keys, PLACE, b"x").unwrap());
    }

    /// The vector of docs/formats/sealed-record.md.
    #[test]
    fn the_published_vector_opens() {
        let page = include_str!("../../../../docs/formats/sealed-record.md");
        let sealed = page.lines().find_map(|line| line.strip_prefix("sealed     ")).unwrap();
        let sealed = hex::decode(sealed.trim()).unwrap();
        let opened = open(&keys(1, "w1"), PLACE, &sealed).unwrap();
        assert_eq!(opened.as_slice(), br#"{"age":41}"#);
        let aad = page.lines().find_map(|line| line.strip_prefix("additional ")).unwrap();
        assert_eq!(hex::encode(PLACE.aad(&keys(1, "w1"))), aad.trim());
    }
}
