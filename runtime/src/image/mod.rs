//! `falaj image`: the container image of a release, made without a container engine
//! and put into a registry.
//!
//! The image has three layers, so that an upgrade moves only the last: files of pinned
//! Debian packages, the ONNX Runtime library, the program. Equal inputs give equal
//! bytes.

mod build;
mod contents;
mod credentials;
mod deb;
mod elf;
mod layer;
mod layout;
mod lock;
mod mirror;
mod provenance;
mod push;
mod root;
mod sbom;
mod tree;

use anyhow::{Context, Result};
use clap::Subcommand;

pub use build::{Build, Built};
pub use mirror::Source;
pub use push::{Push, Registry};

#[derive(Debug, Subcommand)]
pub enum Image {
    /// Writes an image of this program with ONNX Runtime, without a container engine or root.
    Build(Build),
    /// Puts an image into a registry and prints its name by digest.
    Push(Push),
}

/// # Errors
/// The image cannot be built or pushed; the message says what is missing.
pub async fn run(command: Image) -> Result<()> {
    match command {
        Image::Build(build) => {
            let built = build.run().await?;
            eprint!("{built}");
            println!("{}", built.reference());
        }
        Image::Push(push) => println!("{}", push.run().await?),
    }
    Ok(())
}

/// A client with the one cryptographic library of the tree, and the system's certificates.
fn http_client() -> Result<reqwest::Client> {
    use_our_cryptography();
    reqwest::Client::builder()
        .user_agent(concat!("falaj/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(std::time::Duration::from_secs(20))
        .read_timeout(std::time::Duration::from_secs(60))
        .build()
        .context("the HTTP client cannot be started")
}

/// It fails only where one is in use already.
fn use_our_cryptography() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
