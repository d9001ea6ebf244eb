//! `terraform-provider-falaj`: an ML platform, its residency, its keys and its
//! drift contracts, declared.
//!
//! The provider brings a runtime to life where a cluster is declared; all else
//! is a call to that runtime, which checks again what the plan has checked.

mod attributes;
mod cluster;
mod connection;
mod data_sources;
mod errors;
mod functions;
mod keys;
mod place;
mod provider;
mod resources;

fn main() -> std::process::ExitCode {
    tfplugin::serve(provider::FalajProvider)
}
