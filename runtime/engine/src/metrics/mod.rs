//! How good predictions are, and how evenly they fall on people.

pub mod classification;
pub mod fairness;
pub mod performance;
pub mod regression;
