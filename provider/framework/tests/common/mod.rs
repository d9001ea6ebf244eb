//! The example providers as programs.

#![allow(dead_code)] // No test file uses all of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The provider of notes.
pub fn provider() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| example("terraform-provider-note"))
}

/// A built example. Testing the whole package builds it; a single test does
/// not, so it is built here if a source is newer.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.ancestors().nth(2).expect("the target directory");
    let binary = target.join("examples").join(name);
    if modified(&binary) < newest_source() {
        let built =
            Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "tfplugin", "--example", name]).status();
        assert!(built.expect("cargo runs").success(), "the example {name} builds");
    }
    binary
}

/// The core under test.
pub fn core() -> String {
    std::env::var("TFPLUGIN_CORE").unwrap_or_else(|_| "terraform".to_owned())
}

/// The program that `tests/tools/install` put in place.
pub fn tool(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/path");
    let found = Command::new(path).arg(name).output().expect("tests/tools/path runs");
    assert!(found.status.success(), "it is not there: tests/tools/install {name}");
    String::from_utf8_lossy(&found.stdout).trim().to_owned()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

fn newest_source() -> Option<SystemTime> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = vec![root.join("src"), root.join("examples"), root.join("tests/random"), root.join("../derive/src")];
    let mut newest = None;
    while let Some(path) = open.pop() {
        match fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.filter_map(Result::ok).map(|entry| entry.path())),
            Err(_) => newest = newest.max(modified(&path)),
        }
    }
    newest
}
