//! Bringing a cluster's runtime to life.

mod local;
mod process;
mod runtime;

pub use local::{LocalCluster, LocalError};
pub use runtime::sha256;
