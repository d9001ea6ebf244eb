//! The control plane's HTTP side: every route comes from a [`Call`].

mod listen;
mod route;

pub use listen::listen;
pub use route::{Routes, authorise, problem_response};
