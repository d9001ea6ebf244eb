//! The provider itself: its configuration and what it offers.

use std::collections::BTreeMap;

use crate::erased::{
    AnyAction, AnyDataSource, AnyEphemeralResource, AnyFunction, AnyListResource, AnyResource, TypedAction,
    TypedDataSource, TypedEphemeralResource, TypedFunction, TypedListResource, TypedResource,
};
use crate::schema::Schema;
use crate::{Action, Context, DataSource, Diagnostics, EphemeralResource, Function, ListResource, Model, Resource};

/// A provider: one configuration, and several kinds of resources, data sources,
/// ephemeral resources, functions, list resources and actions.
pub trait Provider: Send + Sync + 'static {
    /// The attributes of the `provider` block.
    type Config: Model;
    /// What a configuration makes, shared by all operations: clients, caches.
    type Shared: Send + Sync + 'static;
    /// The name by which configurations call it, for example `falaj`.
    const NAME: &'static str;
    /// Namespace and name in a registry, for example `falaj/falaj`; used by
    /// `-debug`. `None` means the name as both.
    const SOURCE: Option<&'static str> = None;

    /// Adds what the provider offers.
    fn register(&self, registry: &mut Registry<Self::Shared>);

    /// What a module may say to the provider in a `provider_meta` block, beside
    /// any object: `Some(MyMeta::schema())`. Operations find it with
    /// [`Context::provider_meta`].
    fn meta_schema(&self) -> Option<Schema> {
        None
    }

    /// Checks a configuration beyond what its attributes check. Parts of it
    /// may be unknown.
    fn validate(&self, _config: &Self::Config) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// Makes what the operations share. Parts of the configuration may be
    /// unknown while planning; without them nothing can be planned if the answer
    /// is [`crate::Deferral::ProviderConfigUnknown`]. `ctx` takes warnings; it
    /// has nothing shared yet.
    fn configure(
        &self,
        ctx: &Context<Self::Shared>,
        config: Self::Config,
    ) -> impl Future<Output = Result<Self::Shared, Diagnostics>> + Send;
}

/// What a provider offers, by name.
pub struct Registry<S> {
    pub(crate) resources: BTreeMap<&'static str, Box<dyn AnyResource<S>>>,
    pub(crate) data_sources: BTreeMap<&'static str, Box<dyn AnyDataSource<S>>>,
    pub(crate) ephemeral_resources: BTreeMap<&'static str, Box<dyn AnyEphemeralResource<S>>>,
    pub(crate) list_resources: BTreeMap<&'static str, Box<dyn AnyListResource<S>>>,
    pub(crate) actions: BTreeMap<&'static str, Box<dyn AnyAction<S>>>,
    pub(crate) functions: BTreeMap<&'static str, Box<dyn AnyFunction>>,
}

impl<S: Send + Sync + 'static> Registry<S> {
    pub(crate) fn new() -> Self {
        Self {
            resources: BTreeMap::new(),
            data_sources: BTreeMap::new(),
            ephemeral_resources: BTreeMap::new(),
            list_resources: BTreeMap::new(),
            actions: BTreeMap::new(),
            functions: BTreeMap::new(),
        }
    }

    /// Offers a resource.
    pub fn resource<R: Resource<Shared = S>>(&mut self, resource: R) -> &mut Self {
        self.resource_named(R::NAME, resource)
    }

    /// Offers a resource under a name that is known at run time only; its schema
    /// may be, too.
    #[doc(hidden)]
    pub fn resource_named<R: Resource<Shared = S>>(&mut self, name: &'static str, resource: R) -> &mut Self {
        self.resources.insert(name, Box::new(TypedResource::new(resource)));
        self
    }

    /// Offers a data source.
    pub fn data_source<D: DataSource<Shared = S>>(&mut self, data_source: D) -> &mut Self {
        self.data_sources.insert(D::NAME, Box::new(TypedDataSource::new(data_source)));
        self
    }

    /// Offers an ephemeral resource.
    pub fn ephemeral_resource<E: EphemeralResource<Shared = S>>(&mut self, ephemeral: E) -> &mut Self {
        self.ephemeral_resources.insert(E::NAME, Box::new(TypedEphemeralResource::new(ephemeral)));
        self
    }

    /// Offers queries for the objects of a resource that is offered too, and
    /// that has an identity.
    pub fn list_resource<L: ListResource<Shared = S>>(&mut self, list: L) -> &mut Self {
        self.list_resources.insert(TypedListResource::<L>::NAME, Box::new(TypedListResource::new(list)));
        self
    }

    /// Offers an action.
    pub fn action<A: Action<Shared = S>>(&mut self, action: A) -> &mut Self {
        self.actions.insert(A::NAME, Box::new(TypedAction::new(action)));
        self
    }

    /// Offers a function.
    pub fn function<F: Function>(&mut self, function: F) -> &mut Self {
        self.functions.insert(F::NAME, Box::new(TypedFunction::new(function)));
        self
    }
}
