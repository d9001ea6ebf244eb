//! Sealed objects by digest.

mod common;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::{WORKSPACE, open};
use falaj_store::{Digest, StoreError};

const OTHER: &str = "0190f3c2-7a52-7cc0-8000-000000000002";

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in dir.read_dir().unwrap().map(|e| e.unwrap()) {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

fn age(path: &Path, by: Duration) {
    std::fs::File::open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

#[tokio::test]
async fn a_blob_is_read_whole_and_in_parts_by_the_digest_of_its_content() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let bytes: Vec<u8> = (0..300_000u32).map(|i| (i % 253) as u8).collect();
    let digest = store.blobs().put(WORKSPACE, bytes.clone()).await.unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    assert_eq!(store.blobs().get(WORKSPACE, &digest).await.unwrap().as_slice(), bytes);
    store.blobs().verify(WORKSPACE, &digest).await.unwrap();
    let reader = store.blobs().open_blob(WORKSPACE, &digest).await.unwrap();
    let mut part = [0; 1000];
    assert_eq!(reader.read_at(65_000, &mut part).unwrap(), 1000);
    assert_eq!(part, bytes[65_000..66_000]);
    assert!(store.blobs().exists(WORKSPACE, &digest).await.unwrap());
    let missing = store.blobs().get(WORKSPACE, &Digest::of(b"none")).await.unwrap_err();
    assert!(matches!(missing, StoreError::NotFound { .. }));
}

#[tokio::test]
async fn a_stream_and_a_reader_give_the_same_blob_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let bytes = vec![3u8; 100_000];
    let digest = store.blobs().put(WORKSPACE, bytes.clone()).await.unwrap();
    let mut writer = store.blobs().writer(WORKSPACE).await.unwrap();
    bytes.chunks(777).for_each(|piece| writer.append(piece).unwrap());
    assert_eq!(writer.written(), 100_000);
    assert_eq!(writer.finish_as(digest).await.unwrap(), digest);
    let source = std::io::Cursor::new(bytes);
    assert_eq!(store.blobs().put_reader(WORKSPACE, source).await.unwrap(), digest);
    assert_eq!(files(&dir.path().join("data/blobs")).len(), 1);
    assert!(files(&dir.path().join("data/tmp")).is_empty());
}

#[tokio::test]
async fn an_upload_that_is_not_what_was_announced_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut writer = store.blobs().writer(WORKSPACE).await.unwrap();
    writer.append(b"other bytes").unwrap();
    let error = writer.finish_as(Digest::of(b"bytes")).await.unwrap_err();
    assert!(error.to_string().contains(&Digest::of(b"other bytes").to_string()), "{error}");
    drop(store.blobs().writer(WORKSPACE).await.unwrap());
    assert!(files(&dir.path().join("data/blobs")).is_empty());
    assert!(files(&dir.path().join("data/tmp")).is_empty());
}

#[tokio::test]
async fn names_do_not_tell_the_digest_and_differ_between_workspaces() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let digest = store.blobs().put(WORKSPACE, b"same".to_vec()).await.unwrap();
    assert_eq!(store.blobs().put(OTHER, b"same".to_vec()).await.unwrap(), digest);
    let names: HashSet<_> = files(&dir.path().join("data/blobs"))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 2);
    assert!(!names.contains(&digest.to_string()));
}

#[tokio::test]
async fn a_blob_put_in_the_place_of_another_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let first = store.blobs().put(WORKSPACE, b"first".to_vec()).await.unwrap();
    let path = files(&dir.path().join("data/blobs")).remove(0);
    let second = store.blobs().put(WORKSPACE, b"other".to_vec()).await.unwrap();
    let other = files(&dir.path().join("data/blobs")).into_iter().find(|p| *p != path).unwrap();
    std::fs::copy(&other, &path).unwrap();
    let error = store.blobs().open_blob(WORKSPACE, &first).await.unwrap_err();
    assert!(matches!(error, StoreError::NotAuthentic { .. }), "{error}");
    assert!(store.blobs().get(WORKSPACE, &second).await.is_ok());
    // Putting it again heals it.
    store.blobs().put(WORKSPACE, b"first".to_vec()).await.unwrap();
    assert_eq!(store.blobs().get(WORKSPACE, &first).await.unwrap().as_slice(), b"first");
}

#[tokio::test]
async fn a_flipped_byte_is_found_by_every_way_of_reading() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let digest = store.blobs().put(WORKSPACE, vec![1; 200_000]).await.unwrap();
    let path = files(&dir.path().join("data/blobs")).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[150_000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(store.blobs().get(WORKSPACE, &digest).await.is_err());
    assert!(store.blobs().verify(WORKSPACE, &digest).await.is_err());
    let reader = store.blobs().open_blob(WORKSPACE, &digest).await.unwrap();
    assert!(reader.read_at(150_000, &mut [0; 10]).is_err());
}

#[tokio::test]
async fn only_old_blobs_that_nothing_refers_to_are_collected() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let blobs = store.blobs();
    let kept = blobs.put(WORKSPACE, b"kept".to_vec()).await.unwrap();
    let stray = blobs.put(WORKSPACE, b"stray".to_vec()).await.unwrap();
    let again = blobs.put(WORKSPACE, b"again".to_vec()).await.unwrap();
    let hour = Duration::from_secs(3600);
    files(&dir.path().join("data/blobs")).iter().for_each(|path| age(path, 2 * hour));
    blobs.put(WORKSPACE, b"again".to_vec()).await.unwrap();
    let young = blobs.put(WORKSPACE, b"young".to_vec()).await.unwrap();
    assert_eq!(blobs.collect(WORKSPACE, &HashSet::from([kept]), hour).await.unwrap(), 1);
    for (digest, there) in [(kept, true), (stray, false), (again, true), (young, true)] {
        assert_eq!(blobs.exists(WORKSPACE, &digest).await.unwrap(), there);
    }
    assert!(blobs.delete(WORKSPACE, &young).await.unwrap());
    assert!(!blobs.delete(WORKSPACE, &young).await.unwrap());
    blobs.delete_workspace(WORKSPACE).await.unwrap();
    blobs.delete_workspace(WORKSPACE).await.unwrap();
    assert!(files(&dir.path().join("data/blobs")).is_empty());
}

#[tokio::test]
async fn a_workspace_that_would_be_a_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for bad in ["", "..", "a/b", "/etc", "A", "a\0", &"a".repeat(65)] {
        let error = store.blobs().put(bad, b"x".to_vec()).await.unwrap_err();
        assert!(matches!(error, StoreError::Invalid { .. }), "{bad:?}: {error}");
        assert!(store.blobs().delete_workspace(bad).await.is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn what_a_dead_process_was_writing_is_swept_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let mut writer = store.blobs().writer(WORKSPACE).await.unwrap();
    writer.append(&[0; 100_000]).unwrap();
    std::mem::forget(writer);
    assert_eq!(files(&dir.path().join("data/tmp")).len(), 1);
    store.close().await;
    open(dir.path()).await;
    assert!(files(&dir.path().join("data/tmp")).is_empty());
}

#[test]
fn a_digest_has_one_spelling() {
    let text = Digest::of(b"x").to_string();
    assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b"x"));
    let shorter = text.get(1..).unwrap();
    for bad in ["", "xyz", &text.to_uppercase(), shorter] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
}
