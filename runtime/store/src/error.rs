use std::path::{Path, PathBuf};

use falaj_kms::KmsError;

/// What the store could not do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// An object of the same identity is there already.
    #[error("a {kind} named {name:?} exists already")]
    Exists {
        kind: String,
        name: String,
        /// Uid of the one that exists.
        uid: String,
    },

    /// What was to be changed is not there.
    #[error("there is no {what}")]
    NotFound { what: String },

    /// A newer attempt owns the operation; nothing of this one was written.
    #[error(
        "attempt {attempt} of operation {operation} was superseded or the operation has ended; its result is discarded"
    )]
    Superseded { operation: String, attempt: i64 },

    /// The key was deleted, which is how data is erased; or it never was.
    #[error("the key {key} does not exist: what was sealed under it is erased")]
    KeyErased { key: String },

    /// Sealed bytes that were altered, moved, cut, or belong to something else.
    #[error("{what} is not authentic: {why}")]
    NotAuthentic { what: String, why: &'static str },

    /// Stored data that makes no sense, although it is not sealed.
    #[error("{what} is damaged: {why}")]
    Damaged { what: String, why: String },

    /// An argument this layer cannot accept.
    #[error("{what}: {why}")]
    Invalid { what: String, why: String },

    #[error(transparent)]
    Kms(#[from] KmsError),

    #[error("could not {action}")]
    Database {
        action: &'static str,
        #[source]
        source: sqlx::Error,
    },

    #[error("could not {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },

    /// The cryptographic library refused: out of memory or of random bytes.
    #[error("the cryptographic library could not {action}")]
    Crypto { action: &'static str },

    /// A task of the store's own ended early; the process is shutting down.
    #[error("the store's background task to {action} did not finish")]
    Interrupted { action: &'static str },
}

impl StoreError {
    /// Whether the same call may succeed a little later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Kms(error) => error.retryable(),
            Self::Database { source, .. } => match source {
                sqlx::Error::PoolTimedOut => true,
                // SQLITE_BUSY and its extended codes.
                sqlx::Error::Database(e) => e.code().and_then(|c| c.parse::<i32>().ok()).is_some_and(|c| c & 0xff == 5),
                _ => false,
            },
            _ => false,
        }
    }

    pub(crate) fn db(action: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Database { action, source }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }

    pub(crate) fn not_authentic(what: impl Into<String>, why: &'static str) -> Self {
        Self::NotAuthentic { what: what.into(), why }
    }

    pub(crate) fn damaged(what: impl Into<String>, why: impl ToString) -> Self {
        Self::Damaged { what: what.into(), why: why.to_string() }
    }

    pub(crate) fn missing(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    pub(crate) fn invalid(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), why: why.into() }
    }
}

pub type Result<T, E = StoreError> = std::result::Result<T, E>;
