//! `falaj serve`: the process that answers predictions.

pub mod protocol;
