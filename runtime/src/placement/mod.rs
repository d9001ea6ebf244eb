//! Where work is done: by processes of this machine, or by pods.

pub mod pods;
mod process;
pub mod training;

pub use pods::Pods;
pub use process::{command, spawn};

/// What runs the processes that serve and train.
pub enum Placement {
    /// This machine.
    Processes,
    /// Kubernetes.
    Pods(Box<Pods>),
}
