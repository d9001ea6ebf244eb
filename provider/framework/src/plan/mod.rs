//! The plan of a change, as a pure computation over values.
//!
//! In order: the configuration is laid over the prior state ([`propose`]),
//! defaults fill what the user left out, equal spellings keep the prior one
//! ([`keep`]), computed attributes become unknown where something they depend
//! on changed ([`unknowns`]); then the resource's own hook runs, and what
//! needs a new object is found ([`replace`]). [`contract`] holds the result
//! against the rules of the protocol. [`generate`] goes the other way, from an
//! object to the configuration it would have.

pub mod blocks;
pub mod contract;
pub mod generate;
pub mod keep;
pub mod merge;
mod nested;
pub mod propose;
pub mod replace;
pub mod unknowns;
pub mod write_only;

use crate::Value;
use crate::schema::Attribute;

/// The planned value of an object before the resource's own hook: everything
/// but what needs a new object. `prior` is null on create.
pub fn complete(attributes: &[Attribute], config: &Value, prior: &Value) -> Value {
    let proposed = write_only::remove(attributes, propose::object(attributes, config, prior));
    let kept = keep::object(attributes, prior, proposed);
    unknowns::object(attributes, config, prior, kept)
}

#[cfg(test)]
mod tests;
