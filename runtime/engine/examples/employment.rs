//! Trains on 2015 and measures on 2016 of the census employment data, per
//! algorithm, to put beside scikit-learn's figures (`employment.py`).
//!
//! Then compares 2015 with what came later, and with the people of 2018 who had
//! moved, by the default rules.
//!
//! `employment DIRECTORY [REPORTS]`: DIRECTORY holds the `employment_MA_*.pq`
//! of the Python wheel nannyml 0.13.1; drift reports are written to REPORTS.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch, RecordBatchReader};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use falaj_api::feature_store::DataType;
use falaj_api::model::{Algorithm, Evaluation, Mlp, Ridge, Split};
use falaj_api::monitor::{Drift, DriftReport, PerformanceFloor};
use falaj_engine::infer::{Data, Format, OnnxRuntime, Tensor, Tensors, load};
use falaj_engine::metrics::classification::Classification;
use falaj_engine::metrics::performance::performance;
use falaj_engine::model::artifact::to_safetensors;
use falaj_engine::model::{Model, Task};
use falaj_engine::onnx::to_onnx;
use falaj_engine::train::{Run, SCORE, Trained};
use falaj_engine::{drift, report};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const FEATURES: [&str; 16] = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR", "DEYE", "DREM", "SEX",
    "RAC1P",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).ok_or("which directory holds employment_MA_*.pq?")?;
    let directory = Path::new(&directory);
    let reference = read(&directory.join("employment_MA_reference.pq"))?;
    let later = read(&directory.join("employment_MA_analysis.pq"))?;
    let truth = read(&directory.join("employment_MA_analysis_target.pq"))?;
    let years = integers(&later, "year")?;
    let chosen: Vec<bool> = years.iter().map(|year| *year == 2016).collect();
    let labels: Vec<bool> =
        integers(&truth, "employed")?.iter().zip(&chosen).filter(|(_, c)| **c).map(|(l, _)| *l == 1).collect();
    let year_2016 = filter_record_batch(&later, &BooleanArray::from(chosen))?;
    let features = FEATURES.map(|name| {
        let data_type = if name == "AGEP" { DataType::Float64 } else { DataType::String };
        (name.to_owned(), data_type)
    });
    for algorithm in [Algorithm::Logistic(Ridge::default()), Algorithm::Mlp(Mlp::default())] {
        let started = Instant::now();
        let run = Run {
            batch: &reference,
            features: &features,
            label: "employed",
            event_time: None,
            protected: &[],
            algorithm: &algorithm,
            evaluation: &Evaluation { split: Split::Random, holdout_percent: 1.0 },
            seed: 7,
            threads: 2,
        };
        let trained = run.train(&())?;
        let seconds = started.elapsed().as_secs_f64();
        let scores = trained.model.score(&trained.model.encoder.encode(&year_2016)?);
        let measured = Classification::measure(&labels, &scores)?;
        println!(
            "{:9} trained in {seconds:.1} s; on 2016: auc {:.5} log_loss {:.5} accuracy {:.4} calibration_error {:.4}",
            algorithm.name(),
            measured.auc.unwrap_or(f64::NAN),
            measured.log_loss,
            measured.accuracy,
            measured.calibration_error,
        );
        single_rows(&trained.model, &year_2016)?;
        if algorithm.name() == "logistic" {
            compare(&trained, &features, &later, &truth)?;
        }
    }
    Ok(())
}

/// Microseconds for a row at a time, by our own code and, where
/// `ORT_DYLIB_PATH` names its library, by ONNX Runtime.
fn single_rows(model: &Model, rows: &RecordBatch) -> Result<(), Box<dyn std::error::Error>> {
    let mut sessions = vec![("our own code", load(Format::Safetensors, &to_safetensors(model)?, None, 1)?)];
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
        let runtime = OnnxRuntime::load(Path::new(&path))?;
        sessions.push(("ONNX Runtime", load(Format::Onnx, &to_onnx(model)?, Some(&runtime), 1)?));
    }
    let mut requests: Vec<Tensors> = vec![Vec::new(); 1_000];
    for name in FEATURES {
        let numbers = falaj_engine::column::numeric(rows, name);
        let texts = falaj_engine::column::text(rows, name)?;
        for (row, request) in requests.iter_mut().enumerate() {
            let data = match (&numbers, name) {
                (Ok(numbers), "AGEP") => Data::F64(numbers.get(row).copied().into_iter().collect()),
                _ => Data::Text(vec![texts.value(row).to_owned()]),
            };
            request.push((name.to_owned(), Tensor::column(data)));
        }
    }
    for (name, session) in sessions {
        let mut best = f64::INFINITY;
        for _ in 0..10 {
            let started = Instant::now();
            for request in &requests {
                session.run(request)?;
            }
            best = best.min(started.elapsed().as_secs_f64() * 1e6 / requests.len() as f64);
        }
        println!("          {name}: {best:.1} microseconds for a single row");
    }
    Ok(())
}

/// The two acts of the quickstart.
fn compare(
    trained: &Trained,
    features: &[(String, DataType)],
    later: &RecordBatch,
    truth: &RecordBatch,
) -> Result<(), Box<dyn std::error::Error>> {
    let labels: Vec<f64> = integers(truth, "employed")?.iter().map(|label| *label as f64).collect();
    let scores = trained.model.score(&trained.model.encoder.encode(later)?);
    let moved = falaj_engine::column::text(later, "MIG")?;
    let year = integers(later, "year")?;
    let act_2: Vec<bool> = year.iter().zip(moved.iter()).map(|(year, m)| *year == 2018 && m != Some("1")).collect();
    for (name, chosen) in [("2016 to 2018", vec![true; year.len()]), ("2018, moved", act_2)] {
        let pick = |values: &[f64]| -> Vec<f64> {
            values.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(value, _)| *value).collect()
        };
        let (labels, scores) = (pick(&labels), pick(&scores));
        let rows = filter_record_batch(later, &BooleanArray::from(chosen.clone()))?;
        let schema = rows.schema();
        let columns = schema.fields().iter().map(|f| f.name().clone()).zip(rows.columns().iter().cloned());
        let scored: ArrayRef = std::sync::Arc::new(Float64Array::from(scores.clone()));
        let current = RecordBatch::try_from_iter(columns.chain([(SCORE.to_owned(), scored)]))?;
        let started = Instant::now();
        let outcome = drift::compare::compare(&trained.baseline, &current, features, &Drift::default())?;
        let seconds = started.elapsed().as_secs_f64();
        let auc = trained.metrics.get("auc").copied().unwrap_or_default();
        let floor = PerformanceFloor { metric: "auc".to_owned(), min: 0.78 };
        let performance = performance(Task::Classification, "auc", auc, Some(&floor), &labels, &scores)?;
        let summary = report::summary(&outcome, performance.as_ref());
        println!("{name}: {} rows, {seconds:.2} s: {summary}", current.num_rows());
        if let Some(directory) = std::env::args().nth(2) {
            let report = DriftReport {
                id: "example".to_owned(),
                monitor: "employed".to_owned(),
                endpoint: "employed".to_owned(),
                model: "employed".to_owned(),
                model_version: 1,
                at: "2026-11-24T13:00:00Z".parse()?,
                from: "2026-11-23T13:00:00Z".parse()?,
                until: "2026-11-24T13:00:00Z".parse()?,
                verdict: outcome.verdict,
                summary,
                rows_baseline: outcome.rows_baseline,
                rows_current: outcome.rows_current,
                features: outcome.features,
                prediction: outcome.prediction,
                performance,
            };
            let file = Path::new(&directory).join(format!("{}.html", name.replace([' ', ','], "-")));
            std::fs::write(file, report::html(&report))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<RecordBatch, Box<dyn std::error::Error>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.build()?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, Box<dyn std::error::Error>> {
    let column: ArrayRef = cast(batch.column_by_name(name).ok_or(name)?, &ArrowType::Int64)?;
    assert_eq!(column.null_count(), 0);
    Ok(column.as_primitive::<Int64Type>().values().to_vec())
}
