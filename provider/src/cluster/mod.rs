//! Bringing a cluster's runtime to life.

mod kubernetes;
mod local;
mod process;
mod runtime;
pub mod service;
mod unit;

pub use kubernetes::{KubernetesCluster, KubernetesError, Target};
pub use local::{LocalCluster, LocalError};
pub use runtime::sha256;
pub use service::Service;
