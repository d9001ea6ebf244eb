//! Falaj's records, sealed objects and evidence. Nothing leaves it unsealed.
//!
//! ```text
//! let store = Store::open(Options::new(dir, kms, cluster_uid)).await?;
//!
//! let mut tx = store.begin().await?;                 // BEGIN IMMEDIATE; dropped = undone
//! records::insert(&mut tx, &NewRecord { .. }).await?;
//! audit::append(&mut tx, &Event::allowed(workspace, actor, "model.create", id)).await?;
//! tx.commit().await?;                                // durable when it returns
//!
//! let mut reader = store.read().await?;              // one moment throughout
//! records::get(&mut reader, "model", parent, name).await?;
//! ```
//!
//! | module | functions over `&mut Session` (a `Tx` or a `Reader`) | over `&mut Tx` |
//! | --- | --- | --- |
//! | [`records`] | `get`, `get_by_uid`, `list`, `list_kind`, `list_children` | `insert`, `update_spec`, `update_status`, `set_state`, `claim`, `delete` |
//! | [`operations`] | `get`, `latest`, `list_unfinished` | `start`, `advance`, `finish`, `bump_attempt`, `delete_for` |
//! | [`versions`] | `get`, `list`, `find`, `find_by_spec`, `artifacts`, `alias`, `list_aliases` | `insert`, `set_alias`, `delete_alias`, `delete_model` |
//! | [`reports`] | `get`, `list`, `latest` | `insert`, `delete_for` |
//! | [`segments`] | `list` | `insert`, `expire` |
//! | [`audit`] | `chains`, `events`, `details`, `verify_chain`, `latest_checkpoint` | `append`, `flush_refusals`, `checkpoint` |
//! | keys | `Session::keys`, `Session::workspace_keys` | `Tx::keys_or_create`, `Tx::erase_key`, `Tx::erase_workspace_keys` |
//!
//! [`Blobs`] holds sealed objects by digest: put the blob first, then commit the record that refers
//! to it. [`sealed`] has the two formats themselves, for processes that have neither database nor
//! KMS: those get a [`keys::FileKey`].
//!
//! What is in a workspace is sealed under that workspace's key; a `workspace` argument is its uid,
//! or [`CLUSTER`] for what belongs to the cluster.

pub mod audit;
pub mod blobs;
mod crypto;
pub mod db;
mod digest;
mod error;
pub mod keys;
pub mod operations;
pub mod records;
pub mod reports;
mod rewrap;
pub mod sealed;
pub mod segments;
mod store;
pub mod versions;

pub use blobs::{BlobWriter, Blobs};
pub use db::{Db, Reader, Session, Tx};
pub use digest::Digest;
pub use error::{Result, StoreError};
pub use keys::{CLUSTER, FileKey, KeyRef, KeySet};
pub use store::{Options, Store};
