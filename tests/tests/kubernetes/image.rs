//! The image of the runtime that was built for these tests.

use std::{process::Command, sync::OnceLock};

use falaj_tests::{built, kubernetes::Node, tool};

/// Its name by digest; the node has it.
pub(crate) fn image(node: &Node) -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("falaj.tar");
        let output = Command::new(built("falaj"))
            .args(["image", "build", "--name", "falaj.test/falaj:1", "--output"])
            .arg(&archive)
            .env("ORT_DYLIB_PATH", tool("onnxruntime"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        node.load(&archive)
    })
}
