//! Asking shadows, on a thread of their own at low priority, so that they take
//! nothing from the callers' replies.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::metrics::Metrics;
use super::routing::{Endpoint, Variant};

/// Requests that may wait; more are not asked about.
const QUEUE: usize = 1024;
/// Added to the niceness of the thread.
const NICE: i32 = 10;

/// One request for one shadow, as it came.
pub struct Job {
    pub endpoint: Arc<Endpoint>,
    pub variant: Arc<Variant>,
    pub request_id: String,
    pub at_micros: i64,
    pub body: Bytes,
    pub json_length: Option<String>,
}

enum Message {
    Job(Box<Job>),
    Barrier(oneshot::Sender<()>),
}

/// The way to the shadows' thread.
pub struct Shadows {
    queue: mpsc::Sender<Message>,
    metrics: Arc<Metrics>,
}

/// The other end; see [`Inbox::start`].
pub struct Inbox(mpsc::Receiver<Message>);

impl Shadows {
    pub fn new(metrics: Arc<Metrics>) -> (Self, Inbox) {
        let (queue, receiver) = mpsc::channel(QUEUE);
        (Self { queue, metrics }, Inbox(receiver))
    }

    /// Hands a request over. Never waits.
    pub fn ask(&self, job: Job) {
        if self.queue.try_send(Message::Job(Box::new(job))).is_err() {
            self.metrics.shadow.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until everything asked before is answered.
    pub async fn settle(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Barrier(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

impl Inbox {
    /// Starts the thread, which ends when the last [`Shadows`] is dropped.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(mut self, answer: impl Fn(Job) + Send + 'static) -> std::io::Result<()> {
        let work = move || {
            // Priorities are per thread on Linux; without one shadows still come last in turn.
            let _ = rustix::process::nice(NICE);
            while let Some(message) = self.0.blocking_recv() {
                match message {
                    Message::Job(job) => answer(*job),
                    Message::Barrier(done) => drop(done.send(())),
                }
            }
        };
        std::thread::Builder::new().name("shadows".to_owned()).spawn(work).map(drop)
    }
}
