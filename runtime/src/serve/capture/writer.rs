//! The task that turns entries into segments.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use falaj_store::StoreError;
use falaj_store::sealed::file;
use tokio::sync::mpsc;

use super::segment::Segment;
use super::{Entry, Target, context};
use crate::serve::metrics::Metrics;
use crate::serve::protocol::FromServe;

/// Entries are taken in batches this far apart, so that a request does not pay
/// for waking the writer.
const PACE: Duration = Duration::from_millis(20);
/// A file without its final name after this long is nobody's.
const ABANDONED: Duration = Duration::from_secs(600);
/// How often ages are looked at while nothing arrives.
const TICK: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    entries: mpsc::Receiver<Entry>,
    events: mpsc::Sender<FromServe>,
    queued_values: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    /// By endpoint.
    open: HashMap<String, Open>,
    /// Directories in which nothing unfinished is left.
    swept: HashSet<PathBuf>,
}

struct Open {
    target: Arc<Target>,
    since: Instant,
    segment: Segment,
}

impl Writer {
    pub fn new(
        entries: mpsc::Receiver<Entry>,
        events: mpsc::Sender<FromServe>,
        queued_values: Arc<AtomicUsize>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { entries, events, queued_values, metrics, open: HashMap::new(), swept: HashSet::new() }
    }

    pub async fn run(mut self) {
        loop {
            match tokio::time::timeout(TICK, self.entries.recv()).await {
                Ok(Some(entry)) => {
                    self.take(entry).await;
                    while let Ok(entry) = self.entries.try_recv() {
                        self.take(entry).await;
                    }
                    tokio::time::sleep(PACE).await;
                }
                Ok(None) => break,
                Err(_) => {}
            }
            self.close(|open| open.since.elapsed() >= open.target.max_age).await;
        }
        self.close(|_| true).await;
    }

    async fn take(&mut self, entry: Entry) {
        self.queued_values.fetch_sub(entry.values(), Relaxed);
        let endpoint = match entry {
            Entry::Prediction(prediction) => {
                let open = self.open(&prediction.target).await;
                let before = open.segment.rows;
                open.segment.prediction(&prediction);
                let rows = open.segment.rows - before;
                self.metrics.capture.rows.fetch_add(rows, Relaxed);
                prediction.target.endpoint.clone()
            }
            Entry::Outcomes(outcomes) => {
                let open = self.open(&outcomes.target).await;
                let before = open.segment.outcomes;
                open.segment.outcomes(&outcomes);
                let count = open.segment.outcomes - before;
                self.metrics.capture.outcomes.fetch_add(count, Relaxed);
                outcomes.target.endpoint.clone()
            }
            Entry::Flush => {
                self.close(|_| true).await;
                // Nobody listens any more: the server is gone.
                let _ = self.events.send(FromServe::Flushed).await;
                return;
            }
        };
        let full = |open: &Open| open.segment.rows + open.segment.outcomes >= open.target.max_rows;
        if self.open.get(&endpoint).is_some_and(full) {
            self.close(|open| open.target.endpoint == endpoint).await;
        }
    }

    /// The open segment of the target's endpoint. One that was opened under
    /// another key or directory is closed first.
    async fn open(&mut self, target: &Arc<Target>) -> &mut Open {
        let other = |open: &Open| {
            open.target.endpoint == target.endpoint
                && (open.target.key.uid() != target.key.uid() || open.target.directory != target.directory)
        };
        if self.open.get(&target.endpoint).is_some_and(other) {
            self.close(other).await;
        }
        if self.swept.insert(target.directory.clone()) {
            sweep(&target.directory);
        }
        self.open.entry(target.endpoint.clone()).or_insert_with(|| Open {
            target: target.clone(),
            since: Instant::now(),
            segment: Segment::default(),
        })
    }

    async fn close(&mut self, which: impl Fn(&Open) -> bool) {
        let endpoints: Vec<String> =
            self.open.iter().filter(|(_, open)| which(open)).map(|(endpoint, _)| endpoint.clone()).collect();
        for endpoint in endpoints {
            let Some(Open { target, segment, .. }) = self.open.remove(&endpoint) else { continue };
            let Some((first_at_micros, last_at_micros)) = segment.span.filter(|_| !segment.is_empty()) else {
                continue;
            };
            let (rows, outcomes) = (segment.rows, segment.outcomes);
            let file = format!("{first_at_micros:020}-{}.segment", uuid::Uuid::new_v4());
            let name = file.clone();
            let written = tokio::task::spawn_blocking(move || write(segment, &target, &name)).await;
            match written.unwrap_or_else(|e| Err(e.to_string())) {
                Ok(()) => {
                    self.metrics.capture.segments.fetch_add(1, Relaxed);
                    let closed =
                        FromServe::SegmentClosed { endpoint, file, rows, outcomes, first_at_micros, last_at_micros };
                    let _ = self.events.send(closed).await;
                }
                Err(error) => {
                    self.metrics.capture.lost.fetch_add(rows + outcomes, Relaxed);
                    tracing::error!(endpoint, rows, outcomes, error, "a capture segment could not be written");
                }
            }
        }
    }
}

fn write(segment: Segment, target: &Target, name: &str) -> Result<(), String> {
    let plaintext = segment.finish().map_err(|e| e.to_string())?;
    make_directory(&target.directory).map_err(|e| format!("{}: {e}", target.directory.display()))?;
    let seal = || -> Result<(), StoreError> {
        let chunk = file::DEFAULT_CHUNK_LOG2;
        let mut writer = file::Writer::create(&target.directory, &target.key, &context(&target.endpoint), chunk)?;
        let path = target.directory.join(name);
        std::io::Write::write_all(&mut writer, &plaintext).map_err(|source| StoreError::Io {
            action: "write",
            path: path.clone(),
            source,
        })?;
        writer.finish(name.as_bytes())?.persist(&path)
    };
    seal().map_err(|e| e.to_string())
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Removes what a crash left unfinished: sealed, without its key, and of no
/// use. Young files may be those of another process that is draining.
fn sweep(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let old = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
        if entry.file_name().to_string_lossy().starts_with(".tmp-") && old.is_some_and(|age| age > ABANDONED) {
            let removed = std::fs::remove_file(entry.path());
            tracing::info!(?removed, "an unfinished capture segment was removed");
        }
    }
}
