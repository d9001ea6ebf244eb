//! Actions: what is done to the world without a state to show for it.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::{Context, Diagnostics, Model};

/// A deed that a user invokes, by hand or after a change of a resource: a
/// restart, a backup, a failover.
pub trait Action: Send + Sync + 'static {
    /// What the provider's configuration makes: [`crate::Provider::Shared`].
    type Shared: Send + Sync + 'static;
    /// The attributes.
    type Model: Model;
    /// The name in configurations, for example `falaj_endpoint_restart`.
    const NAME: &'static str;

    /// How long it may take.
    fn timeout(&self) -> Duration {
        Duration::from_secs(3600)
    }

    /// Checks a configuration beyond what its attributes check. Parts of it
    /// may be unknown, and the provider may not be configured.
    fn validate(
        &self,
        _ctx: &Context<Self::Shared>,
        _config: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Checks at plan that it can be done. Parts of the configuration may be
    /// unknown.
    fn plan(
        &self,
        _ctx: &Context<Self::Shared>,
        _config: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Does it. When the user stops the host, [`Context::cancellation`] says so.
    fn invoke(
        &self,
        ctx: &Context<Self::Shared>,
        config: Self::Model,
        progress: &Progress,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;
}

/// Tells the user how an action is getting on.
pub struct Progress(pub(crate) mpsc::Sender<String>);

impl Progress {
    /// Shows a line to the user. Nobody may be listening any more; the action
    /// goes on then.
    pub async fn say(&self, message: impl Into<String>) {
        let heard = self.0.send(message.into()).await;
        tracing::trace!(heard = heard.is_ok(), "progress");
    }
}
