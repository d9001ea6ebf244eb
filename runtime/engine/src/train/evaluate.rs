//! Measuring a trained model on the rows it has not seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema};

use super::split::Split;
use super::{Run, Trained};
use crate::Result;
use crate::column;
use crate::metrics::classification::Classification;
use crate::metrics::fairness::demographic_parity;
use crate::metrics::regression::Regression;
use crate::model::{Encoded, Model, Task};

/// Baseline column: what the model says about the row. Probability of class 1
/// or predicted number.
pub const SCORE: &str = "__score";
/// Baseline column: the label, as a number.
pub const LABEL: &str = "__label";
/// Baseline column: whether the row was held out.
pub const HELD_OUT: &str = "__held_out";

pub(super) fn evaluate(
    run: &Run<'_>,
    model: Model,
    encoded: &Encoded,
    labels: &[f64],
    split: &Split,
) -> Result<Trained> {
    let scores = model.score(encoded);
    let held_out_labels = pick(labels, &split.held_out);
    let held_out_scores = pick(&scores, &split.held_out);
    let mut fairness = BTreeMap::new();
    let mut metrics = match model.task {
        Task::Classification => {
            for name in run.protected {
                let groups = column::text(run.batch, name)?;
                let groups = take(&groups, &UInt32Array::from(split.held_out.clone()), None)?;
                let groups = arrow::array::AsArray::as_string::<i32>(&groups).iter();
                let selected = held_out_scores.iter().map(|s| *s >= 0.5);
                fairness.insert(name.clone(), demographic_parity(groups, selected));
            }
            let truth: Vec<bool> = held_out_labels.iter().map(|l| *l == 1.0).collect();
            Classification::measure(&truth, &held_out_scores)?.by_name()
        }
        Task::Regression => Regression::measure(&held_out_labels, &held_out_scores)?.by_name(),
    };
    metrics.insert("rows_trained".to_owned(), split.training.len() as f64);
    metrics.insert("rows_held_out".to_owned(), split.held_out.len() as f64);
    let baseline = baseline(run, &scores, labels, split)?;
    Ok(Trained { model, metrics, fairness, baseline })
}

/// The values at the given rows.
pub(super) fn pick(values: &[f64], rows: &[u32]) -> Vec<f64> {
    rows.iter().filter_map(|row| values.get(*row as usize).copied()).collect()
}

fn baseline(run: &Run<'_>, scores: &[f64], labels: &[f64], split: &Split) -> Result<RecordBatch> {
    let mut rows: Vec<(u32, bool)> = split.training.iter().map(|r| (*r, false)).collect();
    rows.extend(split.held_out.iter().map(|r| (*r, true)));
    rows.sort_unstable();
    let (rows, held_out): (Vec<u32>, Vec<bool>) = rows.into_iter().unzip();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    let indices = UInt32Array::from(rows.clone());
    for (name, _) in run.features {
        let values = take(column::column(run.batch, name)?, &indices, None)?;
        fields.push(Field::new(name, values.data_type().clone(), true));
        columns.push(values);
    }
    fields.push(Field::new(SCORE, DataType::Float64, false));
    columns.push(Arc::new(Float64Array::from(pick(scores, &rows))));
    fields.push(Field::new(LABEL, DataType::Float64, false));
    columns.push(Arc::new(Float64Array::from(pick(labels, &rows))));
    fields.push(Field::new(HELD_OUT, DataType::Boolean, false));
    columns.push(Arc::new(BooleanArray::from(held_out)));
    Ok(RecordBatch::try_new(Schema::new(fields).into(), columns)?)
}
