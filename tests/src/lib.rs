//! What the end-to-end tests share: a directory with a configuration, a real
//! core to apply it with, and the runtime it leaves behind.

pub mod kubernetes;
mod project;

pub use project::{Core, Plan, Project, interrupt, kill};

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

/// A program that the workspace builds, beside the tests themselves.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().map(|dir| dir.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built; run: cargo build --workspace"))
}

/// A program that `tests/tools` installs. It is installed if it is missing.
///
/// # Panics
/// It cannot be installed.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let tools = repository().join("tests/tools");
    let path = || Command::new(tools.join("path")).arg(name).output().unwrap();
    let mut found = path();
    if !found.status.success() {
        let status = Command::new(tools.join("install")).arg(name).status().unwrap();
        assert!(status.success(), "tests/tools/install {name} failed");
        found = path();
    }
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
}

/// What a program printed.
fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
