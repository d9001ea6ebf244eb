//! `jensen_shannon`: a distance between two distributions.

use falaj_api::monitor::DriftMethod;

use super::sample::cells;
use super::{DriftTest, FeatureKind, Measurement, Sample};
use crate::Result;

/// Jensen-Shannon distance in base 2: the square root of the mean of the
/// divergences of both distributions from their average; 0 for equal shares,
/// 1 if no value is in common. Numbers are cut at the baseline's deciles.
pub struct JensenShannon;

/// The distance between two vectors of weights, which need not be normalised.
pub fn distance(first: &[f64], second: &[f64]) -> f64 {
    let (n, m) = (first.iter().sum::<f64>(), second.iter().sum::<f64>());
    let divergence = |x: f64, mid: f64| if x > 0.0 { x * (x / mid).ln() } else { 0.0 };
    let sum: f64 = first
        .iter()
        .zip(second)
        .map(|(a, b)| (a / n, b / m))
        .map(|(p, q)| divergence(p, (p + q) / 2.0) + divergence(q, (p + q) / 2.0))
        .sum();
    (sum.max(0.0) / 2.0 / std::f64::consts::LN_2).sqrt()
}

impl DriftTest for JensenShannon {
    fn method(&self) -> DriftMethod {
        DriftMethod::JensenShannon
    }

    fn applies_to(&self, _: FeatureKind) -> bool {
        true
    }

    fn measure(&self, baseline: &Sample, current: &Sample) -> Result<Measurement> {
        let (first, second) = cells(baseline, current)?;
        Ok(Measurement { statistic: distance(&first, &second), p_value: None })
    }
}
