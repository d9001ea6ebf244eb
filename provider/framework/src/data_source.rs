//! Data sources: facts looked up at plan.

use std::time::Duration;

use crate::{Context, Diagnostics, Model};

/// A kind of fact that the provider looks up and never changes.
pub trait DataSource: Send + Sync + 'static {
    /// What the provider's configuration makes: [`crate::Provider::Shared`].
    type Shared: Send + Sync + 'static;
    /// The attributes.
    type Model: Model;
    /// The name in configurations, for example `falaj_model_version`.
    const NAME: &'static str;

    /// How long a look-up may take.
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

    /// Completes the wholly known configuration with what was found. Not to
    /// find it is an error.
    fn read(
        &self,
        ctx: &Context<Self::Shared>,
        config: Self::Model,
    ) -> impl Future<Output = Result<Self::Model, Diagnostics>> + Send;
}
