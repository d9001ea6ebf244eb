//! `kolmogorov_smirnov`: the largest gap between two distribution functions.

use falaj_api::monitor::DriftMethod;

pub use super::kolmogorov::survival;
use super::sample::both_numeric;
use super::wasserstein::smallest;
use super::{DriftTest, FeatureKind, Measurement, Numbers, Sample};
use crate::Result;

/// Two-sample Kolmogorov-Smirnov test. The effect size is D, the largest
/// distance between the two cumulative distribution functions, from 0 to 1.
///
/// The p-value takes the distribution of D for one sample of
/// `n * m / (n + m)` rows (rounded to even), as SciPy's `ks_2samp` does with
/// `method="asymp"`.
pub struct KolmogorovSmirnov;

/// D of two samples.
pub fn distance(first: &Numbers, second: &Numbers) -> f64 {
    let (a, b) = (first.sorted(), second.sorted());
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j) = (0, 0);
    let mut largest = 0.0_f64;
    while let Some(value) = smallest(a.get(i), b.get(j)) {
        i += a.iter().skip(i).take_while(|v| **v == value).count();
        j += b.iter().skip(j).take_while(|v| **v == value).count();
        largest = largest.max((i as f64 / n - j as f64 / m).abs());
    }
    largest
}

impl DriftTest for KolmogorovSmirnov {
    fn method(&self) -> DriftMethod {
        DriftMethod::KolmogorovSmirnov
    }

    fn applies_to(&self, kind: FeatureKind) -> bool {
        kind == FeatureKind::Numeric
    }

    fn measure(&self, baseline: &Sample, current: &Sample) -> Result<Measurement> {
        let (first, second) = both_numeric(baseline, current)?;
        let statistic = distance(first, second);
        let (n, m) = (baseline.present() as f64, current.present() as f64);
        let rows = (n * m / (n + m)).round_ties_even().max(1.0);
        Ok(Measurement { statistic, p_value: Some(survival(rows as u64, statistic)) })
    }
}
