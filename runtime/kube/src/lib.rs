//! Falaj on Kubernetes: what is applied there, whose it is, and why a pod does
//! not start.
//!
//! Both programs use it: the provider, which brings a cluster's control plane
//! up with a kubeconfig, and the control plane itself, from inside. Everything
//! is written by server-side apply, so that each field has one owner.

pub mod access;
pub mod control_plane;
pub mod diagnose;
mod error;
pub mod labels;
mod objects;
pub mod portforward;
pub mod serving;
pub mod settings;
pub mod training;
pub mod workload;

pub use access::{Access, Credentials, Kube};
pub use control_plane::ControlPlane;
pub use diagnose::{Cause, diagnose};
pub use error::KubeError;
pub use kube::api::DynamicObject;
pub use objects::{Object, Untyped, describe, differences};
pub use settings::{NodeRegions, Settings};
