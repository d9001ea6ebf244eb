//! What each column may hold. A test compares this with the schema, so a new column cannot be
//! added without deciding.

/// Whether a column may be read without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Custody {
    /// Ids, names a user gave to infrastructure, states, times, counts, keyed marks and hashes.
    Clear,
    /// A sealed record, or a key wrapped by the KMS.
    Sealed,
}

use Custody::{Clear, Sealed};

/// Every table with its columns.
pub const COLUMNS: &[(&str, &[(&str, Custody)])] = &[
    ("migrations", &[("version", Clear), ("name", Clear), ("applied_at", Clear)]),
    (
        "keys",
        &[
            ("uid", Clear),
            ("workspace", Clear),
            ("segment", Clear),
            ("subject", Clear),
            ("kms_uri", Clear),
            ("wrapped", Sealed),
            ("created_at", Clear),
        ],
    ),
    (
        "records",
        &[
            ("uid", Clear),
            ("kind", Clear),
            ("workspace", Clear),
            ("parent", Clear),
            ("name", Clear),
            ("generation", Clear),
            ("revision", Clear),
            ("state", Clear),
            ("claimed", Clear),
            ("spec", Sealed),
            ("status", Sealed),
            ("created_at", Clear),
            ("updated_at", Clear),
        ],
    ),
    (
        "operations",
        &[
            ("id", Clear),
            ("kind", Clear),
            ("workspace", Clear),
            ("target_uid", Clear),
            ("state", Clear),
            ("attempt", Clear),
            ("revision", Clear),
            ("progress_percent", Clear),
            ("message", Sealed),
            ("error", Sealed),
            ("payload", Sealed),
            ("created_at", Clear),
            ("updated_at", Clear),
        ],
    ),
    (
        "versions",
        &[
            ("model_uid", Clear),
            ("version", Clear),
            ("workspace", Clear),
            ("spec_mark", Clear),
            ("data_mark", Clear),
            ("body", Sealed),
            ("created_at", Clear),
        ],
    ),
    ("aliases", &[("model_uid", Clear), ("alias", Clear), ("version", Clear), ("updated_at", Clear)]),
    (
        "reports",
        &[
            ("id", Clear),
            ("monitor_uid", Clear),
            ("workspace", Clear),
            ("verdict", Clear),
            ("body", Sealed),
            ("created_at", Clear),
        ],
    ),
    (
        "segments",
        &[
            ("endpoint_uid", Clear),
            ("name", Clear),
            ("workspace", Clear),
            ("kind", Clear),
            ("row_count", Clear),
            ("first_at", Clear),
            ("last_at", Clear),
            ("created_at", Clear),
        ],
    ),
    ("audit_heads", &[("chain", Clear), ("size", Clear), ("hash", Clear), ("frontier", Clear)]),
    ("audit_events", &[("chain", Clear), ("seq", Clear), ("event", Clear), ("hash", Clear), ("details", Sealed)]),
    (
        "audit_checkpoints",
        &[("chain", Clear), ("size", Clear), ("root", Clear), ("at", Clear), ("key_id", Clear), ("signature", Clear)],
    ),
    (
        "audit_refusals",
        &[
            ("chain", Clear),
            ("actor", Clear),
            ("rule", Clear),
            ("first_at", Clear),
            ("last_at", Clear),
            ("told", Clear),
            ("untold", Clear),
        ],
    ),
    (
        "signing_keys",
        &[
            ("key_id", Clear),
            ("cluster", Clear),
            ("public_key", Clear),
            ("wrapped", Sealed),
            ("kms_uri", Clear),
            ("created_at", Clear),
        ],
    ),
];
