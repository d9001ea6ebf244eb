//! Falaj's bundled runtime: the control plane (`falaj server`), predictions
//! (`falaj serve`), training (`falaj train`) and the tools a person runs.

pub mod audit;
mod cluster;
pub mod command;
mod control;
pub mod data_dir;
pub mod dial;
mod endpoint;
mod feature_store;
mod gpu_node_pool;
mod health;
mod host;
mod http;
mod identity;
pub mod image;
mod in_cluster;
mod key;
mod model;
mod monitor;
mod noun;
pub mod oip;
mod operations;
pub mod pipe;
mod placement;
pub mod replay;
mod retention;
mod scope;
pub mod serve;
pub mod server;
mod serving;
mod stored;
mod switchboard;
pub mod train;
mod upload;
mod workspace;

/// SHA-256, lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}
