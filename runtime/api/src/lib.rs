//! The contract between Falaj's provider and its runtime.
//!
//! Types of every declared object, one type per control-plane request
//! ([`Call`]), and the rules both sides ask: [`Residency`], [`Posture`],
//! regions, names, ids and key URIs. Everything here is pure; the HTTP client
//! stands behind the feature `client`.

pub mod audit;
pub mod blob;
pub mod call;
#[cfg(feature = "client")]
pub mod client;
pub mod cluster;
pub mod duration;
pub mod endpoint;
pub mod feature_store;
pub mod gpu_node_pool;
pub mod id;
pub mod key_uri;
pub mod local;
pub mod model;
pub mod monitor;
pub mod name;
pub mod operation;
pub mod posture;
pub mod problem;
pub mod record;
pub mod region;
pub mod residency;
pub mod workspace;

pub use call::{Call, Method};
pub use duration::Duration;
pub use id::Id;
pub use key_uri::{KeyUri, KmsKey};
pub use posture::Posture;
pub use problem::Problem;
pub use record::{Kind, Record};
pub use region::Region;
pub use residency::{Evidence, Place, Residency};

/// The release with its name before it, so that it is found in a binary.
const RELEASE: &str = concat!("falaj release ", env!("CARGO_PKG_VERSION"));

/// The release: semantic version, the same for provider and runtime. Read when
/// it is asked for, so that the compiler leaves no copies of it in the code.
#[must_use]
pub fn version() -> &'static str {
    std::hint::black_box(RELEASE).trim_start_matches("falaj release ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_release_is_the_workspaces_version() {
        assert_eq!(super::version(), env!("CARGO_PKG_VERSION"));
    }
}
