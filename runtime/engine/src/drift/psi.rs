//! `psi`: the population stability index.

use falaj_api::monitor::DriftMethod;
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::sample::cells;
use super::{DriftTest, FeatureKind, Measurement, Sample};
use crate::Result;

/// Population stability index: the sum over cells of
/// `(q - p) * ln(q / p)`, with *p* and *q* the shares of baseline and current.
///
/// Numbers are cut at the deciles of the baseline, categories counted by
/// value. Shares below 0.0001 count as 0.0001, so that an empty cell has a
/// finite weight. By convention 0.1 is a moderate change, 0.25 a large one.
///
/// The p-value uses that without a change PSI / (1/n + 1/m) follows a
/// chi-squared distribution with one degree of freedom less than there are
/// cells (Yurdakul and Naranjo, Journal of Risk Model Validation 14(4), 2020).
pub struct Psi;

/// The smallest share a cell counts with.
const FLOOR: f64 = 1e-4;

impl DriftTest for Psi {
    fn method(&self) -> DriftMethod {
        DriftMethod::Psi
    }

    fn applies_to(&self, _: FeatureKind) -> bool {
        true
    }

    fn measure(&self, baseline: &Sample, current: &Sample) -> Result<Measurement> {
        let (baseline_cells, current_cells) = cells(baseline, current)?;
        let (n, m) = (baseline.present() as f64, current.present() as f64);
        let shares = baseline_cells.iter().zip(&current_cells);
        let statistic =
            shares.map(|(b, c)| ((b / n).max(FLOOR), (c / m).max(FLOOR))).map(|(p, q)| (q - p) * (q / p).ln()).sum();
        Ok(Measurement { statistic, p_value: p_value(statistic / (1.0 / n + 1.0 / m), baseline_cells.len()) })
    }
}

fn p_value(scaled: f64, cells: usize) -> Option<f64> {
    let freedom = cells.checked_sub(1).filter(|f| *f > 0)?;
    let distribution = ChiSquared::new(freedom as f64).ok()?;
    Some(distribution.sf(scaled))
}
