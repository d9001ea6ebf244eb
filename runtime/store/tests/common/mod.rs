//! A store in a directory of its own.

use std::path::Path;
use std::sync::Arc;

use falaj_kms::{FileKms, Kms, create_key_file};
use falaj_store::{Options, Store};

pub const CLUSTER_UID: &str = "0190f3c2-7a52-7cc0-8000-00000000000c";
pub const WORKSPACE: &str = "0190f3c2-7a52-7cc0-8000-000000000001";

pub fn kms(root: &Path) -> Arc<dyn Kms> {
    let path = root.join("key");
    create_key_file(&path).unwrap();
    Arc::new(FileKms::open(&path, None).unwrap())
}

pub fn options(root: &Path) -> Options {
    Options::new(root.join("data"), kms(root), CLUSTER_UID)
}

pub async fn open(root: &Path) -> Store {
    Store::open(options(root)).await.unwrap()
}
