//! What an operation gets to know, and how it talks back besides its result.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::erased::Scope;
use crate::{Diagnostic, Diagnostics, Model};

/// The surroundings of one operation.
///
/// `S` is what [`crate::Provider::configure`] made; it is absent while the
/// provider is not configured, as in `terraform validate`.
#[derive(Debug)]
pub struct Context<S> {
    scope: Scope<S>,
    timeout: Duration,
    deadline: Instant,
    planned_private: Option<Vec<u8>>,
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
    pub(crate) fn new(scope: Scope<S>, timeout: Duration) -> Self {
        let now = Instant::now();
        // A year stands for a timeout too long to be added to a clock.
        let deadline = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 3600));
        Self { scope, timeout, deadline, planned_private: None, talk: Mutex::default() }
    }

    /// The same in an operation that was given these private bytes.
    pub(crate) fn with_private(mut self, private: Vec<u8>, planned: Option<Vec<u8>>) -> Self {
        self.set_private(private);
        self.planned_private = planned;
        self
    }

    /// What the provider's configuration made.
    ///
    /// # Errors
    /// A diagnostic if the provider is not configured.
    pub fn shared(&self) -> Result<&Arc<S>, Diagnostic> {
        self.scope.shared.as_ref().ok_or_else(|| {
            Diagnostic::error("The provider is not configured")
                .detail("This operation needs the provider's configuration, which is not known in this run.")
        })
    }

    /// What the provider's configuration made, if it is configured.
    pub fn try_shared(&self) -> Option<&Arc<S>> {
        self.scope.shared.as_ref()
    }

    /// Cancelled when the user asks the host to stop. Stop waiting then, and
    /// return what was reached.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.scope.cancellation
    }

    /// Whether the user has asked the host to stop.
    pub fn is_cancelled(&self) -> bool {
        self.scope.cancellation.is_cancelled()
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
            () = self.scope.cancellation.cancelled() => Err(Interrupted::Stopped),
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

    /// In [`crate::Resource::plan`], what the first plan of this change kept
    /// with [`Context::set_private`]: the host plans again within the apply, and
    /// what was decided once need not be decided anew. `None` in the first plan,
    /// and under a host before Terraform 1.16.
    ///
    /// What a plan kept, its apply finds in [`Context::private`] under any host.
    pub fn planned_private(&self) -> Option<&[u8]> {
        self.planned_private.as_deref()
    }

    /// What the `provider_meta` block of the module says; `None` if there is
    /// none, or where the operation is not for one module. `M` is the model of
    /// [`crate::Provider::meta_schema`].
    ///
    /// # Errors
    /// If `M` is another model.
    pub fn provider_meta<M: Model>(&self) -> Result<Option<M>, Diagnostics> {
        if self.scope.meta.is_null() {
            return Ok(None);
        }
        Ok(Some(M::from_value(&self.scope.meta)?))
    }

    /// Whether the host takes a [`crate::Deferral`] for an answer.
    pub fn may_defer(&self) -> bool {
        self.scope.client.may_defer
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
