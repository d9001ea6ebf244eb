//! Has a population changed? Two samples of one feature are compared by a
//! [`DriftTest`]; all features together make a [`report`](compare::compare).
//!
//! Every test answers with an *effect size*, which is what the threshold is
//! held against, and where one exists a p-value. The effect size does not grow
//! with the number of rows; a p-value does, so that at 100,000 rows it flags
//! differences nobody cares about. A feature has drifted when its effect is
//! over the threshold *and*, where there is a p-value, sampling noise is
//! unlikely to explain it (p < [`SIGNIFICANCE`]).

pub mod chi_squared;
pub mod compare;
pub mod distribution;
pub mod jensen_shannon;
mod kolmogorov;
pub mod kolmogorov_smirnov;
pub mod psi;
pub mod sample;
pub mod wasserstein;

pub use sample::{Categories, Numbers, Sample};

use falaj_api::monitor::DriftMethod;

use crate::Result;

/// The chance, under no change at all, that is small enough to speak of a
/// difference.
pub const SIGNIFICANCE: f64 = 0.01;

/// A way to measure how far a sample is from its baseline.
pub trait DriftTest: Sync {
    /// The method a user names to get this test.
    fn method(&self) -> DriftMethod;

    /// Whether the test is defined for this kind of feature.
    fn applies_to(&self, kind: FeatureKind) -> bool;

    /// Measures the change from `baseline` to `current`; rows with a missing
    /// value take no part.
    ///
    /// # Errors
    /// If a sample is empty, or of a kind the test does not apply to.
    fn measure(&self, baseline: &Sample, current: &Sample) -> Result<Measurement>;
}

/// How a feature is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// Ordered numbers with distances.
    Numeric,
    /// Values without order.
    Categorical,
}

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// The effect size; 0 is no change. The threshold is held against it.
    pub statistic: f64,
    /// The chance of an effect as large without any change, where defined.
    pub p_value: Option<f64>,
}

/// Every test there is.
pub static TESTS: [&dyn DriftTest; 5] = [
    &psi::Psi,
    &kolmogorov_smirnov::KolmogorovSmirnov,
    &chi_squared::ChiSquared,
    &jensen_shannon::JensenShannon,
    &wasserstein::Wasserstein,
];

/// The test of a method; `None` for [`DriftMethod::Auto`], see [`auto`].
pub fn test(method: DriftMethod) -> Option<&'static dyn DriftTest> {
    TESTS.into_iter().find(|test| test.method() == method)
}

/// Samples with fewer rows than this are small to [`auto`].
pub const SMALL_SAMPLE: u64 = 1_000;

/// The test that the method `auto` stands for.
///
/// With at least [`SMALL_SAMPLE`] rows on both sides it is PSI, for numbers
/// and categories alike: one scale, on which 0.1 is by convention the first
/// change worth a look and 0.25 a large one. Binned counts are too noisy for
/// that below (without any change, PSI of ten bins is 0.09 on average for 100
/// rows against many), so small samples get the test made for them: D of
/// Kolmogorov and Smirnov for numbers, Cramér's V of chi-squared for
/// categories, both with a p-value.
pub fn auto(kind: FeatureKind, baseline_rows: u64, current_rows: u64) -> &'static dyn DriftTest {
    let small = baseline_rows.min(current_rows) < SMALL_SAMPLE;
    match (kind, small) {
        (_, false) => &psi::Psi,
        (FeatureKind::Numeric, true) => &kolmogorov_smirnov::KolmogorovSmirnov,
        (FeatureKind::Categorical, true) => &chi_squared::ChiSquared,
    }
}
