//! What an operation gets to know, and how it talks back besides its result.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::{Diagnostic, Diagnostics};

/// The surroundings of one operation.
///
/// `S` is what [`crate::Provider::configure`] made; it is absent while the
/// provider is not configured, as in `terraform validate`.
#[derive(Debug)]
pub struct Context<S> {
    shared: Option<Arc<S>>,
    cancellation: CancellationToken,
    timeout: Duration,
    deadline: Instant,
    talk: Mutex<Talk>,
}

/// What the operation has said so far.
#[derive(Debug, Default)]
struct Talk {
    diagnostics: Diagnostics,
    private: Vec<u8>,
}

/// Why [`Context::run`] gave up waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupted {
    /// The user asked the host to stop.
    Stopped,
    /// The operation's timeout passed.
    TimedOut,
}

impl<S> Context<S> {
    pub(crate) fn new(shared: Option<Arc<S>>, cancellation: CancellationToken, timeout: Duration) -> Self {
        let now = Instant::now();
        // A year stands for a timeout too long to be added to a clock.
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        Self { shared, cancellation, timeout, deadline, talk: Mutex::default() }
    }

    /// What the provider's configuration made.
    ///
    /// # Errors
    /// A diagnostic if the provider is not configured.
    pub fn shared(&self) -> Result<&Arc<S>, Diagnostic> {
        self.shared.as_ref().ok_or_else(|| {
            Diagnostic::error("The provider is not configured")
                .detail("This operation needs the provider's configuration, which is not known in this run.")
        })
    }

    /// What the provider's configuration made, if it is configured.
    pub fn try_shared(&self) -> Option<&Arc<S>> {
        self.shared.as_ref()
    }

    /// Cancelled when the user asks the host to stop. Stop waiting then, and
    /// return what was reached.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Whether the user has asked the host to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// How long this operation may take in all.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When this operation must be done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Waits for `work`, but not beyond a stop or the deadline.
    ///
    /// # Errors
    /// Why it was not waited for longer; `work` is dropped then.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.cancellation.cancelled() => Err(Interrupted::Stopped),
            () = tokio::time::sleep_until(self.deadline.into()) => Err(Interrupted::TimedOut),
        }
    }

    /// Tells the user something that does not end the operation.
    pub fn warn(&self, summary: impl Into<String>, detail: impl Into<String>) {
        self.diagnose(Diagnostic::warning(summary).detail(detail));
    }

    /// Adds messages to those of the result. An error among them fails the
    /// operation, though its returned state is kept.
    pub fn diagnose(&self, diagnostics: impl Into<Diagnostics>) {
        self.talk().diagnostics.append(diagnostics);
    }

    /// The provider's own bytes beside this object's state. Empty at first.
    pub fn private(&self) -> Vec<u8> {
        self.talk().private.clone()
    }

    /// Keeps the provider's own bytes beside this object's state.
    pub fn set_private(&self, private: impl Into<Vec<u8>>) {
        self.talk().private = private.into();
    }

    pub(crate) fn take_diagnostics(&self) -> Diagnostics {
        std::mem::take(&mut self.talk().diagnostics)
    }

    fn talk(&self) -> MutexGuard<'_, Talk> {
        self.talk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
