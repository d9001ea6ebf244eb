//! Trains on 2015 and measures on 2016 of the census employment data, per
//! algorithm, to put beside scikit-learn's figures (`employment.py`).
//!
//! The three files are in the Python wheel nannyml 0.13.1:
//! `employment DIRECTORY` where DIRECTORY holds `employment_MA_*.pq`.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchReader};
use arrow::compute::{cast, concat_batches, filter_record_batch};
use arrow::datatypes::{DataType as ArrowType, Int64Type};
use falaj_api::feature_store::DataType;
use falaj_api::model::{Algorithm, Evaluation, Mlp, Ridge, Split};
use falaj_engine::metrics::classification::Classification;
use falaj_engine::train::Run;
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
