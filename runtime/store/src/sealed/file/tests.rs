use std::io::{Read, Write};

use falaj_kms::Context;
use uuid::Uuid;

use super::header::Fixed;
use super::{HEADER_LEN, Reader, TempFile, Writer};
use crate::error::{Result, StoreError};
use crate::keys::FileKey;

const CHUNK_LOG2: u8 = 10;
const BINDING: &[u8] = b"name";

fn key() -> FileKey {
    FileKey::from_parts(Uuid::from_u128(7), [7; 32])
}

fn context() -> Context {
    Context::new().with("falaj:purpose", "test")
}

/// Bytes that differ from chunk to chunk.
fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i % 251) as u8).collect()
}

fn sealed_under(key: &FileKey, context: &Context, bytes: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), key, context, CHUNK_LOG2).unwrap();
    // In pieces that do not fall on chunk borders.
    bytes.chunks(700).for_each(|piece| writer.write_all(piece).unwrap());
    assert_eq!(writer.written(), bytes.len() as u64);
    let path = dir.path().join("file");
    writer.finish(BINDING).unwrap().persist(&path).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    std::fs::read(path).unwrap()
}

fn sealed(bytes: &[u8]) -> Vec<u8> {
    sealed_under(&key(), &context(), bytes)
}

fn open(file: Vec<u8>) -> Result<Reader<Vec<u8>>> {
    Reader::open(file, "test", &key(), &context(), BINDING)
}

/// Reads all of a file that was tampered with, and fails the test if a byte of it gets out that
/// is not at its own place in `expected`.
fn released(file: Vec<u8>, expected: &[u8]) -> Result<()> {
    let reader = open(file)?;
    let mut whole = vec![0xAA; expected.len() + 100];
    match reader.read_at(0, &mut whole) {
        Ok(read) => assert_eq!(&whole[..read], expected, "a changed file was read as if it were whole"),
        Err(error) => {
            assert!(whole.iter().all(|b| *b == 0), "bytes were released with the error");
            return Err(error);
        }
    }
    Ok(())
}

#[test]
fn what_was_written_is_read_at_every_offset_and_length() {
    for len in [0, 1, 1023, 1024, 1025, 2048, 5000] {
        let bytes = plaintext(len);
        let file = sealed(&bytes);
        assert_eq!(file.len(), HEADER_LEN + len + 16 * len.div_ceil(1024).max(1));
        let reader = open(file).unwrap();
        assert_eq!(reader.len(), len as u64);
        assert_eq!(reader.is_empty(), len == 0);
        reader.verify().unwrap();
        assert_eq!(reader.read_all().unwrap().as_slice(), bytes);
        for offset in [0, 1, 1000, 1023, 1024, 1025, 2047, 4999, 5000, 1 << 40] {
            for want in [0, 1, 24, 1024, 3000] {
                let mut buffer = vec![0; want];
                let read = reader.read_at(offset as u64, &mut buffer).unwrap();
                let from = offset.min(len);
                let expected = &bytes[from..(from + want).min(len)];
                assert_eq!(&buffer[..read], expected, "{want} bytes at {offset} of {len}");
            }
        }
        assert_eq!(reader.read_at(u64::MAX, &mut [0; 8]).unwrap(), 0);
        let mut sequential = Vec::new();
        reader.sequential().read_to_end(&mut sequential).unwrap();
        assert_eq!(sequential, bytes);
    }
}

#[test]
fn no_plaintext_stands_in_the_file() {
    let file = sealed(&b"falaj canary ".repeat(200));
    assert!(!file.windows(12).any(|w| w == b"falaj canary"));
}

#[test]
fn every_flipped_bit_of_every_byte_is_found() {
    let bytes = plaintext(2500);
    let file = sealed(&bytes);
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1 << (at % 8);
        let error = released(bad, &bytes).expect_err(&format!("byte {at}"));
        assert!(matches!(error, StoreError::NotAuthentic { .. }), "byte {at}: {error}");
    }
}

#[test]
fn a_bad_chunk_does_not_stop_the_reading_of_good_ones() {
    let bytes = plaintext(3000);
    let mut file = sealed(&bytes);
    file[HEADER_LEN + 1040 + 5] ^= 1;
    let reader = open(file).unwrap();
    assert!(reader.verify().is_err());
    let mut buffer = [0; 100];
    assert_eq!(reader.read_at(0, &mut buffer).unwrap(), 100);
    assert!(reader.read_at(1000, &mut buffer).is_err());
    assert_eq!(buffer, [0; 100]);
    assert_eq!(reader.read_at(2048, &mut buffer).unwrap(), 100);
    assert_eq!(buffer, bytes[2048..2148]);
}

#[test]
fn every_cut_and_every_appended_byte_is_found_on_opening() {
    let file = sealed(&plaintext(2500));
    for len in 0..file.len() {
        assert!(open(file[..len].to_vec()).is_err(), "cut to {len}");
    }
    for extra in [1, 16, 1040] {
        assert!(open([file.as_slice(), &vec![0; extra]].concat()).is_err(), "{extra} appended");
    }
}

#[test]
fn a_file_cut_at_a_chunk_with_its_length_made_to_fit_is_found() {
    // The attacker rewrites the length and the count as well, but cannot seal them.
    let file = sealed(&plaintext(2048));
    let mut cut = file[..HEADER_LEN + 1040].to_vec();
    cut[160..168].copy_from_slice(&1024u64.to_be_bytes());
    cut[168..176].copy_from_slice(&1u64.to_be_bytes());
    assert!(open(cut).unwrap_err().to_string().contains("length"));
}

#[test]
fn swapped_repeated_and_foreign_chunks_are_found() {
    let bytes = plaintext(4096);
    let file = sealed(&bytes);
    let chunk = |file: &[u8], i: usize| file[HEADER_LEN + i * 1040..][..1040].to_vec();
    let with = |at: usize, chunk: &[u8]| {
        let mut bad = file.clone();
        bad[HEADER_LEN + at * 1040..][..1040].copy_from_slice(chunk);
        bad
    };
    let other = sealed(&bytes);
    for (at, from) in [(0, 1), (1, 0), (1, 2), (3, 2), (2, 3)] {
        assert!(released(with(at, &chunk(&file, from)), &bytes).is_err(), "{from} at {at}");
        assert!(released(with(at, &chunk(&other, at)), &bytes).is_err(), "{at} of another file");
    }
}

#[test]
fn a_header_of_another_file_of_equal_length_is_found() {
    let bytes = plaintext(2500);
    let (one, two) = (sealed(&bytes), sealed(&bytes));
    let spliced = [&one[..HEADER_LEN], &two[HEADER_LEN..]].concat();
    assert!(released(spliced, &bytes).is_err());
    for cut in [92, 128, 160, 176] {
        let spliced = [&one[..cut], &two[cut..]].concat();
        assert!(open(spliced).is_err(), "spliced at {cut}");
    }
}

#[test]
fn another_key_context_or_binding_is_refused_on_opening() {
    let file = sealed(&plaintext(10));
    let attempt = |key: &FileKey, context: &Context, binding: &[u8]| {
        Reader::open(file.clone(), "test", key, context, binding).map(drop)
    };
    attempt(&key(), &context(), BINDING).unwrap();
    let other_uid = FileKey::from_parts(Uuid::from_u128(8), [7; 32]);
    let other_secret = FileKey::from_parts(Uuid::from_u128(7), [8; 32]);
    assert!(attempt(&other_uid, &context(), BINDING).is_err());
    assert!(attempt(&other_secret, &context(), BINDING).is_err());
    assert!(attempt(&key(), &context().with("x", ""), BINDING).is_err());
    assert!(attempt(&key(), &Context::new(), BINDING).is_err());
    assert!(attempt(&key(), &context(), b"other name").is_err());
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::create(dir.path(), &key(), &context(), CHUNK_LOG2).unwrap();
    writer.write_all(&plaintext(5000)).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn an_absurd_chunk_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for log2 in [0, 9, 25, 255] {
        assert!(Writer::create(dir.path(), &key(), &context(), log2).is_err(), "{log2}");
    }
}

/// The vectors of docs/formats/sealed-file.md: data key 00 01 .. 1f, salt 80 81 .. 9f, the wrapping
/// nonce a0 .. ab, the file key 7 in every byte.
#[test]
fn the_published_vectors_are_what_this_code_writes() {
    let mut data_key = [0u8; 32];
    data_key.iter_mut().zip(0u8..).for_each(|(to, i)| *to = i);
    let (fixed, data_key) = Fixed::for_vectors(&key(), CHUNK_LOG2, data_key);
    let page = include_str!("../../../../../docs/formats/sealed-file.md");
    for (title, bytes) in [("empty", vec![]), ("abc", b"abc".to_vec()), ("1025", plaintext(1025))] {
        let dir = tempfile::tempdir().unwrap();
        let temp = TempFile::create(dir.path()).unwrap();
        let mut writer = Writer::with_header(temp, fixed.clone(), &data_key, &context()).unwrap();
        writer.write_all(&bytes).unwrap();
        let path = dir.path().join("file");
        writer.finish(BINDING).unwrap().persist(&path).unwrap();
        let file = std::fs::read(&path).unwrap();
        assert_eq!(open(file.clone()).unwrap().read_all().unwrap().as_slice(), bytes);
        let hash = hex::encode(crate::crypto::sha256(&[&file]));
        assert!(page.contains(&hash), "vector {title}: SHA-256 {hash}\nfile {}", hex::encode(&file));
        if bytes.len() < 1024 {
            assert!(page.replace('\n', "").contains(&hex::encode(&file)), "vector {title}");
        }
    }
}
