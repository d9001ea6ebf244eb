//! `chi_squared`: Pearson's test of two sets of counts.

use falaj_api::monitor::DriftMethod;
use statrs::distribution::{ChiSquared as Distribution, ContinuousCDF};

use super::sample::cells;
use super::{DriftTest, FeatureKind, Measurement, Sample};
use crate::Result;

/// Pearson's chi-squared test on the 2 x k table of counts, without Yates'
/// correction. The effect size is Cramér's V, `sqrt(chi2 / n)` for two rows,
/// between 0 (same shares) and 1 (no value in common). By Cohen's convention
/// 0.1 is a small, 0.3 a medium, 0.5 a large effect.
pub struct ChiSquared;

/// Pearson's statistic and its p-value for a 2 x k table of counts. Columns
/// of zeros are left out.
pub fn chi_squared(first: &[f64], second: &[f64]) -> (f64, f64) {
    let (n, m) = (first.iter().sum::<f64>(), second.iter().sum::<f64>());
    let mut chi2 = 0.0;
    let mut columns = 0_usize;
    for (a, b) in first.iter().zip(second).filter(|(a, b)| **a + **b > 0.0) {
        let (expected_a, expected_b) = ((a + b) * n / (n + m), (a + b) * m / (n + m));
        chi2 += (a - expected_a).powi(2) / expected_a + (b - expected_b).powi(2) / expected_b;
        columns += 1;
    }
    let freedom = columns.saturating_sub(1) as f64;
    let p_value = Distribution::new(freedom).map_or(1.0, |d| d.sf(chi2));
    (chi2, p_value)
}

impl DriftTest for ChiSquared {
    fn method(&self) -> DriftMethod {
        DriftMethod::ChiSquared
    }

    fn applies_to(&self, kind: FeatureKind) -> bool {
        kind == FeatureKind::Categorical
    }

    fn measure(&self, baseline: &Sample, current: &Sample) -> Result<Measurement> {
        let (first, second) = cells(baseline, current)?;
        let (chi2, p_value) = chi_squared(&first, &second);
        let rows = (baseline.present() + current.present()) as f64;
        Ok(Measurement { statistic: (chi2 / rows).sqrt(), p_value: Some(p_value) })
    }
}
