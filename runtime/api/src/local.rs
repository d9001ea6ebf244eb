//! What the provider and the runtime of a local cluster leave for each other
//! in the cluster's data directory (mode 0700).
//!
//! ```text
//! cluster.json    the seed: written once by the provider, before the first start
//! lock            held (flock) by the server while it runs
//! running.json    written by the server once it answers; removed when it ends
//! admin/          ca.pem, cert.pem, key.pem: the platform role's, renewed by the server
//! clients/<workspace>/<application>/   ca.pem, cert.pem, key.pem of an invoker
//! bin/<digest>/   the copied runtime and its ONNX Runtime library
//! logs/           server.log and one log for each process it starts
//! ```

use serde::{Deserialize, Serialize};

use crate::cluster::ClusterSpec;

pub const SEED_FILE: &str = "cluster.json";
pub const LOCK_FILE: &str = "lock";
pub const RUNNING_FILE: &str = "running.json";
pub const ADMIN_DIR: &str = "admin";
pub const CLIENTS_DIR: &str = "clients";
pub const CA_FILE: &str = "ca.pem";
pub const CERT_FILE: &str = "cert.pem";
pub const KEY_FILE: &str = "key.pem";
pub const SERVER_LOG: &str = "logs/server.log";

/// What a cluster begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    pub name: String,
    /// UUID, made by whoever writes the seed.
    pub uid: String,
    pub spec: ClusterSpec,
}

/// What a running server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub pid: u32,
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    pub version: String,
    pub cluster_uid: String,
    pub machine_id: String,
}
