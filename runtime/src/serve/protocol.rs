//! What the server and `falaj serve` say to each other, in frames of
//! [`crate::pipe`].
//!
//! The server sends artifacts first, then a snapshot that refers to them. A
//! snapshot is complete in itself and replaces the one before it as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use falaj_api::model::Signature;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// From the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToServe {
    /// The bytes of a model, as payload. They are checked against the digest
    /// (SHA-256, lower-case hexadecimal) before anything parses them, kept until
    /// a later snapshot no longer refers to them, and need sending once.
    Artifact { digest: String, format: Format },
    /// What is to be served from now on; answered by `Ready` or `Failed`. After
    /// `Failed` the snapshot before it stays in force.
    Snapshot(Snapshot),
    /// Close the open capture segments; answered by `SegmentClosed` for each,
    /// then `Flushed`, once they are durable.
    Flush,
    /// The server has this segment: the pod need not keep it.
    SegmentKept { endpoint: String, file: String },
    /// Take no new connections, finish what is in flight, close the segments,
    /// exit. The end of the channel means the same.
    Drain,
}

/// From `falaj serve`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromServe {
    /// The snapshot of this generation is in force.
    Ready { generation: u64 },
    /// It could not be, and why.
    Failed { generation: u64, reason: String },
    /// A capture segment is durable under its final name. A pod sends its bytes
    /// as payload, until they are answered by `SegmentKept`.
    SegmentClosed {
        endpoint: String,
        /// Inside the directory of the endpoint's capture.
        file: String,
        /// Predictions, one per row of a request and variant that answered it.
        rows: u64,
        /// Labels that came back later.
        outcomes: u64,
        /// When the first and the last of them arrived, microseconds since 1970.
        first_at_micros: i64,
        last_at_micros: i64,
    },
    /// Everything captured before the `Flush` is durable.
    Flushed,
}

/// How the bytes of an artifact are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Onnx,
    /// The safetensors file of a model trained here.
    Native,
}

/// Everything that is served, and to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Rises with every snapshot.
    pub generation: u64,
    /// Absent: plain text, for benchmarks only.
    pub tls: Option<Tls>,
    pub endpoints: BTreeMap<String, EndpointSnapshot>,
}

/// The identity of the server and the authority its callers must come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tls {
    /// The server's certificate, then any intermediate ones.
    pub certificate_pem: String,
    /// PKCS #8.
    pub key_pem: Secret,
    pub client_ca_pem: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EndpointSnapshot {
    pub variants: BTreeMap<String, VariantSnapshot>,
    /// SPIFFE ids that may call it, as they stand in the certificate.
    pub invokers: BTreeSet<String>,
    pub capture: Option<CaptureSnapshot>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantSnapshot {
    pub model: String,
    pub version: u32,
    /// Share of the traffic relative to the other variants; 0 for a shadow.
    pub weight: u32,
    /// Answers every request too, after the caller has its reply.
    pub shadow: bool,
    /// Digest of an [`ToServe::Artifact`].
    pub artifact: String,
    pub signature: Signature,
}

/// Where requests and answers are kept, sealed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaptureSnapshot {
    pub directory: PathBuf,
    /// 32 bytes, base64.
    pub key: Secret,
    pub key_id: String,
    /// Share of the requests, 0 to 100. All outcomes are kept.
    pub sampling_percent: f64,
    /// A segment is closed when it has this many predictions and outcomes ...
    pub max_rows: u64,
    /// ... or when its first one is this old.
    pub max_seconds: u64,
}

/// A text that must not be printed; it is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize)]
#[zeroize(drop)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sent_but_never_printed() {
        let capture = CaptureSnapshot {
            directory: "captures".into(),
            key: Secret::new("c2VjcmV0"),
            key_id: "k1".to_owned(),
            sampling_percent: 100.0,
            max_rows: 10,
            max_seconds: 60,
        };
        let json = serde_json::to_string(&capture).unwrap();
        assert_eq!(serde_json::from_str::<CaptureSnapshot>(&json).unwrap(), capture);
        assert!(json.contains("c2VjcmV0"));
        assert!(!format!("{capture:?}").contains("c2VjcmV0"));
    }
}
