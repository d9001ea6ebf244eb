//! Training, inference, drift and joins as pure computation.
//!
//! What is absent here on purpose: HTTP, clouds, disks, clocks and threads that
//! outlive a call. Data comes in as Arrow record batches and bytes and goes out
//! the same way. The one file that is opened is the ONNX Runtime library, whose
//! path the caller gives.

pub mod column;
pub mod drift;
mod error;
pub mod infer;
pub mod join;
pub mod metrics;
pub mod model;
pub mod onnx;
pub mod random;
pub mod report;
pub mod train;

pub use error::{Error, Result};
