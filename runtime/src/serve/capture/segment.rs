//! One open segment, in memory, column by column.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use falaj_engine::infer::{Data, Tensor};
use zeroize::Zeroizing;

use super::{Outcomes, Prediction};

/// Columns that are not a tensor's.
pub(super) const OWN: [&str; 6] = ["request_id", "row", "at", "variant", "model_version", "shadow"];
/// A tensor with more values per row than this is not captured.
const MAX_WIDTH: usize = 64;

/// What has been captured for one endpoint since its last segment was closed.
#[derive(Default)]
pub(super) struct Segment {
    pub rows: u64,
    pub outcomes: u64,
    /// Of the first and the last entry, microseconds since 1970.
    pub span: Option<(i64, i64)>,
    request_id: StringBuilder,
    row: UInt32Builder,
    at: Vec<i64>,
    variant: StringBuilder,
    model_version: UInt32Builder,
    shadow: BooleanBuilder,
    columns: Vec<Column>,
    outcome_id: StringBuilder,
    outcome_row: UInt32Builder,
    outcome_label: Float64Builder,
    outcome_at: Vec<i64>,
}

/// Values of one tensor, or of one of its places in a row.
struct Column {
    role: Role,
    name: String,
    place: usize,
    values: Values,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Input,
    Output,
}

enum Values {
    Float(Float64Builder),
    Int(Int64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
}

impl Segment {
    pub fn is_empty(&self) -> bool {
        self.span.is_none()
    }

    pub fn prediction(&mut self, prediction: &Prediction) {
        let first = prediction.outputs.first().or(prediction.inputs.first());
        let rows = first.and_then(|(_, tensor)| tensor.shape().first()).copied().unwrap_or_default();
        for row in 0..rows {
            self.request_id.append_value(&prediction.request_id);
            self.row.append_value(u32::try_from(row).unwrap_or(u32::MAX));
            self.at.push(prediction.at_micros);
            self.variant.append_value(&prediction.variant.name);
            self.model_version.append_value(prediction.variant.version);
            self.shadow.append_value(prediction.variant.shadow);
        }
        for (role, tensors) in [(Role::Input, &prediction.inputs), (Role::Output, &prediction.outputs)] {
            for (name, tensor) in tensors {
                self.tensor(role, name, tensor, rows);
            }
        }
        self.rows += rows as u64;
        let rows = self.at.len();
        self.columns.iter_mut().for_each(|column| column.values.fill(rows));
        self.touch(prediction.at_micros);
    }

    pub fn outcomes(&mut self, outcomes: &Outcomes) {
        for outcome in &outcomes.outcomes {
            for (row, label) in (0_u32..).zip(&outcome.labels) {
                self.outcome_id.append_value(&outcome.id);
                self.outcome_row.append_value(row);
                self.outcome_label.append_value(label.0);
                self.outcome_at.push(outcomes.at_micros);
                self.outcomes += 1;
            }
        }
        self.touch(outcomes.at_micros);
    }

    fn touch(&mut self, at: i64) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn tensor(&mut self, role: Role, name: &str, tensor: &Tensor, rows: usize) {
        let count = tensor.data().len();
        let width = count.checked_div(rows).unwrap_or_default();
        if width * rows != count || width > MAX_WIDTH {
            return;
        }
        let before = self.at.len() - rows;
        for place in 0..width {
            let known = |c: &Column| c.role == role && c.place == place && c.name == name;
            let index = self.columns.iter().position(known).unwrap_or_else(|| {
                let values = Values::new(tensor.data());
                self.columns.push(Column { role, name: name.to_owned(), place, values });
                self.columns.len() - 1
            });
            let Some(column) = self.columns.get_mut(index) else { continue };
            column.values.fill(before);
            column.values.append(tensor.data(), place, width);
        }
    }

    /// The segment as bytes: an Arrow IPC stream of the predictions, then one
    /// of the outcomes.
    pub fn finish(mut self) -> Result<Zeroizing<Vec<u8>>, ArrowError> {
        let timestamps = |values: Vec<i64>| -> ArrayRef {
            let mut builder = TimestampMicrosecondBuilder::with_capacity(values.len()).with_timezone("UTC");
            builder.append_slice(&values);
            Arc::new(builder.finish())
        };
        let mut predictions: Vec<(String, ArrayRef)> = vec![
            ("request_id".to_owned(), Arc::new(self.request_id.finish())),
            ("row".to_owned(), Arc::new(self.row.finish())),
            ("at".to_owned(), timestamps(self.at)),
            ("variant".to_owned(), Arc::new(self.variant.finish())),
            ("model_version".to_owned(), Arc::new(self.model_version.finish())),
            ("shadow".to_owned(), Arc::new(self.shadow.finish())),
        ];
        let names: Vec<String> = self.columns.iter().map(|c| column_name(c, &self.columns)).collect();
        let columns = self.columns.iter_mut().map(|column| column.values.finish());
        predictions.extend(names.into_iter().zip(columns));
        let outcomes: Vec<(String, ArrayRef)> = vec![
            ("request_id".to_owned(), Arc::new(self.outcome_id.finish())),
            ("row".to_owned(), Arc::new(self.outcome_row.finish())),
            ("label".to_owned(), Arc::new(self.outcome_label.finish())),
            ("at".to_owned(), timestamps(self.outcome_at)),
        ];
        let mut bytes = Zeroizing::new(Vec::new());
        for columns in [predictions, outcomes] {
            let fields = columns.iter().map(|(name, array)| Field::new(name, array.data_type().clone(), true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<Field>>()));
            let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect())?;
            let mut writer = StreamWriter::try_new(&mut *bytes, &schema)?;
            writer.write(&batch)?;
            writer.finish()?;
        }
        Ok(bytes)
    }
}

/// The tensor's name, marked with its role where it would hide another column,
/// and with its place where the tensor has several values per row.
fn column_name(column: &Column, all: &[Column]) -> String {
    let Column { role, name, place, .. } = column;
    let hides = OWN.contains(&name.as_str())
        || (*role == Role::Output && all.iter().any(|c| c.role == Role::Input && c.name == *name));
    let mark = match role {
        Role::Input if hides => "input.",
        Role::Output if hides => "output.",
        _ => "",
    };
    let wide = all.iter().any(|c| c.role == *role && c.name == *name && c.place > 0);
    if wide { format!("{mark}{name}.{place}") } else { format!("{mark}{name}") }
}

impl Values {
    fn new(data: &Data) -> Self {
        match data {
            Data::F32(_) | Data::F64(_) => Self::Float(Float64Builder::new()),
            Data::I32(_) | Data::I64(_) => Self::Int(Int64Builder::new()),
            Data::Bool(_) => Self::Bool(BooleanBuilder::new()),
            Data::Text(_) => Self::Text(StringBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text(values) => values.len(),
        }
    }

    /// Nulls up to this length: rows of variants that have no such tensor.
    fn fill(&mut self, length: usize) {
        for _ in self.len()..length {
            match self {
                Self::Float(values) => values.append_null(),
                Self::Int(values) => values.append_null(),
                Self::Bool(values) => values.append_null(),
                Self::Text(values) => values.append_null(),
            }
        }
    }

    /// Appends every `width`-th value from `place` on. NaN and the empty text
    /// stand for missing, so they become null.
    fn append(&mut self, data: &Data, place: usize, width: usize) {
        match (&mut *self, data) {
            (Self::Float(own), Data::F64(values)) => {
                pick(values, place, width).for_each(|v| own.append_option(Some(*v).filter(|v| !v.is_nan())));
            }
            (Self::Float(own), Data::F32(values)) => {
                pick(values, place, width).for_each(|v| own.append_option(Some(f64::from(*v)).filter(|v| !v.is_nan())));
            }
            (Self::Int(own), Data::I64(values)) => pick(values, place, width).for_each(|v| own.append_value(*v)),
            (Self::Int(own), Data::I32(values)) => {
                pick(values, place, width).for_each(|v| own.append_value((*v).into()))
            }
            (Self::Bool(own), Data::Bool(values)) => pick(values, place, width).for_each(|v| own.append_value(*v)),
            (Self::Text(own), Data::Text(values)) => {
                pick(values, place, width).for_each(|v| own.append_option(Some(v).filter(|v| !v.is_empty())));
            }
            (Self::Text(own), other) => texts(other, place, width).for_each(|v| own.append_value(v)),
            // Two variants disagree about the type: what both have is text.
            (_, other) => {
                let mut text = self.take_text();
                match other {
                    Data::Text(values) => pick(values, place, width).for_each(|v| text.append_value(v)),
                    other => texts(other, place, width).for_each(|v| text.append_value(v)),
                }
                *self = Self::Text(text);
            }
        }
    }

    fn take_text(&mut self) -> StringBuilder {
        let array = self.finish();
        let mut text = StringBuilder::new();
        // Every primitive type can be cast to text.
        if let Ok(array) = arrow::compute::cast(&array, &DataType::Utf8) {
            let array = arrow::array::AsArray::as_string::<i32>(&array);
            array.iter().for_each(|value| text.append_option(value));
        }
        text
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Float(values) => Arc::new(values.finish()),
            Self::Int(values) => Arc::new(values.finish()),
            Self::Bool(values) => Arc::new(values.finish()),
            Self::Text(values) => Arc::new(values.finish()),
        }
    }
}

fn pick<T>(values: &[T], place: usize, width: usize) -> impl Iterator<Item = &T> {
    values.iter().skip(place).step_by(width.max(1))
}

fn texts(data: &Data, place: usize, width: usize) -> Box<dyn Iterator<Item = String> + '_> {
    match data {
        Data::F32(values) => Box::new(pick(values, place, width).map(ToString::to_string)),
        Data::F64(values) => Box::new(pick(values, place, width).map(ToString::to_string)),
        Data::I32(values) => Box::new(pick(values, place, width).map(ToString::to_string)),
        Data::I64(values) => Box::new(pick(values, place, width).map(ToString::to_string)),
        Data::Bool(values) => Box::new(pick(values, place, width).map(ToString::to_string)),
        Data::Text(values) => Box::new(pick(values, place, width).cloned()),
    }
}
