use std::path::PathBuf;

use falaj::serve::protocol::{Format, FromServe, ToServe, VariantSnapshot};
use falaj_engine::onnx::to_onnx;
use serde_json::json;

use crate::harness::{INVOKER, Serving, model, request, sha256, variant};

/// A tool of the tests, or the file that the environment names instead.
fn tool(path: &str, variable: &str) -> PathBuf {
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.cache/tools").join(path);
    let file = std::env::var_os(variable).map_or(installed, PathBuf::from);
    let name = path.split('/').next().unwrap();
    assert!(file.exists(), "there is no {}. Run `tests/tools/install {name}`, or set {variable}", file.display());
    file
}

fn library() -> PathBuf {
    tool("onnxruntime/libonnxruntime.so.1.32.0", "ORT_DYLIB_PATH")
}

fn onnx_variant(version: u32, weight: u32) -> (VariantSnapshot, Vec<u8>) {
    let (native, _) = variant(version, weight, false, 0.25);
    let bytes = to_onnx(&model(0.25)).unwrap();
    (VariantSnapshot { artifact: sha256(&bytes), ..native }, bytes)
}

/// A process that serves the same model natively and by ONNX Runtime.
async fn both() -> Serving {
    let library = library();
    let mut serving = Serving::start_with(&["--onnxruntime".as_ref(), library.as_os_str()]).await;
    serving.add_endpoint();
    let (onnx, bytes) = onnx_variant(2, 50);
    serving.send(&ToServe::Artifact { digest: onnx.artifact.clone(), format: Format::Onnx }, &bytes).await;
    serving.endpoint().variants.insert("onnx".to_owned(), onnx);
    let (native, bytes) = variant(1, 50, false, 0.25);
    serving.send(&ToServe::Artifact { digest: native.artifact.clone(), format: Format::Native }, &bytes).await;
    serving.endpoint().variants.insert("native".to_owned(), native);
    assert_eq!(serving.publish().await, FromServe::Ready { generation: 1 });
    serving
}

#[tokio::test]
async fn onnx_runtime_answers_as_our_own_code_does() {
    let serving = both().await;
    let caller = serving.invoker();
    assert_eq!(caller.get("/v2/models/employed/versions/2").await.1["platform"], "onnx_onnxv1");
    for (age, sector) in [(18, "private"), (44, "public"), (90, "unheard-of"), (40, "")] {
        let mut answers = Vec::new();
        for version in [1, 2] {
            let path = format!("/v2/models/employed/versions/{version}/infer");
            let (status, answer) = caller.post(&path, &request("x", age, sector)).await;
            assert_eq!(status, 200, "{answer}");
            let outputs = answer["outputs"].as_array().unwrap();
            assert_eq!(outputs[0]["name"], "probability");
            answers.push((outputs[0]["data"][0].as_f64().unwrap(), outputs[1].clone()));
        }
        assert!((answers[0].0 - answers[1].0).abs() < 1e-12, "{age} {sector}: {answers:?}");
        assert_eq!(answers[0].1, answers[1].1);
    }
    let (status, answer) = caller.infer(&request("nul", 1, "a\0b")).await;
    let is_onnx = answer["parameters"]["variant"] != "native";
    assert!(status == 200 || (is_onnx && status == 400), "{status}: {answer}");
}

#[tokio::test]
async fn a_library_that_cannot_be_used_is_the_reason_that_is_given() {
    for (library, expected) in [("/nowhere/libonnxruntime.so", "no such file"), ("/bin/sh", "/bin/sh")] {
        let mut serving = Serving::start_with(&["--onnxruntime".as_ref(), library.as_ref()]).await;
        serving.add_endpoint();
        let (onnx, bytes) = onnx_variant(2, 100);
        serving.send(&ToServe::Artifact { digest: onnx.artifact.clone(), format: Format::Onnx }, &bytes).await;
        serving.endpoint().variants.insert("onnx".to_owned(), onnx);
        let event = serving.publish().await;
        let FromServe::Failed { reason, .. } = event else { panic!("{library}: {event:?}") };
        assert!(reason.contains(expected), "{reason}");
        // Models trained here are served all the same.
        serving.serve(&[("native", variant(1, 100, false, 0.0))]).await;
    }
}

#[tokio::test]
async fn an_unmodified_tritonclient_gets_answers_in_json_and_in_binary() {
    let serving = both().await;
    let leaf = serving.authority.leaf(&[INVOKER]);
    let directory = serving.captures.path();
    let authority = serving.authority.pem.clone();
    for (name, text) in [("ca.pem", &authority), ("cert.pem", &leaf.certificate_pem), ("key.pem", &leaf.key_pem)] {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/triton.py");
    let output = tokio::process::Command::new(tool("python/bin/python", "FALAJ_TEST_PYTHON"))
        .arg(script)
        .arg(serving.address.to_string())
        .current_dir(directory)
        .output()
        .await
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let scores: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let expected =
        [crate::harness::probability(23.0, "private", 0.25), crate::harness::probability(61.0, "public", 0.25)];
    assert_eq!(scores, json!({ "json": expected, "binary": expected, "label": [1, 1] }));
}
