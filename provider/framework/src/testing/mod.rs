//! Drives a provider in process as a host does, to test the life of its
//! resources without a Terraform.
//!
//! Messages are encoded and decoded as on the wire. Each apply plans twice, as
//! the host does, and holds the results against the host's rules; after it, a
//! refresh and a plan must find nothing to do.
//!
//! ```
//! # use tfplugin::{Attr, Context, Diagnostics, Empty, Failure, Model, Plan, Provider, Registry, Resource};
//! # #[derive(Model, Debug, Clone)]
//! # struct Dot { #[attr(required)] name: Attr<String>, #[attr(computed)] id: Attr<String> }
//! # struct Dots;
//! # impl Resource for Dots {
//! #     type Shared = ();
//! #     type Model = Dot;
//! #     const NAME: &'static str = "dots_dot";
//! #     async fn create(&self, _: &Context<()>, plan: Plan<Dot>) -> Result<Dot, Failure<Dot>> {
//! #         Ok(Dot { id: "1".into(), ..plan.planned })
//! #     }
//! #     async fn read(&self, _: &Context<()>, state: Dot) -> Result<Option<Dot>, Diagnostics> { Ok(Some(state)) }
//! #     async fn update(&self, _: &Context<()>, plan: Plan<Dot>) -> Result<Dot, Failure<Dot>> { Ok(plan.planned) }
//! #     async fn delete(&self, _: &Context<()>, _: Dot) -> Result<(), Diagnostics> { Ok(()) }
//! # }
//! # struct DotsProvider;
//! # impl Provider for DotsProvider {
//! #     type Config = Empty;
//! #     type Shared = ();
//! #     const NAME: &'static str = "dots";
//! #     fn register(&self, registry: &mut Registry<()>) { registry.resource(Dots); }
//! #     async fn configure(&self, _: &Context<()>, _: Empty) -> Result<(), Diagnostics> { Ok(()) }
//! # }
//! use serde_json::json;
//! use tfplugin::testing::{Action, Host};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let host = Host::configured(DotsProvider, json!({})).await?;
//! let mut dot = host.resource("dots_dot");
//! let applied = dot.apply(json!({ "name": "a" })).await?;
//! assert_eq!(applied.action, Action::Create);
//! assert_eq!(dot.state().get("id").as_str(), Some("1"));
//! dot.destroy().await?;
//! # Ok::<(), Diagnostics>(()) }).unwrap();
//! ```

mod client;
mod ephemeral;
mod lifecycle;
mod streams;
mod wire;

use std::convert::Infallible;

use serde_json::Value as Json;
use tonic::Request;
use tonic::body::Body;
use tower::{BoxError, ServiceExt, util::BoxCloneSyncService};

use crate::plan::blocks;
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::provider_server::Provider as _;
use crate::schema::object_type;
use crate::server::service::Service;
use crate::{Diagnostic, Diagnostics, Model, Provider, Type, Value};

pub use client::Client;
pub use ephemeral::Ephemeral;
pub use lifecycle::{Action, Instance, Step};
pub use streams::{Invoked, Listed};

/// What carries a client's calls to a provider, in process or over a wire.
pub type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

/// A configuration, as JSON or as a value; only a value can have unknowns.
pub trait Config {
    /// The configuration as a value of the type.
    fn into_value(self, kind: &Type) -> Value;
}

impl Config for Value {
    fn into_value(self, _: &Type) -> Value {
        self
    }
}

impl Config for Json {
    /// # Panics
    /// If the JSON does not fit the type.
    fn into_value(self, kind: &Type) -> Value {
        match Value::from_json(self.to_string().as_bytes(), kind) {
            Ok(value) => value,
            Err(error) => panic!("this configuration does not fit the schema: {error}"),
        }
    }
}

/// A provider and its host in one process.
pub struct Host<P: Provider> {
    service: Service<P>,
    client: Client,
    /// `provider_meta` of the module that is run.
    meta: Value,
}

impl<P: Provider> Host<P> {
    /// A provider that is not configured, as in `terraform validate`.
    ///
    /// # Panics
    /// If a host would refuse its schemas.
    pub fn new(provider: P) -> Self {
        let service = Service::new(provider);
        let problems = service.schema_problems();
        assert!(problems.is_empty(), "a host would refuse this provider: {}", problems.join("; "));
        Self { service, client: Client::default(), meta: Value::Null }
    }

    /// The same as a host of another kind.
    #[must_use]
    pub fn under(self, client: Client) -> Self {
        Self { client, ..self }
    }

    /// The same for a module with a `provider_meta` block.
    ///
    /// # Panics
    /// If the provider declares none.
    #[must_use]
    pub fn in_module(self, meta: impl Config) -> Self {
        let Some(kind) = self.service.meta_type() else {
            panic!("this provider has no provider_meta");
        };
        Self { meta: meta.into_value(kind), ..self }
    }

    /// A provider that is configured.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub async fn configured(provider: P, config: impl Config) -> Result<Self, Diagnostics> {
        Self::new(provider).configure(config).await
    }

    /// The same, configured.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub async fn configure(self, config: impl Config) -> Result<Self, Diagnostics> {
        let host = self;
        let config = config.into_value(&P::Config::schema().to_type());
        let config = blocks::configured(&P::Config::attributes(), config, host.client.computed_blocks);
        let request = proto::validate_provider_config::Request { config: wire::encode(&config) };
        let answer = host.service.validate_provider_config(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()?;
        let request = proto::configure_provider::Request {
            config: wire::encode(&config),
            client_capabilities: host.client.capabilities(),
            ..Default::default()
        };
        let answer = host.service.configure_provider(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()?;
        Ok(host)
    }

    /// A resource instance that does not exist yet.
    ///
    /// # Panics
    /// If the provider has no resource of the name.
    pub fn resource(&self, name: &str) -> Instance<P> {
        Instance::new(self.service.clone(), name, self.client, self.meta.clone())
    }

    /// Reads a data source.
    ///
    /// # Errors
    /// What the provider says is wrong.
    ///
    /// # Panics
    /// If the provider has no data source of the name.
    pub async fn data_source(&self, name: &str, config: impl Config) -> Result<Value, Diagnostics> {
        let kind = self.service.data_source_type(name);
        let attributes = self.service.registry().data_sources.get(name).map_or(&[][..], |it| &it.schema().attributes);
        let config = blocks::configured(attributes, config.into_value(&kind), self.client.computed_blocks);
        let config = wire::encode(&config);
        let request = proto::validate_data_resource_config::Request { type_name: name.into(), config: config.clone() };
        let answer = self.service.validate_data_resource_config(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()?;
        let request = proto::read_data_source::Request {
            type_name: name.into(),
            config,
            provider_meta: wire::encode(&self.meta),
            client_capabilities: self.client.capabilities(),
        };
        let read = wire::answer(self.service.read_data_source(Request::new(request)).await)?;
        wire::diagnostics(read.diagnostics).into_result()?;
        self.client.not_deferred(read.deferred)?;
        wire::decode(read.state, &kind)
    }

    /// Opens an ephemeral resource.
    ///
    /// # Errors
    /// What the provider says is wrong.
    ///
    /// # Panics
    /// If the provider has no ephemeral resource of the name.
    pub async fn open(&self, name: &str, config: impl Config) -> Result<Ephemeral<P>, Diagnostics> {
        let Some(ephemeral) = self.service.registry().ephemeral_resources.get(name) else {
            panic!("no ephemeral resource is named {name}");
        };
        Ephemeral::open(self.service.clone(), name, ephemeral.kind(), self.client, config).await
    }

    /// Calls a function. An argument for a parameter of any type needs none.
    ///
    /// # Errors
    /// The function's error, and the parameter to blame.
    pub async fn call(&self, name: &str, arguments: Vec<Value>) -> Result<Value, crate::FunctionError> {
        let fail = |errors: Diagnostics| crate::FunctionError::new(errors.to_string());
        let arguments = arguments.into_iter().enumerate();
        let arguments: Vec<_> =
            arguments.map(|(position, argument)| self.service.argument(name, position, argument)).collect();
        let request = proto::call_function::Request {
            name: name.into(),
            arguments: arguments.iter().filter_map(wire::encode).collect(),
        };
        let answer = wire::answer(self.service.call_function(Request::new(request)).await).map_err(fail)?;
        match answer.error {
            Some(error) => Err(crate::FunctionError {
                text: error.text,
                argument: error.function_argument.and_then(|argument| usize::try_from(argument).ok()),
            }),
            None => wire::decode(answer.result, &self.service.function_type(name)).map_err(fail),
        }
    }

    /// What the provider's configuration made; `None` if it is not configured.
    pub fn shared(&self) -> Option<std::sync::Arc<P::Shared>> {
        self.service.shared()
    }

    /// The service itself, for requests that no host would send.
    #[doc(hidden)]
    pub fn service(&self) -> impl proto::provider_server::Provider + use<P> {
        self.service.clone()
    }

    /// The provider's service in process, for a gRPC client of one's own:
    /// `tfplugin::proto::tfplugin6::provider_client::ProviderClient::new(host.transport())`.
    pub fn transport(&self) -> Transport {
        let server = proto::provider_server::ProviderServer::new(self.service.clone());
        Transport::new(ServiceExt::<http::Request<Body>>::map_err(server, |never: Infallible| match never {}))
    }

    /// Tells the provider to stop, as a Ctrl-C in the host does.
    pub fn stop(&self) {
        self.service.stop();
    }
}

impl<P: Provider> Service<P> {
    fn data_source_type(&self, name: &str) -> Type {
        match self.registry().data_sources.get(name) {
            Some(source) => source.kind().clone(),
            None => panic!("no data source is named {name}"),
        }
    }

    /// An argument as the host sends it: with its type where any is taken.
    fn argument(&self, function: &str, position: usize, argument: Value) -> Value {
        let function = self.registry().functions.get(function);
        match function.and_then(|function| function.parameter(position)).map(|parameter| &parameter.kind) {
            Some(Type::Dynamic) => argument.into_dynamic(),
            _ => argument,
        }
    }

    fn function_type(&self, name: &str) -> Type {
        self.registry().functions.get(name).map_or(Type::Dynamic, |function| function.output().clone())
    }

    fn resource_types(&self, name: &str) -> (Vec<crate::schema::Attribute>, Type, Option<Type>) {
        let Some(resource) = self.registry().resources.get(name) else {
            panic!("no resource is named {name}");
        };
        let identity = resource.identity_schema().map(|identity| object_type(&identity.attributes));
        (resource.schema().attributes.clone(), resource.kind().clone(), identity)
    }
}

fn broken(summary: impl Into<String>, detail: impl Into<String>) -> Diagnostics {
    Diagnostic::error(summary).detail(detail).into()
}
