//! What several test files share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use falaj_api::feature_store::DataType;
use falaj_api::model::{Algorithm, Evaluation, Mlp, Ridge, Split};
use falaj_engine::infer::OnnxRuntime;
use falaj_engine::random::Stream;
use falaj_engine::train::{Run, Trained};

/// The ONNX Runtime library of this machine.
pub fn onnx_runtime() -> OnnxRuntime {
    let installed =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tools/onnxruntime/libonnxruntime.so.1.32.0");
    let path = std::env::var_os("ORT_DYLIB_PATH").map_or(installed, PathBuf::from);
    OnnxRuntime::load(&path).unwrap_or_else(|error| {
        panic!(
            "{error}. Run `tests/tools/install onnxruntime`, or set ORT_DYLIB_PATH to the library in the Python wheel \
             onnxruntime 1.32.0"
        )
    })
}

/// A Python with onnxruntime and numpy.
pub fn python() -> PathBuf {
    let installed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.cache/tools/python/bin/python");
    let python = std::env::var_os("FALAJ_TEST_PYTHON").map_or(installed, PathBuf::from);
    assert!(
        python.exists(),
        "there is no {}. Run `tests/tools/install python`, or set FALAJ_TEST_PYTHON to a Python with onnxruntime",
        python.display()
    );
    python
}

/// The features of [`people`].
pub fn features() -> Vec<(String, DataType)> {
    [
        ("age", DataType::Int64),
        ("income", DataType::Float64),
        ("member", DataType::Bool),
        ("city", DataType::String),
        ("plan", DataType::String),
    ]
    .map(|(name, data_type)| (name.to_owned(), data_type))
    .into()
}

/// Made-up people: numbers with gaps, a flag, two categories (one of codes),
/// a label that follows from them in a way no straight line can, an amount,
/// a protected column and times.
pub fn people(rows: usize) -> RecordBatch {
    let mut random = Stream::new(11, 99);
    let mut age = Vec::new();
    let mut income = Vec::new();
    let mut member = Vec::new();
    let mut city = Vec::new();
    let mut plan = Vec::new();
    let mut label = Vec::new();
    let mut amount = Vec::new();
    for _ in 0..rows {
        let years = 18 + random.below(70) as i64;
        let earned = (random.unit() * 90_000.0).round();
        let is_member = random.below(3) == 0;
        let place = ["dubai", "al ain", "", "abu dhabi"][random.below(4) as usize];
        let number = random.below(5) as i64;
        let middle_aged = (30..60).contains(&years) == (earned > 40_000.0);
        let score = if middle_aged { 2.0 } else { -2.0 } + if place == "dubai" { 1.0 } else { 0.0 };
        let noise = random.unit() * 2.0 - 1.0;
        age.push(years);
        income.push((random.below(10) > 0).then_some(earned));
        member.push(is_member);
        city.push((!place.is_empty()).then_some(place));
        plan.push(number);
        label.push(i64::from(score + noise > 0.5));
        amount.push(score * 10.0 + number as f64 + noise);
    }
    let sex = (0..rows).map(|i| if i % 2 == 0 { "f" } else { "m" });
    let at: Vec<i64> = (0..rows as i64).map(|i| i * 1_000_000).collect();
    RecordBatch::try_from_iter([
        ("age", Arc::new(Int64Array::from(age)) as ArrayRef),
        ("income", Arc::new(Float64Array::from(income))),
        ("member", Arc::new(BooleanArray::from(member))),
        ("city", Arc::new(StringArray::from(city))),
        ("plan", Arc::new(Int64Array::from(plan))),
        ("label", Arc::new(Int64Array::from(label))),
        ("amount", Arc::new(Float64Array::from(amount))),
        ("sex", Arc::new(StringArray::from_iter_values(sex))),
        ("at", Arc::new(TimestampMicrosecondArray::from(at))),
    ])
    .unwrap()
}

pub fn logistic() -> Algorithm {
    Algorithm::Logistic(Ridge::default())
}

pub fn linear() -> Algorithm {
    Algorithm::Linear(Ridge::default())
}

pub fn mlp(epochs: u32) -> Algorithm {
    Algorithm::Mlp(Mlp { epochs, learning_rate: 5e-3, dropout: 0.05, ..Mlp::default() })
}

/// Trains on people, holding out the latest fifth.
pub fn train(batch: &RecordBatch, label: &str, algorithm: &Algorithm, threads: usize) -> Trained {
    let features = features();
    let run = Run {
        batch,
        features: &features,
        label,
        event_time: Some("at"),
        protected: &["sex".to_owned()],
        algorithm,
        evaluation: &Evaluation { split: Split::Time, holdout_percent: 20.0 },
        seed: 7,
        threads,
    };
    run.train(&()).unwrap()
}
