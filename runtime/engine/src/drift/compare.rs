//! All features of a model at once: what changed between two populations.

use arrow::array::RecordBatch;
use falaj_api::feature_store::DataType;
use falaj_api::monitor::{Drift, DriftMethod, DriftRule, FeatureDrift, Verdict};

use super::distribution::distribution;
use super::psi::Psi;
use super::{DriftTest, FeatureKind, Measurement, SIGNIFICANCE, Sample, auto, test};
use crate::train::SCORE;
use crate::{Error, Result};

/// With fewer rows than this a comparison says nothing.
pub const FEWEST_ROWS: u64 = 30;

/// A change of the share of missing values counts as drift when its population
/// stability index (of the two cells missing and present) is above this.
pub const MISSING_THRESHOLD: f64 = 0.1;

/// The name under which the prediction has its rule and stands in the results.
pub const PREDICTION: &str = "prediction";

/// What a comparison found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub verdict: Verdict,
    pub rows_baseline: u64,
    pub rows_current: u64,
    /// Most severe first; see [`severity`].
    pub features: Vec<FeatureDrift>,
    /// Of the column [`SCORE`], where both populations have it.
    pub prediction: Option<FeatureDrift>,
}

/// Compares the features, and the column [`SCORE`] where both sides have it.
///
/// The verdict is drift when the prediction or any feature has drifted by its
/// own rule: thresholds are effect sizes, so that one feature over is one too
/// many. With fewer than [`FEWEST_ROWS`] current rows there is no verdict.
///
/// # Errors
/// If a column is missing or unreadable, or if a rule names a method that is
/// not defined for its feature.
pub fn compare(
    baseline: &RecordBatch,
    current: &RecordBatch,
    features: &[(String, DataType)],
    rules: &Drift,
) -> Result<Outcome> {
    let (rows_baseline, rows_current) = (baseline.num_rows() as u64, current.num_rows() as u64);
    let mut outcome = Outcome {
        verdict: Verdict::InsufficientData,
        rows_baseline,
        rows_current,
        features: Vec::new(),
        prediction: None,
    };
    if rows_baseline == 0 || rows_current == 0 {
        return Ok(outcome);
    }
    let one = |name: &str, column: &str, kind: FeatureKind| {
        let rule = rules.features.get(name).unwrap_or(&rules.default);
        let before = Sample::from_column(baseline, column, kind)?;
        let after = Sample::from_column(current, column, kind)?;
        feature(name, kind, &before, &after, rule)
    };
    for (name, data_type) in features {
        outcome.features.push(one(name, name, kind(*data_type))?);
    }
    outcome.features.sort_by(|a, b| b.drifted.cmp(&a.drifted).then(severity(b).total_cmp(&severity(a))));
    let scored = |batch: &RecordBatch| batch.column_by_name(SCORE).is_some();
    if scored(baseline) && scored(current) {
        outcome.prediction = Some(one(PREDICTION, SCORE, FeatureKind::Numeric)?);
    }
    if rows_current >= FEWEST_ROWS {
        let any = outcome.features.iter().chain(&outcome.prediction).any(|f| f.drifted);
        outcome.verdict = if any { Verdict::Drift } else { Verdict::NoMaterialDrift };
    }
    Ok(outcome)
}

/// How a feature of this type is compared.
pub fn kind(data_type: DataType) -> FeatureKind {
    match data_type {
        DataType::Int64 | DataType::Float64 => FeatureKind::Numeric,
        DataType::String | DataType::Bool => FeatureKind::Categorical,
    }
}

/// Checks that a method is defined for features of a type; the prediction is
/// [`DataType::Float64`].
///
/// # Errors
/// A sentence that names the methods that are.
pub fn check_method(name: &str, method: DriftMethod, data_type: DataType) -> Result<()> {
    let kind = kind(data_type);
    match test(method) {
        Some(test) if !test.applies_to(kind) => {
            let usable = super::TESTS.iter().filter(|t| t.applies_to(kind)).map(|t| t.method().as_str());
            Err(Error::Data(format!(
                "{} is not defined for {name:?}; use one of auto, {}",
                method.as_str(),
                usable.collect::<Vec<_>>().join(", ")
            )))
        }
        _ => Ok(()),
    }
}

/// The statistic relative to its threshold: from 1 on a change is material.
pub fn severity(feature: &FeatureDrift) -> f64 {
    if feature.threshold > 0.0 { feature.statistic / feature.threshold } else { feature.statistic }
}

/// Compares two samples of one feature by a rule.
///
/// # Errors
/// If the rule's method is not defined for such a feature.
pub fn feature(
    name: &str,
    kind: FeatureKind,
    baseline: &Sample,
    current: &Sample,
    rule: &DriftRule,
) -> Result<FeatureDrift> {
    let data_type = if kind == FeatureKind::Numeric { DataType::Float64 } else { DataType::String };
    check_method(name, rule.method, data_type)?;
    let (test, measured, psi) = if baseline.present() == 0 || current.present() == 0 {
        // Nothing to compare but how much is missing.
        let nothing = Measurement { statistic: 0.0, p_value: None };
        (&Psi as &dyn DriftTest, nothing, 0.0)
    } else {
        let wanted = test(rule.method).unwrap_or_else(|| auto(kind, baseline.present(), current.present()));
        let psi = Psi.measure(baseline, current)?;
        match wanted.measure(baseline, current) {
            Ok(measured) => (wanted, measured, psi.statistic),
            // A baseline that never varies has no unit to measure a distance in.
            Err(_) => (&Psi as &dyn DriftTest, psi, psi.statistic),
        }
    };
    let beyond_chance = measured.p_value.is_none_or(|p| p < SIGNIFICANCE);
    Ok(FeatureDrift {
        feature: name.to_owned(),
        method: test.method(),
        statistic: measured.statistic,
        threshold: rule.threshold,
        drifted: (measured.statistic > rule.threshold && beyond_chance) || missing_changed(baseline, current)?,
        p_value: measured.p_value,
        psi,
        missing_percent_baseline: 100.0 * baseline.missing_share(),
        missing_percent_current: 100.0 * current.missing_share(),
        distribution: distribution(baseline, current),
    })
}

/// Whether the share of missing values changed materially.
pub fn missing_changed(baseline: &Sample, current: &Sample) -> Result<bool> {
    let cells = |sample: &Sample| {
        let counts = [("missing", sample.missing()), ("present", sample.present())];
        let named = counts.into_iter().filter(|(_, count)| *count > 0);
        Sample::Categorical(super::Categories::from_counts(named.map(|(name, count)| (name.to_owned(), count))))
    };
    if baseline.missing() == 0 && current.missing() == 0 {
        return Ok(false);
    }
    let measured = Psi.measure(&cells(baseline), &cells(current))?;
    Ok(measured.statistic > MISSING_THRESHOLD && measured.p_value.is_none_or(|p| p < SIGNIFICANCE))
}
