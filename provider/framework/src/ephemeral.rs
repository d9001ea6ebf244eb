//! Ephemeral resources: values that live as long as a run and are stored nowhere.

use std::time::{Duration, SystemTime};

use crate::{Context, Diagnostics, Model};

/// A kind of value that is opened for a run, kept alive through it and closed
/// at its end: a token, a lease, a tunnel.
///
/// What the later calls need of the opened one they find in
/// [`Context::private`], where [`EphemeralResource::open`] put it with
/// [`Context::set_private`]. A host opens it anew in the plan and in the apply.
pub trait EphemeralResource: Send + Sync + 'static {
    /// What the provider's configuration makes: [`crate::Provider::Shared`].
    type Shared: Send + Sync + 'static;
    /// The attributes.
    type Model: Model;
    /// The name in configurations, for example `falaj_service_token`.
    const NAME: &'static str;

    /// How long each call may take.
    fn timeout(&self) -> Duration {
        Duration::from_secs(300)
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

    /// Opens it: completes the wholly known configuration.
    fn open(
        &self,
        ctx: &Context<Self::Shared>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Opened<Self::Model>, Diagnostics>> + Send;

    /// Keeps it alive, when the time that was asked for has come. Returns when
    /// to come next; `None` for not again.
    fn renew(
        &self,
        _ctx: &Context<Self::Shared>,
    ) -> impl Future<Output = Result<Option<SystemTime>, Diagnostics>> + Send {
        async { Ok(None) }
    }

    /// Closes it. One that is gone already is no error.
    fn close(&self, _ctx: &Context<Self::Shared>) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }
}

/// An ephemeral resource that was opened.
#[derive(Debug, Clone)]
pub struct Opened<M> {
    /// The attributes, all of them known.
    pub result: M,
    /// When [`EphemeralResource::renew`] must have been called. A host calls it
    /// some time before.
    pub renew_at: Option<SystemTime>,
}

impl<M> Opened<M> {
    /// One that needs no renewal.
    pub fn new(result: M) -> Self {
        Self { result, renew_at: None }
    }

    /// The same, to be renewed by `time`.
    #[must_use]
    pub fn renew_at(self, time: SystemTime) -> Self {
        Self { renew_at: Some(time), ..self }
    }
}
