//! The provider service: requests decoded, handed to the provider's code, and
//! answered.

mod actions;
mod convert;
mod ephemeral;
mod list_resources;
mod lookups;
mod meta;
mod resources;
mod schemas;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status};

use super::cached_schema::frame;
use crate::erased::{Client, PLAN_TIMEOUT, Scope, check, collect, contracts_are_checked, guarded, read_known};
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::provider_server::Provider as ProviderService;
use crate::schema::{Schema, problems};
use crate::{Deferral, Diagnostic, Diagnostics, Model, Provider, Registry, Type, Value};

/// One provider, as the host calls it.
pub struct Service<P: Provider>(Arc<Inner<P>>);

impl<P: Provider> Clone for Service<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<P: Provider> {
    provider: P,
    registry: Registry<P::Shared>,
    config_schema: Schema,
    config_type: Type,
    /// The schema of `provider_meta` and its type, where the provider has one.
    meta: Option<(Schema, Type)>,
    configured: RwLock<Configured<P::Shared>>,
    checks: bool,
    cancellation: Mutex<CancellationToken>,
    framed_schema: OnceLock<Bytes>,
    operations: TaskTracker,
}

/// What came of the provider's configuration.
struct Configured<S> {
    shared: Option<Arc<S>>,
    /// Why everything is deferred.
    deferral: Option<Deferral>,
}

impl<S> Default for Configured<S> {
    fn default() -> Self {
        Self { shared: None, deferral: None }
    }
}

/// What a host would refuse in the schemas of a provider.
fn schema_problems<P: Provider>(registry: &Registry<P::Shared>, config: &Schema) -> Vec<String> {
    let named = |name: &str, schema: &Schema| -> Vec<String> {
        problems(schema).into_iter().map(|problem| format!("{name}: {problem}")).collect()
    };
    let mut found = named("provider", config);
    found.extend(registry.resources.iter().flat_map(|(name, resource)| named(name, resource.schema())));
    found.extend(registry.data_sources.iter().flat_map(|(name, source)| named(name, source.schema())));
    for (name, list) in &registry.list_resources {
        found.extend(named(&format!("list {name}"), list.schema()));
        if registry.resources.get(name).and_then(|resource| resource.identity_schema()).is_none() {
            found.push(format!("list {name}: there is no resource of this name that has an identity"));
        }
    }
    found.extend(registry.actions.iter().flat_map(|(name, action)| named(name, action.schema())));
    found.extend(registry.ephemeral_resources.iter().flat_map(|(name, ephemeral)| named(name, ephemeral.schema())));
    found
}

impl<P: Provider> Service<P> {
    pub fn new(provider: P) -> Self {
        Self::checking(provider, contracts_are_checked())
    }

    /// With or without the checks of what leaves.
    pub fn checking(provider: P, checks: bool) -> Self {
        let mut registry = Registry::new();
        provider.register(&mut registry);
        let config_schema = P::Config::schema();
        let config_type = config_schema.to_type();
        let meta = provider.meta_schema().map(|schema| {
            let kind = schema.to_type();
            (schema, kind)
        });
        Self(Arc::new(Inner {
            provider,
            registry,
            config_schema,
            config_type,
            meta,
            configured: RwLock::default(),
            checks,
            cancellation: Mutex::new(CancellationToken::new()),
            framed_schema: OnceLock::new(),
            operations: TaskTracker::new(),
        }))
    }

    /// What a host would refuse in the schemas.
    pub fn schema_problems(&self) -> Vec<String> {
        let mut found = schema_problems::<P>(&self.0.registry, &self.0.config_schema);
        let meta = self.0.meta.iter().flat_map(|(schema, _)| problems(schema));
        found.extend(meta.map(|problem| format!("provider_meta: {problem}")));
        found
    }

    /// The schemas, with what a host would refuse in them.
    fn checked_schemas(&self) -> proto::get_provider_schema::Response {
        let mut schemas = self.0.all_schemas();
        if self.0.checks {
            let broken = |problem| Diagnostic::error("This provider's schema is broken").detail(problem);
            schemas.diagnostics = convert::diagnostics(self.schema_problems().into_iter().map(broken).collect());
        }
        schemas
    }

    /// The schemas as a gRPC message, made once.
    pub fn framed_schema(&self) -> Bytes {
        self.0.framed_schema.get_or_init(|| frame(&self.checked_schemas())).clone()
    }

    /// What the configuration made.
    pub fn shared(&self) -> Option<Arc<P::Shared>> {
        self.0.scope().shared
    }

    /// The type of `provider_meta`, where the provider has one.
    pub fn meta_type(&self) -> Option<&Type> {
        self.0.meta.as_ref().map(|(_, kind)| kind)
    }

    /// What the provider offers.
    pub fn registry(&self) -> &Registry<P::Shared> {
        &self.0.registry
    }

    /// Asks the operations in flight to end. Later ones are not affected: the
    /// host goes on to use a provider that it told to stop.
    pub fn stop(&self) {
        let mut cancellation = self.0.cancellation.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *cancellation).cancel();
    }

    /// Waits for the operations in flight.
    pub async fn finish(&self) {
        self.0.operations.close();
        self.0.operations.wait().await;
    }

    /// Runs an operation to its end even when the host hangs up in the middle:
    /// provider code is never dropped between two side effects.
    async fn run<T, F>(&self, work: impl FnOnce(Arc<Inner<P>>) -> F) -> Result<Response<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let answer = self.0.operations.spawn(work(Arc::clone(&self.0))).await;
        answer.map(Response::new).map_err(|error| Status::internal(format!("the provider crashed: {error}")))
    }
}

impl<P: Provider> Inner<P> {
    fn scope(&self) -> Scope<P::Shared> {
        let (shared, deferral) = {
            let configured = self.configured.read().unwrap_or_else(PoisonError::into_inner);
            (configured.shared.clone(), configured.deferral)
        };
        let cancellation = self.cancellation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Scope { shared, cancellation, client: Client::default(), meta: Value::Null, deferral, checks: self.checks }
    }

    fn config(&self, config: Option<proto::DynamicValue>) -> Result<Value, Diagnostics> {
        convert::decode(config, &self.config_type)
    }

    async fn validate_config(&self, config: Option<proto::DynamicValue>) -> Diagnostics {
        let checked = async {
            let config = self.config(config)?;
            let mut found = check(P::NAME, &self.config_schema, &config);
            if let (false, Some(config)) = (found.has_errors(), read_known(&config)?) {
                found.append(guarded(P::NAME, self.provider.validate(&config)).await.err().unwrap_or_default());
            }
            Ok::<_, Diagnostics>(found)
        };
        checked.await.unwrap_or_else(|errors| errors)
    }

    async fn configure(&self, client: Client, config: Option<proto::DynamicValue>) -> Diagnostics {
        let ctx = Scope { shared: None, deferral: None, client, ..self.scope() }.context(PLAN_TIMEOUT);
        let made = async {
            let config =
                crate::plan::propose::object(&self.config_schema.attributes, &self.config(config)?, &Value::Null);
            let config = P::Config::from_value(&config)?;
            guarded(P::NAME, self.provider.configure(&ctx, config)).await
        };
        let mut configured = Configured::default();
        let made = made.await.map(|shared| configured.shared = Some(Arc::new(shared)));
        let mut found = collect(&ctx, made);
        // There is no field for it in the answer: it is given to each operation.
        if client.may_defer {
            configured.deferral = found.take_deferral();
        }
        if configured.shared.is_some() || configured.deferral.is_some() {
            *self.configured.write().unwrap_or_else(PoisonError::into_inner) = configured;
        }
        found
    }
}

/// The message for a type that the schema does not have.
fn no_such(what: &str, name: &str) -> Diagnostics {
    Diagnostic::error(format!("No {what} is named {name}"))
        .detail(
            "The host asked for something that this provider's schema does not offer; an older or newer release may.",
        )
        .into()
}

#[tonic::async_trait]
impl<P: Provider> ProviderService for Service<P> {
    async fn get_metadata(
        &self,
        _: Request<proto::get_metadata::Request>,
    ) -> Result<Response<proto::get_metadata::Response>, Status> {
        Ok(Response::new(self.0.metadata()))
    }

    async fn get_provider_schema(
        &self,
        _: Request<proto::get_provider_schema::Request>,
    ) -> Result<Response<proto::get_provider_schema::Response>, Status> {
        Ok(Response::new(self.checked_schemas()))
    }

    async fn get_resource_identity_schemas(
        &self,
        _: Request<proto::get_resource_identity_schemas::Request>,
    ) -> Result<Response<proto::get_resource_identity_schemas::Response>, Status> {
        Ok(Response::new(self.0.identity_schemas()))
    }

    async fn validate_provider_config(
        &self,
        request: Request<proto::validate_provider_config::Request>,
    ) -> Result<Response<proto::validate_provider_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move {
            let diagnostics = convert::diagnostics(inner.validate_config(request.config).await);
            proto::validate_provider_config::Response { diagnostics }
        })
        .await
    }

    async fn configure_provider(
        &self,
        request: Request<proto::configure_provider::Request>,
    ) -> Result<Response<proto::configure_provider::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move {
            let diagnostics = convert::diagnostics(
                inner.configure(convert::client(request.client_capabilities), request.config).await,
            );
            proto::configure_provider::Response { diagnostics }
        })
        .await
    }

    async fn stop_provider(
        &self,
        _: Request<proto::stop_provider::Request>,
    ) -> Result<Response<proto::stop_provider::Response>, Status> {
        self.stop();
        Ok(Response::new(proto::stop_provider::Response::default()))
    }

    async fn validate_resource_config(
        &self,
        request: Request<proto::validate_resource_config::Request>,
    ) -> Result<Response<proto::validate_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.validate_resource(request).await }).await
    }

    async fn upgrade_resource_state(
        &self,
        request: Request<proto::upgrade_resource_state::Request>,
    ) -> Result<Response<proto::upgrade_resource_state::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.upgrade_state(request).await }).await
    }

    async fn upgrade_resource_identity(
        &self,
        request: Request<proto::upgrade_resource_identity::Request>,
    ) -> Result<Response<proto::upgrade_resource_identity::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.upgrade_identity(request).await }).await
    }

    async fn move_resource_state(
        &self,
        request: Request<proto::move_resource_state::Request>,
    ) -> Result<Response<proto::move_resource_state::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.move_state(request).await }).await
    }

    async fn read_resource(
        &self,
        request: Request<proto::read_resource::Request>,
    ) -> Result<Response<proto::read_resource::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.read(request).await }).await
    }

    async fn plan_resource_change(
        &self,
        request: Request<proto::plan_resource_change::Request>,
    ) -> Result<Response<proto::plan_resource_change::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.plan(request).await }).await
    }

    async fn apply_resource_change(
        &self,
        request: Request<proto::apply_resource_change::Request>,
    ) -> Result<Response<proto::apply_resource_change::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.apply(request).await }).await
    }

    async fn import_resource_state(
        &self,
        request: Request<proto::import_resource_state::Request>,
    ) -> Result<Response<proto::import_resource_state::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.import(request).await }).await
    }

    async fn generate_resource_config(
        &self,
        request: Request<proto::generate_resource_config::Request>,
    ) -> Result<Response<proto::generate_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.generate_config(request) }).await
    }

    async fn validate_data_resource_config(
        &self,
        request: Request<proto::validate_data_resource_config::Request>,
    ) -> Result<Response<proto::validate_data_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.validate_data_source(request).await }).await
    }

    async fn read_data_source(
        &self,
        request: Request<proto::read_data_source::Request>,
    ) -> Result<Response<proto::read_data_source::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.read_data_source(request).await }).await
    }

    async fn validate_ephemeral_resource_config(
        &self,
        request: Request<proto::validate_ephemeral_resource_config::Request>,
    ) -> Result<Response<proto::validate_ephemeral_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.validate_ephemeral(request).await }).await
    }

    async fn open_ephemeral_resource(
        &self,
        request: Request<proto::open_ephemeral_resource::Request>,
    ) -> Result<Response<proto::open_ephemeral_resource::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.open_ephemeral(request).await }).await
    }

    async fn renew_ephemeral_resource(
        &self,
        request: Request<proto::renew_ephemeral_resource::Request>,
    ) -> Result<Response<proto::renew_ephemeral_resource::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.renew_ephemeral(request).await }).await
    }

    async fn close_ephemeral_resource(
        &self,
        request: Request<proto::close_ephemeral_resource::Request>,
    ) -> Result<Response<proto::close_ephemeral_resource::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.close_ephemeral(request).await }).await
    }

    async fn validate_list_resource_config(
        &self,
        request: Request<proto::validate_list_resource_config::Request>,
    ) -> Result<Response<proto::validate_list_resource_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.validate_list(request).await }).await
    }

    async fn list_resource(
        &self,
        request: Request<proto::list_resource::Request>,
    ) -> Result<Response<BoxStream<proto::list_resource::Event>>, Status> {
        Ok(Response::new(self.0.list(request.into_inner())))
    }

    async fn validate_action_config(
        &self,
        request: Request<proto::validate_action_config::Request>,
    ) -> Result<Response<proto::validate_action_config::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.validate_action(request).await }).await
    }

    async fn plan_action(
        &self,
        request: Request<proto::plan_action::Request>,
    ) -> Result<Response<proto::plan_action::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.plan_action(request).await }).await
    }

    async fn invoke_action(
        &self,
        request: Request<proto::invoke_action::Request>,
    ) -> Result<Response<BoxStream<proto::invoke_action::Event>>, Status> {
        Ok(Response::new(self.0.invoke_action(request.into_inner())))
    }

    async fn get_functions(
        &self,
        _: Request<proto::get_functions::Request>,
    ) -> Result<Response<proto::get_functions::Response>, Status> {
        Ok(Response::new(proto::get_functions::Response { functions: self.0.functions(), diagnostics: Vec::new() }))
    }

    async fn call_function(
        &self,
        request: Request<proto::call_function::Request>,
    ) -> Result<Response<proto::call_function::Response>, Status> {
        let request = request.into_inner();
        self.run(|inner| async move { inner.call_function(request) }).await
    }
}
