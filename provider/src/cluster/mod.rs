//! Bringing a cluster's runtime to life.

mod local;
mod process;
mod runtime;
pub mod service;
mod unit;

pub use local::{LocalCluster, LocalError};
pub use runtime::sha256;
pub use service::Service;
