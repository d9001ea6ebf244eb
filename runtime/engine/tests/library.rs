//! A library that cannot be used is a clear error, before anything is loaded.

use std::path::Path;

use falaj_engine::Error;
use falaj_engine::infer::OnnxRuntime;

fn refused(path: &Path) -> String {
    match OnnxRuntime::load(path) {
        Err(error @ Error::Library { .. }) => error.to_string(),
        Err(other) => panic!("another kind of error: {other}"),
        Ok(_) => panic!("{} was loaded", path.display()),
    }
}

#[test]
fn a_missing_library_and_a_file_that_is_none_are_said_to_be_so() {
    let missing = refused(Path::new("/nowhere/libonnxruntime.so"));
    assert!(missing.contains("/nowhere/libonnxruntime.so") && missing.contains("no such file"), "{missing}");
    let other = refused(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    assert!(other.contains("cannot be used") && other.contains("or newer is needed"), "{other}");
}
