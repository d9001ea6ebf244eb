//! Measures of predicted numbers against what came true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Measures of a regression, in the label's unit where they have one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Share of the label's variance explained; absent where it has none.
    pub r2: Option<f64>,
    pub rows: u64,
}

impl Regression {
    /// Measures the predictions against the labels.
    ///
    /// # Errors
    /// If there are no rows or the lengths differ.
    pub fn measure(labels: &[f64], predictions: &[f64]) -> Result<Self> {
        if labels.is_empty() || labels.len() != predictions.len() {
            return Err(Error::Data(format!(
                "{} labels and {} predictions cannot be compared; one of each per row is needed",
                labels.len(),
                predictions.len()
            )));
        }
        let rows = labels.len() as f64;
        let errors = || labels.iter().zip(predictions).map(|(l, p)| l - p);
        let squares: f64 = errors().map(|e| e * e).sum();
        let mean = labels.iter().sum::<f64>() / rows;
        let spread: f64 = labels.iter().map(|l| (l - mean).powi(2)).sum();
        Ok(Self {
            rmse: (squares / rows).sqrt(),
            mae: errors().map(f64::abs).sum::<f64>() / rows,
            r2: (spread > 0.0).then(|| 1.0 - squares / spread),
            rows: labels.len() as u64,
        })
    }
}

impl Regression {
    /// The measures by the names gates and records use.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let all = [("rmse", Some(self.rmse)), ("mae", Some(self.mae)), ("r2", self.r2)];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
