//! From raw features to the numbers a network sees, learned from the training
//! rows and kept inside the model.
//!
//! Numbers are standardised; a missing one becomes the mean, which is 0 after
//! that. Categories become one indicator per value seen in training; a missing
//! or unseen value sets none of them. In the encoded row the numbers stand
//! first, then the indicators, both in the order of the features.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, RecordBatch, StringArray};
use falaj_api::feature_store::DataType;

use crate::column;
use crate::{Error, Result};

/// A category feature keeps at most this many values, the most frequent ones;
/// the others count as unseen.
pub const MOST_VALUES: usize = 1_000;

/// The learned encoding of every feature.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoder {
    features: Vec<Feature>,
    numbers: usize,
    width: usize,
    /// Per feature: its first encoded column.
    starts: Vec<usize>,
    /// Per feature: encoded column by category; empty for numbers.
    lookup: Vec<HashMap<String, u32>>,
}

/// One feature as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    pub name: String,
    pub data_type: DataType,
    pub encoding: Encoding,
}

/// How a feature becomes numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoding {
    /// `(x - mean) / deviation`; the deviation of a constant is taken as 1.
    Standardise { mean: f64, deviation: f64 },
    /// One indicator per value, in this order.
    OneHot { values: Vec<String> },
}

impl Feature {
    /// The datatype of the feature's input in the Open Inference Protocol.
    pub fn datatype(&self) -> &'static str {
        match self.data_type {
            DataType::Int64 | DataType::Float64 => "FP64",
            DataType::Bool => "BOOL",
            DataType::String => "BYTES",
        }
    }
}

impl Encoder {
    /// Learns the encoding of the features from the given rows of a batch.
    ///
    /// # Errors
    /// If a feature's column is missing or cannot be read as its type.
    pub fn learn(batch: &RecordBatch, features: &[(String, DataType)], rows: &[u32]) -> Result<Self> {
        let mut learned = Vec::with_capacity(features.len());
        for (name, data_type) in features {
            let encoding = match data_type {
                DataType::String => one_hot(&column::text(batch, name)?, rows),
                DataType::Int64 | DataType::Float64 | DataType::Bool => {
                    standardise(&column::numeric(batch, name)?, rows)
                }
            };
            learned.push(Feature { name: name.clone(), data_type: *data_type, encoding });
        }
        Self::from_features(learned)
    }

    /// The encoder with these features.
    ///
    /// # Errors
    /// If a name stands twice, or a feature's type and encoding do not fit.
    pub fn from_features(features: Vec<Feature>) -> Result<Self> {
        let fits = |f: &Feature| (f.data_type == DataType::String) == matches!(f.encoding, Encoding::OneHot { .. });
        for (index, feature) in features.iter().enumerate() {
            if !fits(feature) || features.iter().take(index).any(|f| f.name == feature.name) {
                return Err(Error::Artifact(format!(
                    "feature {:?} stands twice or is encoded against its type",
                    feature.name
                )));
            }
        }
        if features.is_empty() {
            return Err(Error::Data("a model needs at least one feature".to_owned()));
        }
        let is_number = |f: &&Feature| matches!(f.encoding, Encoding::Standardise { .. });
        let numbers = features.iter().filter(is_number).count();
        let mut width = numbers;
        let mut number = 0;
        let mut starts = Vec::with_capacity(features.len());
        let mut lookup = Vec::with_capacity(features.len());
        for feature in &features {
            match &feature.encoding {
                Encoding::Standardise { .. } => {
                    starts.push(number);
                    lookup.push(HashMap::new());
                    number += 1;
                }
                Encoding::OneHot { values } => {
                    starts.push(width);
                    let columns = (width as u32..).zip(values).map(|(c, v)| (v.clone(), c));
                    lookup.push(columns.collect());
                    width += values.len();
                }
            }
        }
        Ok(Self { features, numbers, width, starts, lookup })
    }

    /// The features in the order they were declared in.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// How many numbers an encoded row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many of them, at the front, are standardised numbers.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// Encodes every row of a batch.
    ///
    /// # Errors
    /// If a feature's column is missing or cannot be read as its type.
    pub fn encode(&self, batch: &RecordBatch) -> Result<Encoded> {
        let mut encoded = self.empty(batch.num_rows());
        for (index, feature) in self.features.iter().enumerate() {
            match feature.data_type {
                DataType::String => {
                    let values = column::text(batch, &feature.name)?;
                    self.push_categories(&mut encoded, index, values.iter());
                }
                DataType::Int64 | DataType::Float64 | DataType::Bool => {
                    let values = column::numeric(batch, &feature.name)?;
                    self.push_numbers(&mut encoded, index, values);
                }
            }
        }
        Ok(encoded)
    }

    /// An encoding of so many rows to which columns are still to be pushed.
    pub(crate) fn empty(&self, rows: usize) -> Encoded {
        Encoded { rows, width: self.width, columns: Vec::with_capacity(self.features.len()) }
    }

    /// Adds the raw numbers of the feature at `index`; `NaN` is missing.
    pub(crate) fn push_numbers(&self, encoded: &mut Encoded, index: usize, mut values: Vec<f64>) {
        let feature = self.features.get(index);
        if let Some(Encoding::Standardise { mean, deviation }) = feature.map(|f| &f.encoding) {
            for value in &mut values {
                *value = if value.is_nan() { 0.0 } else { (*value - mean) / deviation };
            }
            let start = self.starts.get(index).copied().unwrap_or_default();
            encoded.columns.push(EncodedColumn::Number { start, values });
        }
    }

    /// Adds the raw categories of the feature at `index`.
    pub(crate) fn push_categories<'a>(
        &self,
        encoded: &mut Encoded,
        index: usize,
        values: impl Iterator<Item = Option<&'a str>>,
    ) {
        if let Some(lookup) = self.lookup.get(index) {
            let code = |value: Option<&str>| value.and_then(|v| lookup.get(v).copied());
            let codes = values.map(|v| code(v).unwrap_or(NO_CATEGORY)).collect();
            encoded.columns.push(EncodedColumn::Category { codes });
        }
    }
}

/// Encoded rows, without the zeros of the indicators.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    rows: usize,
    width: usize,
    columns: Vec<EncodedColumn>,
}

#[derive(Debug, Clone, PartialEq)]
enum EncodedColumn {
    Number {
        start: usize,
        values: Vec<f64>,
    },
    /// The encoded column that is 1, or [`NO_CATEGORY`].
    Category {
        codes: Vec<u32>,
    },
}

const NO_CATEGORY: u32 = u32::MAX;

impl Encoded {
    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Calls `visit(column, value)` for what is not an indicator's zero.
    pub fn for_each_non_zero(&self, row: usize, mut visit: impl FnMut(usize, f64)) {
        for column in &self.columns {
            match column {
                EncodedColumn::Number { start, values } => {
                    visit(*start, values.get(row).copied().unwrap_or(0.0));
                }
                EncodedColumn::Category { codes } => {
                    let code = codes.get(row).copied().unwrap_or(NO_CATEGORY);
                    if code != NO_CATEGORY {
                        visit(code as usize, 1.0);
                    }
                }
            }
        }
    }

    /// The given rows written out, row-major, each with `extra` zeros behind.
    pub fn dense(&self, rows: &[u32], extra: usize) -> Vec<f64> {
        let width = self.width + extra;
        let mut out = vec![0.0; rows.len() * width];
        for (row, values) in rows.iter().zip(out.chunks_exact_mut(width.max(1))) {
            self.for_each_non_zero(*row as usize, |column, value| {
                if let Some(slot) = values.get_mut(column) {
                    *slot = value;
                }
            });
        }
        out
    }
}

fn standardise(values: &[f64], rows: &[u32]) -> Encoding {
    let chosen = || {
        let at = |row: &u32| values.get(*row as usize).copied();
        rows.iter().filter_map(at).filter(|v| v.is_finite())
    };
    let count = chosen().count().max(1) as f64;
    let mean = chosen().sum::<f64>() / count;
    let deviation = (chosen().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    let varies = deviation > mean.abs() * 1e-12 && deviation.is_finite();
    Encoding::Standardise { mean, deviation: if varies { deviation } else { 1.0 } }
}

fn one_hot(values: &StringArray, rows: &[u32]) -> Encoding {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for row in rows.iter().map(|r| *r as usize).filter(|r| values.is_valid(*r)) {
        *counts.entry(values.value(row)).or_default() += 1;
    }
    counts.remove("");
    let mut by_frequency: Vec<(&str, u64)> = counts.into_iter().collect();
    by_frequency.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    by_frequency.truncate(MOST_VALUES);
    let mut values: Vec<String> = by_frequency.into_iter().map(|(v, _)| v.to_owned()).collect();
    values.sort_unstable();
    Encoding::OneHot { values }
}
