//! Reading a feature store's source: Parquet or CSV bytes to one record batch.

use std::{io::Cursor, sync::Arc};

use arrow::{
    array::RecordBatch,
    compute::concat_batches,
    csv::{ReaderBuilder, reader::Format},
    datatypes::{Schema, SchemaRef},
};
use bytes::Bytes;
use falaj_api::feature_store::{FeatureStoreSpec, SourceFormat};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};

/// How many lines of a CSV file its column types are inferred from.
const CSV_LINES: usize = 10_000;

/// What is wrong with a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the source is not a readable {format} file: {reason}")]
    Unreadable { format: &'static str, reason: String },
    #[error("the source has no column {column:?}, which {wanted_by} names; its columns are {present}")]
    NoColumn { column: String, wanted_by: String, present: String },
    #[error("the source has no rows")]
    Empty,
}

/// The columns and the number of rows, without reading the values of a Parquet file.
///
/// # Errors
/// The bytes are not of the format.
pub fn describe(format: SourceFormat, bytes: Bytes) -> Result<(SchemaRef, u64), SourceError> {
    match format {
        SourceFormat::Parquet => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| unreadable(format, &e))?;
            let rows = builder.metadata().file_metadata().num_rows();
            Ok((builder.schema().clone(), u64::try_from(rows).unwrap_or(0)))
        }
        SourceFormat::Csv => {
            let batch = read_csv(bytes, None)?;
            Ok((batch.schema(), batch.num_rows() as u64))
        }
    }
}

/// Reads the named columns.
///
/// # Errors
/// The bytes are not of the format, or hold no such column.
pub fn read(format: SourceFormat, bytes: Bytes, columns: &[&str]) -> Result<RecordBatch, SourceError> {
    match format {
        SourceFormat::Parquet => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| unreadable(format, &e))?;
            let schema = builder.schema().clone();
            let indices = indices(&schema, columns)?;
            let mask = ProjectionMask::roots(builder.parquet_schema(), indices);
            let reader = builder.with_projection(mask).build().map_err(|e| unreadable(format, &e))?;
            let schema = arrow::array::RecordBatchReader::schema(&reader);
            let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| unreadable(format, &e))?;
            concat_batches(&schema, &batches).map_err(|e| unreadable(format, &e))
        }
        SourceFormat::Csv => read_csv(bytes, Some(columns)),
    }
}

fn read_csv(bytes: Bytes, columns: Option<&[&str]>) -> Result<RecordBatch, SourceError> {
    let format = SourceFormat::Csv;
    let (schema, _) = Format::default()
        .with_header(true)
        .infer_schema(Cursor::new(&bytes), Some(CSV_LINES))
        .map_err(|e| unreadable(format, &e))?;
    let schema = Arc::new(schema);
    let mut builder = ReaderBuilder::new(schema.clone()).with_header(true);
    let mut projected = schema.clone();
    if let Some(columns) = columns {
        let indices = indices(&schema, columns)?;
        projected = Arc::new(schema.project(&indices).map_err(|e| unreadable(format, &e))?);
        builder = builder.with_projection(indices);
    }
    let reader = builder.build(Cursor::new(bytes)).map_err(|e| unreadable(format, &e))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| unreadable(format, &e))?;
    concat_batches(&projected, &batches).map_err(|e| unreadable(format, &e))
}

/// Where the columns stand, in the order of the file.
fn indices(schema: &Schema, columns: &[&str]) -> Result<Vec<usize>, SourceError> {
    let mut found = Vec::with_capacity(columns.len());
    for column in columns {
        let index = schema.index_of(column).map_err(|_| no_column(schema, column, "the declaration"))?;
        found.push(index);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Checks that every column the declaration names is there.
///
/// # Errors
/// The first that is not, and the attribute that names it.
pub fn check_columns(schema: &Schema, spec: &FeatureStoreSpec) -> Result<(), (String, SourceError)> {
    let mut wanted = vec![
        ("/spec/entity/name".to_owned(), spec.entity.name.as_str()),
        ("/spec/source/event_time".to_owned(), spec.source.event_time.as_str()),
    ];
    wanted.extend(spec.source.created_time.as_deref().map(|c| ("/spec/source/created_time".to_owned(), c)));
    for (name, feature) in &spec.features {
        wanted.push((format!("/spec/features/{name}/column"), feature.column.as_deref().unwrap_or(name)));
    }
    for (pointer, column) in wanted {
        if schema.index_of(column).is_err() {
            let wanted_by = pointer.trim_start_matches("/spec/").replace('/', ".");
            return Err((pointer, no_column(schema, column, &wanted_by)));
        }
    }
    Ok(())
}

fn no_column(schema: &Schema, column: &str, wanted_by: &str) -> SourceError {
    let present = schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
    SourceError::NoColumn { column: column.to_owned(), wanted_by: wanted_by.to_owned(), present }
}

fn unreadable(format: SourceFormat, reason: &dyn std::fmt::Display) -> SourceError {
    let format = match format {
        SourceFormat::Parquet => "Parquet",
        SourceFormat::Csv => "CSV",
    };
    SourceError::Unreadable { format, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use falaj_api::feature_store::SourceFormat;

    use super::{describe, read};

    const CSV: &[u8] = b"id,at,age\na,2020-01-01T00:00:00Z,3\nb,2020-01-02T00:00:00Z,\n";

    #[test]
    fn csv_columns_are_typed_by_what_they_hold_and_an_empty_cell_is_null() {
        let (schema, rows) = describe(SourceFormat::Csv, Bytes::from_static(CSV)).unwrap();
        assert_eq!((schema.fields().len(), rows), (3, 2));
        let batch = read(SourceFormat::Csv, Bytes::from_static(CSV), &["age"]).unwrap();
        assert_eq!((batch.num_columns(), batch.column(0).null_count()), (1, 1));
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_are_there() {
        let error = read(SourceFormat::Csv, Bytes::from_static(CSV), &["height"]).unwrap_err().to_string();
        assert!(error.contains("\"height\"") && error.contains("id, at, age"), "{error}");
    }

    #[test]
    fn bytes_of_another_kind_are_refused() {
        let error = describe(SourceFormat::Parquet, Bytes::from_static(CSV)).unwrap_err().to_string();
        assert!(error.contains("not a readable Parquet file"), "{error}");
    }
}
