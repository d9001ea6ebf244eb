//! List resources: existing objects found by a query.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::erased::Listed;
use crate::{Context, Diagnostics, Model, Resource};

/// Finds the objects of a resource that exist already, managed or not: what
/// `terraform query` asks for. The resource must have an identity.
pub trait ListResource: Send + Sync + 'static {
    /// What the provider's configuration makes: [`crate::Provider::Shared`].
    type Shared: Send + Sync + 'static;
    /// The resource whose objects are found; the list has its name.
    type Resource: Resource<Shared = Self::Shared>;
    /// The attributes of the `config` block, by which a user narrows the query.
    type Config: Model;

    /// How long a query may take.
    fn timeout(&self) -> Duration {
        Duration::from_secs(300)
    }

    /// Checks a configuration beyond what its attributes check. Parts of it
    /// may be unknown, and the provider may not be configured.
    fn validate(
        &self,
        _ctx: &Context<Self::Shared>,
        _config: &Self::Config,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Finds the objects and hands each to [`Found::push`] as it comes.
    fn list(
        &self,
        ctx: &Context<Self::Shared>,
        query: Query<Self::Config>,
        found: &Found<<Self::Resource as Resource>::Model>,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;
}

/// What a user asks for.
#[derive(Debug, Clone)]
pub struct Query<C> {
    /// The `config` block.
    pub config: C,
    /// The most objects that are wanted; `None` for all.
    pub limit: Option<usize>,
    /// Whether the whole state of each object is wanted. Otherwise the
    /// attributes that its identity is made of suffice.
    pub include_resource: bool,
}

/// Takes the objects of a query to the host, one by one.
pub struct Found<M> {
    out: mpsc::Sender<Listed>,
    left: AtomicUsize,
    model: std::marker::PhantomData<fn(M)>,
}

impl<M: Model> Found<M> {
    pub(crate) fn new(out: mpsc::Sender<Listed>, limit: Option<usize>) -> Self {
        Self { out, left: AtomicUsize::new(limit.unwrap_or(usize::MAX)), model: std::marker::PhantomData }
    }

    /// Hands over an object under a name for people, and says whether more are
    /// wanted: not beyond the limit, nor when the host has hung up.
    pub async fn push(&self, display_name: impl Into<String>, state: &M) -> bool {
        let take = |left: usize| left.checked_sub(1);
        let Ok(before) = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) else {
            return false;
        };
        let listed = Listed::Object { display_name: display_name.into(), state: state.to_value() };
        self.out.send(listed).await.is_ok() && before > 1
    }
}
