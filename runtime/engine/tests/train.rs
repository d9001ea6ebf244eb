//! Training: against scikit-learn, and alike on any number of threads.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use falaj_api::feature_store::DataType;
use falaj_api::model::{Algorithm, Evaluation, Ridge, Split};
use falaj_engine::model::artifact::{from_safetensors, to_safetensors};
use falaj_engine::onnx::to_onnx;
use falaj_engine::train::{HELD_OUT, LABEL, Observer, Run, SCORE};
use falaj_engine::{Error, random::Stream};
use serde::Deserialize;

use support::{features, linear, logistic, mlp, people, train};

#[derive(Deserialize)]
struct Case {
    l2: f64,
    x1: Vec<f64>,
    x2: Vec<Option<f64>>,
    colour: Vec<String>,
    label: Vec<i64>,
    amount: Vec<f64>,
    probabilities: Vec<f64>,
    predictions: Vec<f64>,
}

#[test]
fn ridge_regressions_find_the_same_scores_as_scikit_learn() {
    let case: Case = serde_json::from_str(include_str!("data/train.json")).unwrap();
    let rows = case.x1.len();
    let ridge = Ridge { l2: case.l2, ..Ridge::default() };
    let features = [("x1", DataType::Float64), ("x2", DataType::Float64), ("colour", DataType::String)]
        .map(|(name, data_type)| (name.to_owned(), data_type));
    let batch = RecordBatch::try_from_iter([
        ("x1", Arc::new(Float64Array::from(case.x1)) as ArrayRef),
        ("x2", Arc::new(Float64Array::from(case.x2))),
        ("colour", Arc::new(StringArray::from(case.colour))),
        ("label", Arc::new(Int64Array::from(case.label))),
        ("amount", Arc::new(Float64Array::from(case.amount))),
    ])
    .unwrap();
    for (label, algorithm, expected) in [
        ("label", Algorithm::Logistic(ridge.clone()), &case.probabilities),
        ("amount", Algorithm::Linear(ridge), &case.predictions),
    ] {
        // The cases were fitted on every row: put as many behind, to hold out.
        let doubled = arrow::compute::concat_batches(&batch.schema(), [&batch, &batch]).unwrap();
        let times: ArrayRef =
            Arc::new(arrow::array::TimestampSecondArray::from_iter_values((0..2 * rows).map(|i| (i >= rows) as i64)));
        let doubled = with_column(&doubled, "at", times);
        let run = Run {
            batch: &doubled,
            features: &features,
            label,
            event_time: Some("at"),
            protected: &[],
            algorithm: &algorithm,
            evaluation: &Evaluation { split: Split::Time, holdout_percent: 50.0 },
            seed: 1,
            threads: 2,
        };
        let trained = run.train(&()).unwrap();
        let scores = trained.model.score(&trained.model.encoder.encode(&batch).unwrap());
        for (ours, theirs) in scores.iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-6, "{label}: {ours} is not {theirs}");
        }
    }
}

fn with_column(batch: &RecordBatch, name: &str, values: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema.fields().iter().map(|f| f.name().clone()).zip(batch.columns().iter().cloned());
    RecordBatch::try_from_iter(columns.chain([(name.to_owned(), values)])).unwrap()
}

/// Digests of every artifact of every algorithm with this many threads.
fn digests(threads: usize) -> String {
    let batch = people(1_500);
    let mut lines = Vec::new();
    for (label, algorithm) in [("label", logistic()), ("amount", linear()), ("label", mlp(3)), ("amount", mlp(3))] {
        let model = train(&batch, label, &algorithm, threads).model;
        for bytes in [to_safetensors(&model).unwrap(), to_onnx(&model).unwrap()] {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
            lines.push(format!("{} {label} {}", algorithm.name(), hex::encode(digest)));
        }
    }
    lines.join("\n")
}

/// Not a test of its own: what the next one starts with other settings.
#[test]
fn digests_for_the_test_of_threads() {
    let threads = std::env::var("FALAJ_TEST_THREADS").ok().and_then(|t| t.parse().ok()).unwrap_or(1);
    println!("<<{}>>", digests(threads));
}

#[test]
fn one_two_and_four_threads_give_the_same_bytes() {
    let with = |threads: usize| {
        // The tensor library reads its number of threads when it starts.
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["digests_for_the_test_of_threads", "--exact", "--nocapture"])
            .env("FALAJ_TEST_THREADS", threads.to_string())
            .env("RAYON_NUM_THREADS", threads.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (_, rest) = text.split_once("<<").expect("digests are printed");
        rest.split_once(">>").expect("digests are printed").0.to_owned()
    };
    let one = with(1);
    assert_eq!(one.lines().count(), 8);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
}

#[test]
fn another_seed_gives_another_perceptron() {
    let batch = people(300);
    let bytes = |seed| {
        let features = features();
        let run = Run {
            batch: &batch,
            features: &features,
            label: "label",
            event_time: None,
            protected: &[],
            algorithm: &mlp(1),
            evaluation: &Evaluation { split: Split::Random, holdout_percent: 25.0 },
            seed,
            threads: 1,
        };
        to_safetensors(&run.train(&()).unwrap().model).unwrap()
    };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn the_perceptron_learns_what_a_straight_line_cannot() {
    let batch = people(4_000);
    let straight = train(&batch, "label", &logistic(), 2).metrics;
    let bent = train(&batch, "label", &mlp(15), 2).metrics;
    assert!(straight["auc"] < 0.80, "{straight:?}");
    assert!(bent["auc"] > 0.93, "{bent:?}");
    assert_eq!(bent["rows_held_out"], 800.0);
    let straight = train(&batch, "amount", &linear(), 2).metrics;
    let bent = train(&batch, "amount", &mlp(15), 2).metrics;
    assert!(bent["r2"] > straight["r2"] + 0.3 && bent["r2"] < 1.0, "{bent:?} {straight:?}");
}

#[test]
fn a_split_by_time_holds_out_the_latest_rows() {
    let trained = train(&people(500), "label", &logistic(), 1);
    let held_out = trained.baseline.column_by_name(HELD_OUT).unwrap().as_boolean();
    let rows: Vec<usize> = (0..500).filter(|row| held_out.value(*row)).collect();
    assert_eq!(rows, (400..500).collect::<Vec<_>>());
}

#[test]
fn the_baseline_holds_features_scores_and_labels() {
    let batch = people(500);
    let trained = train(&batch, "label", &logistic(), 1);
    let baseline = trained.baseline;
    assert_eq!(baseline.column_by_name("age"), batch.column_by_name("age"));
    let scores = baseline.column_by_name(SCORE).unwrap().as_primitive::<Float64Type>();
    let again = trained.model.score(&trained.model.encoder.encode(&baseline).unwrap());
    assert_eq!(scores.values().to_vec(), again);
    assert_eq!(baseline.column_by_name(LABEL).unwrap().null_count(), 0);
    assert_eq!(trained.fairness["sex"].selection_rates.len(), 2);
}

#[test]
fn a_model_survives_its_artifact_and_a_damaged_one_is_refused() {
    let model = train(&people(300), "label", &mlp(1), 1).model;
    let bytes = to_safetensors(&model).unwrap();
    assert!(from_safetensors(&bytes).unwrap() == model, "a weight or a name came back changed");
    for cut in [0, 7, 100, bytes.len() - 1] {
        assert!(matches!(from_safetensors(&bytes[..cut]), Err(Error::Artifact(_))), "cut at {cut}");
    }
    let mut random = Stream::new(3, 0);
    for _ in 0..500 {
        let mut damaged = bytes.clone();
        let at = random.below(1_000) as usize;
        damaged[at] ^= 1 << random.below(8);
        // Some flips only change a number: whatever comes back must be whole.
        if let Ok(model) = from_safetensors(&damaged) {
            model.check().unwrap();
        }
    }
}

#[test]
fn neither_a_protected_column_nor_the_label_is_ever_an_input() {
    let batch = people(100);
    let refused = |name: &str| {
        let mut features = features();
        features.push((name.to_owned(), DataType::String));
        let run = Run {
            batch: &batch,
            features: &features,
            label: "amount",
            event_time: Some("at"),
            protected: &["sex".to_owned()],
            algorithm: &linear(),
            evaluation: &Evaluation::default(),
            seed: 7,
            threads: 1,
        };
        run.train(&()).unwrap_err().to_string()
    };
    assert!(refused("sex").contains("\"sex\" is protected"), "{}", refused("sex"));
    assert!(refused("amount").contains("\"amount\" is the label"), "{}", refused("amount"));
    assert!(refused("probability").contains("give the feature another"), "{}", refused("probability"));
}

#[test]
fn categories_too_many_to_solve_for_are_refused_with_advice() {
    let mut random = Stream::new(1, 0);
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for feature in 0..6 {
        let codes: Int64Array = (0..3_000).map(|_| random.below(900) as i64).collect();
        columns.push((format!("code{feature}"), Arc::new(codes)));
    }
    let features: Vec<_> = columns.iter().map(|(name, _)| (name.clone(), DataType::String)).collect();
    columns.push(("y".to_owned(), Arc::new((0..3_000).map(|i| i % 2).collect::<Int64Array>())));
    let run = Run {
        batch: &RecordBatch::try_from_iter(columns).unwrap(),
        features: &features,
        label: "y",
        event_time: None,
        protected: &[],
        algorithm: &logistic(),
        evaluation: &Evaluation { split: Split::Random, holdout_percent: 10.0 },
        seed: 7,
        threads: 1,
    };
    let error = run.train(&()).unwrap_err().to_string();
    assert!(error.contains("use mlp"), "{error}");
}

#[test]
fn labels_that_do_not_suit_the_algorithm_are_refused_with_advice() {
    let batch = people(100);
    let features = features();
    let run = |label| {
        Run {
            batch: &batch,
            features: &features,
            label,
            event_time: Some("at"),
            protected: &[],
            algorithm: &Algorithm::Logistic(Ridge { l2: 1e-4, max_iterations: 10 }),
            evaluation: &Evaluation { split: Split::Time, holdout_percent: 20.0 },
            seed: 7,
            threads: 1,
        }
        .train(&())
        .unwrap_err()
        .to_string()
    };
    assert!(run("amount").contains("use linear"), "{}", run("amount"));
    assert!(run("sex").contains("a number or a boolean"), "{}", run("sex"));
    assert!(run("nothing").contains("the columns present are age, income"), "{}", run("nothing"));
}

#[test]
fn a_run_stops_soon_after_it_is_cancelled() {
    struct Impatient(AtomicBool);
    impl Observer for Impatient {
        fn progress(&self, done: f64, _: &str) {
            assert!(done < 0.95, "it went on to the end");
            if done > 0.1 {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        fn cancelled(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
    let batch = people(200);
    let features = features();
    for algorithm in [logistic(), mlp(1_000)] {
        let run = Run {
            batch: &batch,
            features: &features,
            label: "label",
            event_time: Some("at"),
            protected: &[],
            algorithm: &algorithm,
            evaluation: &Evaluation::default(),
            seed: 7,
            threads: 2,
        };
        let result = run.train(&Impatient(AtomicBool::new(false)));
        assert!(matches!(result, Err(Error::Cancelled)), "{}", algorithm.name());
    }
}
