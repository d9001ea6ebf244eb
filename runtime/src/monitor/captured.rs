//! What an endpoint saw, from its sealed captures.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch},
    compute::{concat_batches, filter_record_batch},
    datatypes::{Field, Float64Type, Schema, TimestampMicrosecondType, UInt32Type},
};
use falaj_store::FileKey;
use jiff::Timestamp;

use crate::serve::capture::{self, Captured, Outcome};

/// Which answers are looked at.
pub struct Wanted {
    pub endpoint: String,
    pub variant: String,
    pub model_version: u32,
    pub from: Timestamp,
    pub until: Timestamp,
    /// The model's inputs.
    pub inputs: Vec<String>,
    /// The model's output that is compared: a probability or a prediction.
    pub output: String,
}

/// One row per answer: the inputs, and the score under [`SCORE`]; with the
/// label, where one has come back.
pub struct Seen {
    pub rows: Option<RecordBatch>,
    pub labels: Vec<Option<f64>>,
}

/// The column of the model's answer.
pub const SCORE: &str = falaj_engine::train::SCORE;

/// Reads every segment that may hold what is wanted.
///
/// # Errors
/// A segment was altered, or cannot be read.
pub fn read(directory: &Path, key: &FileKey, wanted: &Wanted) -> Result<Seen> {
    let mut batches = Vec::new();
    let mut keys = Vec::new();
    let mut outcomes: HashMap<(String, u32), f64> = HashMap::new();
    for path in segments(directory, wanted.from)? {
        let captured = capture::open(&path, key, &wanted.endpoint)
            .with_context(|| format!("the capture segment {} cannot be read", path.display()))?;
        for Outcome { request_id, row, label, .. } in &captured.outcomes {
            outcomes.insert((request_id.clone(), *row), *label);
        }
        if let Some((batch, answered)) = select(&captured, wanted)? {
            batches.push(batch);
            keys.extend(answered);
        }
    }
    let labels = keys.into_iter().map(|answered| outcomes.get(&answered).copied()).collect();
    let rows = match batches.first() {
        Some(first) => Some(concat_batches(&first.schema(), &batches)?),
        None => None,
    };
    Ok(Seen { rows, labels })
}

/// The segments that were closed after `from`: those before hold nothing newer.
fn segments(directory: &Path, from: Timestamp) -> Result<Vec<PathBuf>> {
    let from = SystemTime::from(from).checked_sub(Duration::from_secs(1)).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(directory) else { return Ok(Vec::new()) };
    for entry in entries {
        let entry = entry?;
        let closed = entry.metadata()?.modified()?;
        if closed >= from && !entry.file_name().to_string_lossy().starts_with('.') {
            found.insert((closed, entry.file_name()), entry.path());
        }
    }
    Ok(found.into_values().collect())
}

type Answered = Vec<(String, u32)>;

/// The wanted rows of one segment, and the request and row that each answers.
fn select(captured: &Captured, wanted: &Wanted) -> Result<Option<(RecordBatch, Answered)>> {
    let all = &captured.predictions;
    let column = |name: &str| all.column_by_name(name).with_context(|| format!("a segment has no column {name:?}"));
    let times = column("at")?.as_primitive_opt::<TimestampMicrosecondType>().context("the column \"at\"")?.clone();
    let versions =
        column("model_version")?.as_primitive_opt::<UInt32Type>().context("the column \"model_version\"")?.clone();
    let variants = arrow::compute::cast(column("variant")?, &arrow::datatypes::DataType::Utf8)?;
    let variants = variants.as_string::<i32>();
    let (from, until) = (wanted.from.as_microsecond(), wanted.until.as_microsecond());
    let keep: BooleanArray = (0..all.num_rows())
        .map(|row| {
            let at = times.value(row);
            Some(
                at >= from
                    && at < until
                    && versions.value(row) == wanted.model_version
                    && variants.value(row) == wanted.variant,
            )
        })
        .collect();
    if keep.true_count() == 0 {
        return Ok(None);
    }
    let kept = filter_record_batch(all, &keep)?;
    let ids = arrow::compute::cast(
        kept.column_by_name("request_id").context("request_id")?,
        &arrow::datatypes::DataType::Utf8,
    )?;
    let rows = kept.column_by_name("row").context("row")?.as_primitive_opt::<UInt32Type>().context("row")?.clone();
    let answered = ids.as_string::<i32>().iter().zip(rows.iter());
    let answered = answered.map(|(id, row)| (id.unwrap_or_default().to_owned(), row.unwrap_or_default())).collect();

    let kept = Captured { predictions: kept, outcomes: Vec::new() };
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for name in &wanted.inputs {
        let values = kept.input(name).with_context(|| format!("a segment has no input {name:?}"))?;
        fields.push(Field::new(name, values.data_type().clone(), true));
        columns.push(values.clone());
    }
    let scores = kept.output(&wanted.output).with_context(|| format!("a segment has no output {:?}", wanted.output))?;
    let scores = arrow::compute::cast(scores, &arrow::datatypes::DataType::Float64)?;
    let scores: Float64Array = scores.as_primitive::<Float64Type>().clone();
    fields.push(Field::new(SCORE, scores.data_type().clone(), true));
    columns.push(Arc::new(scores));
    Ok(Some((RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?, answered)))
}
