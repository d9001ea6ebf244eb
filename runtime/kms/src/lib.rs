//! Key URIs and the key management services behind them.
//!
//! A [`Kms`] holds one *key encryption key* that never leaves it. The store asks it for data keys,
//! keeps only their wrapped form, and asks again to unwrap them. Every call carries a [`Context`]:
//! names that are not secret but must be given again, exactly, to unwrap.
//!
//! ```text
//! file:///etc/falaj/key                          a 32-byte key file, for development
//! aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID   AWS KMS, in the region of the ARN
//! ```

mod context;
mod error;
mod file;
mod open;

#[cfg(feature = "aws")]
mod aws;

use async_trait::async_trait;
use zeroize::Zeroizing;

#[cfg(feature = "aws")]
pub use aws::AwsKms;
pub use context::Context;
pub use error::{KmsError, Problem};
pub use file::{FileKms, create_key_file};
pub use open::open;

/// Bytes of a data key.
pub const DATA_KEY_LEN: usize = 32;

/// A data key in the clear; wiped from memory when dropped.
pub type PlaintextKey = Zeroizing<[u8; DATA_KEY_LEN]>;

/// A fresh data key, in the clear and as it may be stored.
pub struct DataKey {
    pub plaintext: PlaintextKey,
    /// Opaque to everybody but the service that made it.
    pub wrapped: Vec<u8>,
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKey").finish_non_exhaustive()
    }
}

/// Who can reach the key encryption key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// A service or device keeps it; this host can only ask.
    Service,
    /// It lies on this host: whoever is root here has it.
    Host,
}

/// Whether the key can be used now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
    /// Known to the service, but in none of the states above (for example awaiting import).
    Unavailable,
}

/// What is known of a key encryption key without using it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The URI it was opened by.
    pub uri: String,
    /// A stable id: the ARN of the key itself (never of an alias), or the fingerprint of a key file.
    pub key_id: String,
    /// Cloud-qualified region (`aws:me-central-1`), or the region given for a key file.
    pub region: Option<String>,
    /// Other regions that hold the same key material (an AWS multi-region key), cloud-qualified and
    /// sorted: residency has to hold for each of them.
    pub replica_regions: Vec<String>,
    pub custody: Custody,
    pub state: KeyState,
}

/// A key encryption key.
#[async_trait]
pub trait Kms: Send + Sync + std::fmt::Debug {
    /// A fresh 256-bit data key.
    async fn generate_data_key(&self, context: &Context) -> Result<DataKey, KmsError>;

    /// Wraps a short secret of the caller's (at most 4,096 bytes, the limit of AWS KMS).
    async fn wrap(&self, plaintext: &[u8], context: &Context) -> Result<Vec<u8>, KmsError>;

    /// The secret that was wrapped. Fails with [`Problem::NotAuthentic`] when the bytes were
    /// changed, were wrapped by another key, or when `context` is not the one they were wrapped in.
    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Zeroizing<Vec<u8>>, KmsError>;

    /// The same secret wrapped anew, by the newest material of this key.
    async fn rewrap(&self, wrapped: &[u8], context: &Context) -> Result<Vec<u8>, KmsError>;

    /// What is known of the key; uses it for nothing.
    async fn describe(&self) -> Result<Description, KmsError>;

    /// The URI the key was opened by.
    fn uri(&self) -> &str;
}

/// [`Kms::unwrap`] for a data key: also checks its length.
pub async fn unwrap_data_key(kms: &dyn Kms, wrapped: &[u8], context: &Context) -> Result<PlaintextKey, KmsError> {
    let plaintext = kms.unwrap(wrapped, context).await?;
    let key: [u8; DATA_KEY_LEN] = plaintext.as_slice().try_into().map_err(|_| {
        KmsError::new(kms.uri(), "unwrap a data key", Problem::NotAuthentic)
            .detail(format!("the unwrapped secret has {} bytes, a data key has {DATA_KEY_LEN}", plaintext.len()))
    })?;
    Ok(Zeroizing::new(key))
}
