//! Evidence of every change and refusal, in the transaction of the change.
//!
//! One chain per workspace, and one for the cluster. Each event's hash covers the hash before it;
//! the hashes are leaves of a Merkle tree (RFC 9162) whose root is signed every so many events.
//! Format and how to check it by hand: `docs/formats/audit.md`.

mod append;
mod checkpoint;
mod event;
mod merkle;
mod read;
mod verify;

#[cfg(test)]
mod tests;

pub use append::{Appended, append, flush_refusals};
pub use checkpoint::{Checkpoint, PublicKey, checkpoint, latest_checkpoint, public_keys};
pub(crate) use checkpoint::{Signer, signing_context};
pub use event::{Event, Outcome};
pub use merkle::Frontier;
pub use read::{StoredEvent, chains, details, events};
pub use verify::{BadEvent, ChainReport, Verifier, verify_chain, verify_database, verify_export};
