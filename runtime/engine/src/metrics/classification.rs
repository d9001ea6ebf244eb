//! Measures of probabilities against what came true.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Measures of a binary classifier. `probabilities` are of the class 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Classification {
    /// Area under the ROC curve; absent where only one class occurs.
    pub auc: Option<f64>,
    /// Mean negative logarithm of the probability given to the truth.
    pub log_loss: f64,
    /// Share of rows whose class is the one with probability >= 0.5.
    pub accuracy: f64,
    /// Expected calibration error over ten bins of equal width.
    pub calibration_error: f64,
    /// Share of rows of class 1.
    pub base_rate: f64,
    pub rows: u64,
}

impl Classification {
    /// Measures the probabilities against the labels.
    ///
    /// # Errors
    /// If there are no rows, the lengths differ, or a probability is not one.
    pub fn measure(labels: &[bool], probabilities: &[f64]) -> Result<Self> {
        check(labels, probabilities)?;
        let rows = labels.len() as f64;
        let right = pairs(labels, probabilities).filter(|(l, p)| (*p >= 0.5) == *l);
        Ok(Self {
            auc: auc(labels, probabilities),
            log_loss: log_loss(labels, probabilities),
            accuracy: right.count() as f64 / rows,
            calibration_error: calibration_error(labels, probabilities),
            base_rate: labels.iter().filter(|l| **l).count() as f64 / rows,
            rows: labels.len() as u64,
        })
    }
}

impl Classification {
    /// The measures by the names gates and records use.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let all = [
            ("auc", self.auc),
            ("log_loss", Some(self.log_loss)),
            ("accuracy", Some(self.accuracy)),
            ("calibration_error", Some(self.calibration_error)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn check(labels: &[bool], probabilities: &[f64]) -> Result<()> {
    if labels.is_empty() || labels.len() != probabilities.len() {
        return Err(Error::Data(format!(
            "{} labels and {} probabilities cannot be compared; one of each per row is needed",
            labels.len(),
            probabilities.len()
        )));
    }
    match probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        Some(p) => Err(Error::Data(format!("{p} is no probability; it has to lie in 0..1"))),
        None => Ok(()),
    }
}

fn pairs<'a>(labels: &'a [bool], scores: &'a [f64]) -> impl Iterator<Item = (bool, f64)> + 'a {
    labels.iter().copied().zip(scores.iter().copied())
}

/// Area under the ROC curve: the chance that a row of class 1 scores higher
/// than one of class 0, ties counting half (Mann and Whitney). `None` if a
/// class has no row or a score is not a number.
pub fn auc(labels: &[bool], scores: &[f64]) -> Option<f64> {
    if scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let mut rows: Vec<(f64, bool)> = pairs(labels, scores).map(|(l, s)| (s, l)).collect();
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut negatives_below, mut positives, mut wins) = (0_u64, 0_u64, 0.0_f64);
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, label)| *label).count() as u64;
        let negative = tied.len() as u64 - positive;
        wins += positive as f64 * (negatives_below as f64 + negative as f64 / 2.0);
        negatives_below += negative;
        positives += positive;
    }
    if positives == 0 || negatives_below == 0 {
        return None;
    }
    Some(wins / (positives as f64 * negatives_below as f64))
}

/// Mean negative log-likelihood; probabilities are kept the smallest step of a
/// double away from 0 and 1, as scikit-learn does.
pub fn log_loss(labels: &[bool], probabilities: &[f64]) -> f64 {
    let sum: f64 = pairs(labels, probabilities)
        .map(|(label, p)| if label { p } else { 1.0 - p })
        .map(|p| -p.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln())
        .sum();
    sum / labels.len() as f64
}

/// Expected calibration error: over ten bins of equal width, the gap between
/// the mean probability and the share of class 1, weighted by rows (Naeini,
/// Cooper and Hauskrecht, AAAI 2015).
pub fn calibration_error(labels: &[bool], probabilities: &[f64]) -> f64 {
    calibration(labels, probabilities)
        .iter()
        .map(|bin| (bin.observed - bin.predicted).abs() * bin.rows as f64)
        .sum::<f64>()
        / labels.len() as f64
}

/// One bin of a calibration curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Mean probability of the rows in the bin.
    pub predicted: f64,
    /// Share of class 1 among them.
    pub observed: f64,
    pub rows: u64,
}

/// The calibration curve in ten bins `[0, 0.1)`, ..., `[0.9, 1]`; bins without
/// rows are left out.
pub fn calibration(labels: &[bool], probabilities: &[f64]) -> Vec<CalibrationBin> {
    let mut bins = [(0.0_f64, 0_u64, 0_u64); 10];
    for (label, p) in pairs(labels, probabilities) {
        if let Some(bin) = bins.get_mut(((p * 10.0) as usize).min(9)) {
            bin.0 += p;
            bin.1 += u64::from(label);
            bin.2 += 1;
        }
    }
    bins.iter()
        .filter(|(_, _, rows)| *rows > 0)
        .map(|(sum, positives, rows)| CalibrationBin {
            predicted: sum / *rows as f64,
            observed: *positives as f64 / *rows as f64,
            rows: *rows,
        })
        .collect()
}
