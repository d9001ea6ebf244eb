//! A trained model gives the same answers by our own code, by ONNX Runtime
//! here, and by ONNX Runtime in Python.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use falaj_engine::infer::{Data, Format, Session, Tensor, Tensors, load};
use falaj_engine::model::artifact::to_safetensors;
use falaj_engine::model::{LABEL, Model, PREDICTION, PROBABILITY};
use falaj_engine::onnx::to_onnx;

use support::{linear, logistic, mlp, onnx_runtime, people, python, train};

/// Known and unknown categories, missing values, and ordinary ones.
fn requests() -> Tensors {
    let text = |values: [&str; 6]| Data::Text(values.map(str::to_owned).into());
    let columns = [
        ("plan", text(["1", "4", "", "9", "0", "2"])),
        ("city", text(["dubai", "atlantis", "", "al ain", "abu dhabi", "dubai"])),
        ("member", Data::Bool(vec![true, false, true, false, true, false])),
        ("income", Data::F64(vec![52_000.0, f64::NAN, 0.0, 1e9, 39_000.5, 12.0])),
        ("age", Data::I64(vec![44, 18, 87, -5, 33, 60])),
    ];
    columns.map(|(name, data)| (name.to_owned(), Tensor::column(data))).into()
}

fn models() -> Vec<(&'static str, Model)> {
    let batch = people(1_000);
    let model = |label, algorithm| train(&batch, label, &algorithm, 2).model;
    vec![
        (PROBABILITY, model("label", logistic())),
        (PREDICTION, model("amount", linear())),
        (PROBABILITY, model("label", mlp(2))),
        (PREDICTION, model("amount", mlp(2))),
    ]
}

fn both(model: &Model) -> [std::sync::Arc<dyn Session>; 2] {
    let runtime = onnx_runtime();
    [
        load(Format::Safetensors, &to_safetensors(model).unwrap(), None, 1).unwrap(),
        load(Format::Onnx, &to_onnx(model).unwrap(), Some(&runtime), 2).unwrap(),
    ]
}

fn output(outputs: &Tensors, name: &str) -> Vec<f64> {
    let (_, tensor) = outputs.iter().find(|(n, _)| n == name).expect("the output is there");
    assert_eq!(tensor.shape(), [6, 1]);
    tensor.data().to_doubles().expect("numbers")
}

#[test]
fn our_own_code_and_onnx_runtime_give_the_same_scores() {
    for (name, model) in models() {
        let [ours, theirs] = both(&model).map(|session| session.run(&requests()).unwrap());
        let (ours_scores, theirs_scores) = (output(&ours, name), output(&theirs, name));
        for (a, b) in ours_scores.iter().zip(&theirs_scores) {
            // 1e9 makes large sums; what is left is the rounding of doubles.
            assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{name}: {a} is not {b}");
            assert!(a.is_finite());
        }
        if name == PROBABILITY {
            assert_eq!(output(&ours, LABEL), output(&theirs, LABEL));
            let by_hand = ours_scores.iter().map(|p| if *p >= 0.5 { 1.0 } else { 0.0 });
            assert_eq!(output(&ours, LABEL), by_hand.collect::<Vec<_>>());
        }
    }
}

#[test]
fn both_sessions_have_the_same_signature_but_for_declared_types() {
    for (_, model) in models() {
        let [ours, theirs] = both(&model).map(|session| {
            let mut signature = session.signature().clone();
            signature.inputs.iter_mut().for_each(|input| input.feature_type = None);
            signature
        });
        assert_eq!(ours, theirs);
        assert_eq!(ours.inputs.len(), 5);
    }
}

#[test]
fn inputs_that_do_not_fit_are_named_and_the_callers_fault() {
    let (_, model) = models().swap_remove(0);
    for session in both(&model) {
        let refused = |change: fn(&mut Tensors), words: &str| {
            let mut inputs = requests();
            change(&mut inputs);
            let error = session.run(&inputs).unwrap_err();
            assert!(matches!(error, falaj_engine::Error::Input { .. }), "{error:?}");
            assert!(error.to_string().contains(words), "{error} has no {words:?}");
        };
        refused(|inputs| drop(inputs.pop()), "\"age\": missing");
        refused(|inputs| inputs[4].0 = "agee".to_owned(), "\"agee\": the model has no such input");
        refused(|inputs| inputs.push(inputs[0].clone()), "\"plan\": given twice");
        refused(|inputs| inputs[3].1 = Tensor::column(Data::Text(vec![String::new(); 6])), "FP64");
        refused(|inputs| inputs[2].1 = Tensor::column(Data::F64(vec![1.0; 6])), "BOOL");
        let flat = |inputs: &mut Tensors| inputs[3].1 = Tensor::new("", vec![6], Data::F64(vec![1.0; 6])).unwrap();
        refused(flat, "[6]");
    }
}

#[test]
fn rows_may_come_in_batches_of_any_size() {
    let (_, model) = models().swap_remove(2);
    for session in both(&model) {
        let whole = output(&session.run(&requests()).unwrap(), PROBABILITY);
        for (row, expected) in whole.iter().enumerate() {
            let one = session.run(&nth(&requests(), row)).unwrap();
            let score = one[0].1.data().to_doubles().unwrap();
            assert!((score[0] - expected).abs() < 1e-12);
        }
    }
}

fn nth(inputs: &Tensors, row: usize) -> Tensors {
    let pick = |data: &Data| match data {
        Data::F64(values) => Data::F64(vec![values[row]]),
        Data::I64(values) => Data::I64(vec![values[row]]),
        Data::Bool(values) => Data::Bool(vec![values[row]]),
        Data::Text(values) => Data::Text(vec![values[row].clone()]),
        other => panic!("{other:?} is not in the requests"),
    };
    inputs.iter().map(|(name, tensor)| (name.clone(), Tensor::column(pick(tensor.data())))).collect()
}

#[test]
fn many_threads_share_a_model() {
    let (_, model) = models().swap_remove(0);
    for session in both(&model) {
        let expected = session.run(&requests()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert_eq!(session.run(&requests()).unwrap(), expected);
                    }
                });
            }
        });
    }
}

#[test]
fn bytes_that_are_no_model_are_refused_by_either() {
    let runtime = onnx_runtime();
    assert!(load(Format::Onnx, b"no model", Some(&runtime), 1).is_err());
    assert!(load(Format::Safetensors, b"no model", None, 1).is_err());
    assert!(load(Format::Onnx, &[], Some(&runtime), 1).is_err());
}

#[test]
fn onnx_runtime_in_python_gives_the_same_scores() {
    let python = python();
    for (name, model) in models() {
        let mut child = Command::new(&python)
            .args(["-c", SCORE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        child.stdin.take().unwrap().write_all(&to_onnx(&model).unwrap()).unwrap();
        let output_of_python = child.wait_with_output().unwrap();
        assert!(output_of_python.status.success());
        let theirs: Vec<f64> = serde_json::from_slice(&output_of_python.stdout).unwrap();
        let [ours, _] = both(&model);
        let ours = output(&ours.run(&requests()).unwrap(), name);
        assert_eq!(ours.len(), theirs.len());
        for (a, b) in ours.iter().zip(&theirs) {
            assert!((a - b).abs() <= 1e-9 * a.abs().max(1.0), "{name}: {a} is not {b}");
        }
    }
}

#[test]
fn a_foreign_model_with_a_matrix_of_floats_is_served_as_it_is() {
    let session = load(Format::Onnx, include_bytes!("data/foreign.onnx"), Some(&onnx_runtime()), 1).unwrap();
    let input = &session.signature().inputs[0];
    assert_eq!(
        (input.name.as_str(), input.datatype.as_str(), input.shape.as_slice()),
        ("features", "FP32", &[-1, 3][..])
    );
    let rows = Data::F64(vec![1.0, 2.0, 3.0, 0.0, 0.0, 1.0]);
    let inputs = vec![("features".to_owned(), Tensor::new("features", vec![2, 3], rows).unwrap())];
    let outputs = session.run(&inputs).unwrap();
    assert_eq!(outputs[0].0, "scores");
    assert_eq!(outputs[0].1, Tensor::new("", vec![2, 2], Data::F32(vec![2.25, 11.75, 0.25, 2.75])).unwrap());
    let narrow = vec![("features".to_owned(), Tensor::new("", vec![1, 2], Data::F32(vec![1.0, 2.0])).unwrap())];
    let error = session.run(&narrow).unwrap_err().to_string();
    assert!(error.contains("[1, 2]") && error.contains("[-1, 3]"), "{error}");
}

#[test]
fn a_model_whose_output_no_reply_can_carry_is_refused_when_it_is_loaded() {
    let error = load(Format::Onnx, include_bytes!("data/zipmap.onnx"), Some(&onnx_runtime()), 1).err().unwrap();
    assert!(error.to_string().contains("zipmap=False"), "{error}");
}

/// The same requests, and the first output of the model on standard input.
const SCORE: &str = r#"
import json, sys
import numpy as np, onnxruntime
column = lambda values, kind: np.array(values, dtype=kind).reshape(-1, 1)
session = onnxruntime.InferenceSession(sys.stdin.buffer.read(), providers=["CPUExecutionProvider"])
scores = session.run(None, {
    "plan": column(["1", "4", "", "9", "0", "2"], object),
    "city": column(["dubai", "atlantis", "", "al ain", "abu dhabi", "dubai"], object),
    "member": column([True, False, True, False, True, False], bool),
    "income": column([52000.0, float("nan"), 0.0, 1e9, 39000.5, 12.0], np.float64),
    "age": column([44, 18, 87, -5, 33, 60], np.float64),
})[0]
print(json.dumps(scores.ravel().tolist()))
"#;
