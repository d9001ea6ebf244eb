//! The Rust code of the wire formats is committed, so that building needs no
//! protobuf compiler. This test updates it, and fails, when it is stale: change
//! the proto, run this, then use what is new.

use std::fs;
use std::path::Path;

use protox::prost::Message;

const PROTOS: [&str; 3] = ["tfplugin6.proto", "plugin.proto", "health.proto"];

#[test]
fn generated_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile(PROTOS, [root.join("proto")]).expect("the protos compile");
    let made = tempfile::tempdir().expect("a temporary directory");
    // The dependencies of protox and of the generator may differ in their
    // types but not in the wire form.
    let files = Message::decode(files.encode_to_vec().as_slice()).expect("descriptors survive the wire");
    tonic_prost_build::configure()
        .out_dir(made.path())
        .build_transport(false)
        .generate_default_stubs(true)
        .bytes(".")
        .compile_fds(files)
        .expect("code is generated");

    let mut stale = Vec::new();
    for entry in fs::read_dir(made.path()).expect("generated files") {
        let entry = entry.expect("a generated file");
        let target = root.join("src/proto").join(entry.file_name());
        let code = fs::read_to_string(entry.path()).expect("generated code");
        if fs::read_to_string(&target).ok().as_ref() != Some(&code) {
            fs::write(&target, &code).expect("the code is updated");
            stale.push(target);
        }
    }
    assert!(stale.is_empty(), "updated, please commit: {stale:?}");
}
