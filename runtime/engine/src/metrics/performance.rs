//! How good a model is on rows whose labels came later.

use falaj_api::monitor::{Performance, PerformanceFloor};

use super::classification::Classification;
use super::regression::Regression;
use crate::model::Task;
use crate::{Error, Result};

/// Measures one metric on labelled rows and holds it against what it was at
/// training and against the floor. `None` where the metric says nothing yet:
/// no labels, or of one class only.
///
/// # Errors
/// If the metric does not exist for the task, or labels and scores do not fit.
pub fn performance(
    task: Task,
    metric: &str,
    baseline: f64,
    floor: Option<&PerformanceFloor>,
    labels: &[f64],
    scores: &[f64],
) -> Result<Option<Performance>> {
    if labels.is_empty() {
        return Ok(None);
    }
    let (measured, known) = match task {
        Task::Classification => {
            let truth: Vec<bool> = labels.iter().map(|label| *label == 1.0).collect();
            (Classification::measure(&truth, scores)?.by_name(), &CLASSIFICATION[..])
        }
        Task::Regression => (Regression::measure(labels, scores)?.by_name(), &REGRESSION[..]),
    };
    if !known.contains(&metric) {
        return Err(Error::Data(format!(
            "there is no metric {metric:?} for this model; use one of {}",
            known.join(", ")
        )));
    }
    let Some(current) = measured.get(metric).copied() else {
        return Ok(None);
    };
    let floor = floor.filter(|floor| floor.metric == metric);
    Ok(Some(Performance {
        metric: metric.to_owned(),
        baseline,
        current,
        labelled_rows: labels.len() as u64,
        min: floor.map(|floor| floor.min),
        breached: floor.is_some_and(|floor| current < floor.min),
    }))
}

const CLASSIFICATION: [&str; 4] = ["auc", "log_loss", "accuracy", "calibration_error"];
const REGRESSION: [&str; 3] = ["rmse", "mae", "r2"];
