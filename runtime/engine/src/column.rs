//! Reading columns of a record batch as the few shapes the engine computes on.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};

use crate::{Error, Result};

/// The column called `name`.
///
/// # Errors
/// [`Error::MissingColumn`], naming the columns that are there.
pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let present: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        Error::MissingColumn { column: name.to_owned(), present: present.join(", ") }
    })
}

/// Whether a column of this type holds numbers (booleans count as 0 and 1).
pub fn is_numeric(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_numeric(value),
        other => other.is_numeric() || *other == DataType::Boolean,
    }
}

/// The column as numbers, one per row; a null becomes `NaN`.
///
/// # Errors
/// If the column is missing or does not hold numbers or booleans.
pub fn numeric(batch: &RecordBatch, name: &str) -> Result<Vec<f64>> {
    let array = column(batch, name)?;
    if !is_numeric(array.data_type()) {
        return Err(wrong_type(name, array, "a number or a boolean"));
    }
    let array = cast(array, &DataType::Float64)?;
    let array = array.as_primitive::<Float64Type>();
    Ok(array.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
}

/// The column as text, one value per row; numbers are written out, whole ones
/// without a fraction whatever their type, because codes with gaps often come
/// as floating-point numbers.
///
/// # Errors
/// If the column is missing or has no plain textual form (lists, structs, ...).
pub fn text(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let array = column(batch, name)?;
    let usable = match array.data_type() {
        DataType::Dictionary(_, value) => !value.is_nested(),
        other => !other.is_nested(),
    };
    if !usable {
        return Err(wrong_type(name, array, "text or a number"));
    }
    if array.data_type().is_floating() {
        let numbers = cast(array, &DataType::Float64)?;
        return Ok(numbers.as_primitive::<Float64Type>().iter().map(|v| v.map(|v| v.to_string())).collect());
    }
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The column as moments: microseconds since 1970-01-01T00:00:00Z.
///
/// Accepts timestamps of any unit (a zone is respected, a timestamp without
/// one is UTC; finer than a microsecond is cut off), dates (midnight UTC) and
/// RFC 3339 text.
///
/// # Errors
/// If the column is missing, has another type, or holds text that is no time.
pub fn micros(batch: &RecordBatch, name: &str) -> Result<Vec<Option<i64>>> {
    let array = column(batch, name)?;
    // The number in a timestamp with a zone counts from the epoch in UTC: the
    // zone is for display, and the library need not know its rules.
    let (count_type, per_micro) = match array.data_type() {
        DataType::Timestamp(unit, _) => (DataType::Int64, Some(*unit)),
        DataType::Date32 | DataType::Date64 => (DataType::Timestamp(TimeUnit::Microsecond, None), None),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            (DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), None)
        }
        _ => return Err(wrong_type(name, array, "a timestamp or a date")),
    };
    let counts = cast(array, &count_type)?;
    if counts.null_count() > array.null_count() {
        return Err(wrong_type(name, array, "text holding RFC 3339 times"));
    }
    let counts = cast(&counts, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    let micros = |count: i64| match per_micro {
        Some(TimeUnit::Second) => count.saturating_mul(1_000_000),
        Some(TimeUnit::Millisecond) => count.saturating_mul(1_000),
        Some(TimeUnit::Nanosecond) => count.div_euclid(1_000),
        Some(TimeUnit::Microsecond) | None => count,
    };
    Ok(counts.iter().map(|count| count.map(micros)).collect())
}

fn wrong_type(name: &str, array: &ArrayRef, expected: &'static str) -> Error {
    Error::ColumnType { column: name.to_owned(), found: array.data_type().to_string(), expected }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Date32Array, Float64Array, TimestampNanosecondArray, TimestampSecondArray};

    use super::*;

    fn batch(values: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("column", values)]).unwrap()
    }

    #[test]
    fn whole_numbers_become_text_without_a_fraction() {
        let codes = batch(Arc::new(Float64Array::from(vec![Some(16.0), None, Some(2.5)])));
        let text = text(&codes, "column").unwrap();
        assert_eq!(text.iter().collect::<Vec<_>>(), [Some("16"), None, Some("2.5")]);
    }

    #[test]
    fn times_of_any_unit_zone_or_spelling_are_the_same_moment() {
        let moment = 1_700_000_000_i64;
        let days = 19_675;
        let moments: Vec<(ArrayRef, i64)> = vec![
            (Arc::new(TimestampSecondArray::from(vec![moment]).with_timezone("Asia/Dubai")), moment),
            (Arc::new(TimestampNanosecondArray::from(vec![moment * 1_000_000_000])), moment),
            (Arc::new(StringArray::from(vec!["2023-11-15T02:13:20+04:00"])), moment),
            (Arc::new(StringArray::from(vec!["2023-11-14T22:13:20"])), moment),
            (Arc::new(Date32Array::from(vec![days])), i64::from(days) * 86_400),
        ];
        for (values, seconds) in moments {
            assert_eq!(micros(&batch(values), "column").unwrap(), [Some(seconds * 1_000_000)]);
        }
        let wrong = batch(Arc::new(StringArray::from(vec!["yesterday"])));
        assert!(micros(&wrong, "column").unwrap_err().to_string().contains("RFC 3339"));
    }
}
