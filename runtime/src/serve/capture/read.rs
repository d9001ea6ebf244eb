//! Reading segments back, for the monitor.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, Schema, TimestampMicrosecondType, UInt32Type};
use arrow::ipc::reader::StreamReader;
use falaj_store::StoreError;
use falaj_store::keys::FileKey;
use falaj_store::sealed::file::Reader;

use super::{context, segment::OWN};

/// What one segment holds.
#[derive(Debug, Clone)]
pub struct Captured {
    /// One row per row of a request and variant that answered it, shadows too:
    /// `request_id`, `row` (within the request), `at`, `variant`,
    /// `model_version`, `shadow`, then a column per input and per output of the
    /// model. Missing values, and tensors a variant does not have, are null.
    pub predictions: RecordBatch,
    pub outcomes: Vec<Outcome>,
}

/// What turned out to be true about one row of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub request_id: String,
    pub row: u32,
    pub label: f64,
    /// When it was reported, microseconds since 1970.
    pub at_micros: i64,
}

/// Why a segment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the capture segment could not be opened")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Sealed(#[from] StoreError),
    #[error("the capture segment is not what this release writes: {0}")]
    Content(#[from] arrow::error::ArrowError),
}

impl Captured {
    /// The values of the model's input of this name, with one value per row.
    pub fn input(&self, name: &str) -> Option<&ArrayRef> {
        let hidden = OWN.contains(&name).then(|| format!("input.{name}"));
        self.predictions.column_by_name(hidden.as_deref().unwrap_or(name))
    }

    /// The values of the model's output of this name, with one value per row.
    pub fn output(&self, name: &str) -> Option<&ArrayRef> {
        let marked = self.predictions.column_by_name(&format!("output.{name}"));
        marked.or_else(|| self.predictions.column_by_name(name))
    }
}

/// Opens a segment's file and reads all of it.
///
/// # Errors
/// If the file is not there, is not authentic under this key, is another
/// endpoint's or was renamed, or holds something else.
pub fn open(path: &Path, key: &FileKey, endpoint: &str) -> Result<Captured, ReadError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let reader = Reader::open(File::open(path)?, name.clone(), key, &context(endpoint), name.as_bytes())?;
    read(&reader.read_all()?)
}

/// Reads the plain bytes of a segment.
///
/// # Errors
/// If they are not a segment's.
pub fn read(plaintext: &[u8]) -> Result<Captured, ReadError> {
    let mut rest = plaintext;
    let predictions = stream(&mut rest)?;
    let outcomes = stream(&mut rest)?;
    let expected = |what: &str| arrow::error::ArrowError::SchemaError(format!("the outcomes have no {what}"));
    let column = |name: &str| outcomes.column_by_name(name).ok_or_else(|| expected(name));
    let ids = column("request_id")?.as_string_opt::<i32>().ok_or_else(|| expected("text ids"))?;
    let rows = column("row")?.as_primitive_opt::<UInt32Type>().ok_or_else(|| expected("row numbers"))?;
    let labels = column("label")?.as_primitive_opt::<Float64Type>().ok_or_else(|| expected("numeric labels"))?;
    let at = column("at")?.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| expected("times"))?;
    let outcomes = (0..ids.len()).map(|index| Outcome {
        request_id: ids.value(index).to_owned(),
        row: rows.value(index),
        label: labels.value(index),
        at_micros: at.value(index),
    });
    Ok(Captured { predictions, outcomes: outcomes.collect() })
}

fn stream(rest: &mut &[u8]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let reader = StreamReader::try_new(&mut *rest, None)?;
    let schema: Arc<Schema> = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    concat_batches(&schema, &batches)
}
