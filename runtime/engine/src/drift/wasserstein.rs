//! `wasserstein`: how far the mass has to be moved.

use falaj_api::monitor::DriftMethod;

use super::sample::both_numeric;
use super::{DriftTest, FeatureKind, Measurement, Numbers, Sample};
use crate::{Error, Result};

/// Wasserstein (earth mover's) distance of the two empirical distributions,
/// in standard deviations of the baseline: 0.1 is what a shift of everything
/// by a tenth of a standard deviation gives.
pub struct Wasserstein;

/// The distance in the feature's own unit: the area between the two
/// cumulative distribution functions.
pub fn distance(first: &Numbers, second: &Numbers) -> f64 {
    let (a, b) = (first.sorted(), second.sorted());
    let (n, m) = (a.len() as f64, b.len() as f64);
    let (mut i, mut j) = (0, 0);
    let mut area = 0.0;
    let mut previous: Option<f64> = None;
    while let Some(value) = smallest(a.get(i), b.get(j)) {
        if let Some(previous) = previous {
            area += (value - previous) * (i as f64 / n - j as f64 / m).abs();
        }
        i += a.iter().skip(i).take_while(|v| **v == value).count();
        j += b.iter().skip(j).take_while(|v| **v == value).count();
        previous = Some(value);
    }
    area
}

/// The smaller of two values of which one may be used up.
pub(super) fn smallest(a: Option<&f64>, b: Option<&f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(*b)),
        (one, other) => one.or(other).copied(),
    }
}

impl DriftTest for Wasserstein {
    fn method(&self) -> DriftMethod {
        DriftMethod::Wasserstein
    }

    fn applies_to(&self, kind: FeatureKind) -> bool {
        kind == FeatureKind::Numeric
    }

    fn measure(&self, baseline: &Sample, current: &Sample) -> Result<Measurement> {
        let (baseline, current) = both_numeric(baseline, current)?;
        let unit = baseline.standard_deviation();
        if !(unit > 0.0 && unit.is_finite()) {
            return Err(Error::Data(
                "wasserstein needs a baseline that varies and is finite; use psi for this feature".to_owned(),
            ));
        }
        Ok(Measurement { statistic: distance(baseline, current) / unit, p_value: None })
    }
}
