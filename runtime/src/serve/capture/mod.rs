//! Keeping what was asked and answered, sealed.
//!
//! Predictions of sampled requests, and all outcomes, go through a bounded
//! channel to one task that collects them by endpoint and writes segments. A
//! segment is a file in the sealed format of `falaj-store` under the capture
//! key; nothing of it is on the disk before it is sealed. It gets its final name
//! once it is durable, when it has enough rows, is old enough, or on a flush.
//!
//! Durability is *batched*: a crash loses the segments that are open, which is
//! at most `max_seconds` or `max_rows` of an endpoint's traffic, whichever is
//! less. Under more load than the disk can take, requests are answered and not
//! captured; they are counted in `falaj_capture_dropped_total`.

mod read;
mod segment;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use falaj_engine::infer::Tensors;
use falaj_kms::Context;
use falaj_store::keys::FileKey;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::metrics::Metrics;
use super::protocol::{CaptureSnapshot, FromServe};
use super::routing::{Variant, hash};
use crate::oip;

pub use read::{Captured, Outcome, ReadError, open, read};

/// Entries that may wait for the writer.
const QUEUE: usize = 16_384;
/// Values that may wait in them, over all tensors.
const MAX_QUEUED_VALUES: usize = 32 << 20;

/// Where the captures of one endpoint go.
pub struct Target {
    pub endpoint: String,
    pub directory: PathBuf,
    pub key: FileKey,
    pub max_rows: u64,
    pub max_age: Duration,
    sampling_percent: f64,
}

/// The answer of one variant to one request.
pub struct Prediction {
    pub target: Arc<Target>,
    pub variant: Arc<Variant>,
    pub request_id: String,
    pub at_micros: i64,
    pub inputs: Tensors,
    pub outputs: Tensors,
}

/// Labels that came back.
pub struct Outcomes {
    pub target: Arc<Target>,
    pub at_micros: i64,
    pub outcomes: Vec<oip::Outcome>,
}

enum Entry {
    Prediction(Box<Prediction>),
    Outcomes(Outcomes),
    /// Close everything and say so.
    Flush,
}

/// The way to the writer.
#[derive(Clone)]
pub struct Capture {
    entries: mpsc::Sender<Entry>,
    queued_values: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Target {
    /// # Errors
    /// If the key is not 32 bytes in base64, or its id is not a UUID.
    pub fn new(endpoint: &str, snapshot: &CaptureSnapshot) -> Result<Self, String> {
        let key_id = snapshot.key_id.parse().map_err(|e| format!("capture key id {:?}: {e}", snapshot.key_id))?;
        let key = STANDARD.decode(snapshot.key.expose()).ok().map(Zeroizing::new);
        let key = key.and_then(|key| <[u8; 32]>::try_from(key.as_slice()).ok());
        let key = key.ok_or("the capture key has to be 32 bytes in base64")?;
        Ok(Self {
            endpoint: endpoint.to_owned(),
            directory: snapshot.directory.clone(),
            key: FileKey::from_parts(key_id, key),
            max_rows: snapshot.max_rows.max(1),
            max_age: Duration::from_secs(snapshot.max_seconds.max(1)),
            sampling_percent: snapshot.sampling_percent,
        })
    }

    /// Whether the request of this id is captured: the same for all variants
    /// that answer it.
    pub fn samples(&self, request_id: &str) -> bool {
        let draw = hash(request_id, "capture") as f64 / u64::MAX as f64;
        self.sampling_percent >= 100.0 || draw * 100.0 < self.sampling_percent
    }
}

/// What a segment's sealed file is bound to, together with its file name.
fn context(endpoint: &str) -> Context {
    Context::new().with("falaj:kind", "capture").with("falaj:endpoint", endpoint)
}

impl Capture {
    /// Starts the writer. Events of closed segments go to `events`. The writer
    /// ends, everything written, when the last clone of this is dropped.
    pub fn start(metrics: Arc<Metrics>, events: mpsc::Sender<FromServe>) -> (Self, tokio::task::JoinHandle<()>) {
        let (entries, receiver) = mpsc::channel(QUEUE);
        let queued_values = Arc::new(AtomicUsize::new(0));
        let writer = writer::Writer::new(receiver, events, queued_values.clone(), metrics.clone());
        (Self { entries, queued_values, metrics }, tokio::spawn(writer.run()))
    }

    /// Hands a prediction over. Never waits.
    pub fn prediction(&self, prediction: Prediction) {
        if !self.hand_over(Entry::Prediction(Box::new(prediction))) {
            self.metrics.capture.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Hands outcomes over. False: there is no room now, the caller may retry.
    #[must_use]
    pub fn outcomes(&self, outcomes: Outcomes) -> bool {
        self.hand_over(Entry::Outcomes(outcomes))
    }

    fn hand_over(&self, entry: Entry) -> bool {
        let values = entry.values();
        let taken = self.queued_values.fetch_add(values, Relaxed) + values;
        if taken <= MAX_QUEUED_VALUES && self.entries.try_send(entry).is_ok() {
            return true;
        }
        self.queued_values.fetch_sub(values, Relaxed);
        false
    }

    /// Closes every segment that has something captured before this call, then
    /// sends `Flushed`.
    pub async fn flush(&self) {
        // The writer outlives every sender.
        let _ = self.entries.send(Entry::Flush).await;
    }
}

impl Entry {
    /// How many values it holds in memory.
    fn values(&self) -> usize {
        match self {
            Self::Prediction(prediction) => {
                let tensors = prediction.inputs.iter().chain(&prediction.outputs);
                tensors.map(|(_, tensor)| tensor.data().len()).sum()
            }
            Self::Outcomes(outcomes) => outcomes.outcomes.iter().map(|outcome| outcome.labels.len()).sum(),
            Self::Flush => 0,
        }
    }
}
