//! The values of one feature, in the form the tests need.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::FeatureKind;
use crate::column;
use crate::{Error, Result};

/// A sample of one feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    Numeric(Numbers),
    Categorical(Categories),
}

/// A sample of numbers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbers {
    sorted: Vec<f64>,
    missing: u64,
}

/// A sample of categories: how often each occurs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Categories {
    counts: BTreeMap<String, u64>,
    missing: u64,
}

impl Sample {
    /// Reads a column as a sample of the given kind.
    ///
    /// # Errors
    /// If the column is missing or cannot be read as that kind.
    pub fn from_column(batch: &RecordBatch, name: &str, kind: FeatureKind) -> Result<Self> {
        match kind {
            FeatureKind::Numeric => Ok(Self::Numeric(Numbers::new(column::numeric(batch, name)?))),
            FeatureKind::Categorical => {
                let text = column::text(batch, name)?;
                Ok(Self::Categorical(Categories::new(text.iter())))
            }
        }
    }

    /// Rows with a value.
    pub fn present(&self) -> u64 {
        match self {
            Self::Numeric(numbers) => numbers.sorted.len() as u64,
            Self::Categorical(categories) => categories.counts.values().sum(),
        }
    }

    /// Rows without a value.
    pub fn missing(&self) -> u64 {
        match self {
            Self::Numeric(numbers) => numbers.missing,
            Self::Categorical(categories) => categories.missing,
        }
    }

    /// The share of rows without a value, 0 to 1; 0 for no rows at all.
    pub fn missing_share(&self) -> f64 {
        let all = self.present() + self.missing();
        if all == 0 {
            return 0.0;
        }
        self.missing() as f64 / all as f64
    }
}

impl Numbers {
    /// A sample of these values; what is not a finite number is missing.
    pub fn new(mut values: Vec<f64>) -> Self {
        let all = values.len();
        values.retain(|v| v.is_finite());
        let missing = (all - values.len()) as u64;
        values.sort_unstable_by(f64::total_cmp);
        Self { sorted: values, missing }
    }

    /// The values in ascending order.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The quantile at `q` in 0..=1, interpolated linearly between the two
    /// nearest values (NumPy's default); `None` of an empty sample.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        let position = q.clamp(0.0, 1.0) * last as f64;
        let low = position.floor();
        let a = *self.sorted.get(low as usize)?;
        let b = *self.sorted.get(position.ceil() as usize)?;
        let t = position - low;
        // From the nearer end, as NumPy does, so that quantiles are monotone.
        Some(if t >= 0.5 { b - (b - a) * (1.0 - t) } else { a + (b - a) * t })
    }

    /// The standard deviation, with n-1 in the denominator.
    pub fn standard_deviation(&self) -> f64 {
        let n = self.sorted.len() as f64;
        let mean = self.sorted.iter().sum::<f64>() / n;
        let squares: f64 = self.sorted.iter().map(|v| (v - mean).powi(2)).sum();
        (squares / (n - 1.0)).sqrt()
    }

    /// Counts per bin of a partition of the line: `edges` in ascending order
    /// cut it, and each bin holds its lower edge.
    pub fn histogram(&self, edges: &[f64]) -> Vec<u64> {
        let mut counts = Vec::with_capacity(edges.len() + 1);
        let mut before = 0;
        for edge in edges {
            let below = self.sorted.partition_point(|v| v < edge);
            counts.push((below - before) as u64);
            before = below;
        }
        counts.push((self.sorted.len() - before) as u64);
        counts
    }
}

impl Categories {
    /// A sample of these values; `None` and the empty text are missing.
    pub fn new<'a>(values: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut sample = Self::default();
        for value in values {
            match value.filter(|v| !v.is_empty()) {
                None => sample.missing += 1,
                Some(value) => match sample.counts.get_mut(value) {
                    Some(count) => *count += 1,
                    None => {
                        sample.counts.insert(value.to_owned(), 1);
                    }
                },
            }
        }
        sample
    }

    /// A sample given by its counts.
    pub fn from_counts(counts: impl IntoIterator<Item = (String, u64)>) -> Self {
        Self { counts: counts.into_iter().collect(), missing: 0 }
    }

    /// How often each value occurs, in the order of the values.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// The counts of both samples for each value in either, in order.
    pub fn aligned<'a>(&'a self, other: &'a Self) -> Vec<(&'a str, u64, u64)> {
        let mut both: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (value, count) in &self.counts {
            both.entry(value).or_default().0 = *count;
        }
        for (value, count) in &other.counts {
            both.entry(value).or_default().1 = *count;
        }
        both.into_iter().map(|(v, (a, b))| (v, a, b)).collect()
    }
}

/// Edges that cut the baseline into at most `bins` parts of equal weight.
///
/// A value so frequent that several quantiles fall on it gets a bin of its
/// own, so that a column of mostly zeros, or of 0 and 1, is still told apart.
pub fn quantile_edges(baseline: &Numbers, bins: usize) -> Vec<f64> {
    let cuts = (1..bins).filter_map(|i| baseline.quantile(i as f64 / bins as f64));
    let mut edges: Vec<f64> = Vec::new();
    for cut in cuts {
        match edges.last() {
            Some(last) if cut == *last => edges.push(cut.next_up()),
            Some(last) if cut < *last => {}
            _ => edges.push(cut),
        }
    }
    edges
}

/// The counts of both samples in the same cells: per value for categories,
/// in ten parts of the baseline's equal weight for numbers.
///
/// # Errors
/// If the samples are of different kinds, or one has no values.
pub fn cells(baseline: &Sample, current: &Sample) -> Result<(Vec<f64>, Vec<f64>)> {
    not_empty(baseline, current)?;
    match (baseline, current) {
        (Sample::Numeric(baseline), Sample::Numeric(current)) => {
            let edges = quantile_edges(baseline, 10);
            let as_floats = |counts: Vec<u64>| counts.into_iter().map(|c| c as f64).collect();
            Ok((as_floats(baseline.histogram(&edges)), as_floats(current.histogram(&edges))))
        }
        (Sample::Categorical(baseline), Sample::Categorical(current)) => {
            Ok(baseline.aligned(current).into_iter().map(|(_, a, b)| (a as f64, b as f64)).unzip())
        }
        _ => Err(kinds_differ()),
    }
}

/// Both samples as numbers.
pub(super) fn both_numeric<'a>(baseline: &'a Sample, current: &'a Sample) -> Result<(&'a Numbers, &'a Numbers)> {
    not_empty(baseline, current)?;
    match (baseline, current) {
        (Sample::Numeric(baseline), Sample::Numeric(current)) => Ok((baseline, current)),
        _ => Err(Error::Data(
            "this drift test needs a numeric feature; use psi, chi_squared or jensen_shannon".to_owned(),
        )),
    }
}

fn not_empty(baseline: &Sample, current: &Sample) -> Result<()> {
    for (name, sample) in [("baseline", baseline), ("current", current)] {
        if sample.present() == 0 {
            return Err(Error::Data(format!("the {name} sample has no values")));
        }
    }
    Ok(())
}

fn kinds_differ() -> Error {
    Error::Data("a numeric sample cannot be compared with a categorical one".to_owned())
}
