//! The calls of a host, each with its diagnostics taken out.

use std::fmt;

use tfplugin::proto::tfplugin6 as proto;
use tfplugin::proto::tfplugin6::attribute_path::step::Selector;
use tfplugin::proto::tfplugin6::provider_client::ProviderClient;
use tfplugin::testing::Transport;
use tfplugin::{Type, Value};
use tonic::{Response, Status};

use crate::reading::join;
use crate::schemas::Schemas;

/// A diagnostic of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub of: String,
    pub at: String,
    pub text: String,
    pub is_error: bool,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at `{}`: {}", self.of, self.at, self.text)
    }
}

/// A provider that is configured with a world of its own.
pub struct Client {
    pub grpc: ProviderClient<Transport>,
    pub schemas: Schemas,
    pub world: tempfile::TempDir,
}

/// What the host can do, as it tells the provider.
pub const ABLE: proto::ClientCapabilities = proto::ClientCapabilities {
    deferral_allowed: false,
    write_only_attributes_allowed: true,
    store_planned_private: false,
    computed_blocks_allowed: false,
};

impl Client {
    pub async fn new(transport: Transport) -> Self {
        let mut grpc = ProviderClient::new(transport).max_decoding_message_size(64 << 20);
        let schemas = grpc.get_provider_schema(proto::get_provider_schema::Request {}).await.expect("a schema");
        let identities = grpc.get_resource_identity_schemas(proto::get_resource_identity_schemas::Request {}).await;
        let schemas = Schemas::new(schemas.into_inner(), identities.expect("identities").into_inner());
        let world = tempfile::tempdir().expect("a world");
        let directory = Value::from_iter([("directory", world.path().to_string_lossy().into_owned())]);
        let answer =
            grpc.validate_provider_config(proto::validate_provider_config::Request { config: wire(&directory) });
        assert_eq!(answer.await.expect("it validates").into_inner().diagnostics, []);
        let request = proto::configure_provider::Request {
            terraform_version: "1.15.0".into(),
            config: wire(&directory),
            client_capabilities: Some(ABLE),
        };
        let answer = grpc.configure_provider(request).await.expect("it is configured").into_inner();
        assert_eq!(answer.diagnostics, []);
        Self { grpc, schemas, world }
    }
}

pub fn wire(value: &Value) -> Option<proto::DynamicValue> {
    Some(proto::DynamicValue { msgpack: value.to_msgpack().into(), json: Default::default() })
}

/// The value of an answer; null where there is none.
pub fn value(answer: Option<proto::DynamicValue>, kind: &Type) -> Result<Value, String> {
    let bytes = answer.map(|answer| answer.msgpack).unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    Value::from_msgpack(&bytes, kind).map_err(|error| format!("a value of the wrong type: {error}"))
}

pub fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, String> {
    answer.map(Response::into_inner).map_err(|status| format!("the call failed: {status}"))
}

pub fn told(of: &str, diagnostics: Vec<proto::Diagnostic>) -> Vec<Told> {
    let one = |diagnostic: proto::Diagnostic| Told {
        of: of.to_owned(),
        is_error: diagnostic.severity() != proto::diagnostic::Severity::Warning,
        at: diagnostic.attribute.map(path).unwrap_or_default(),
        text: format!("{}: {}", diagnostic.summary, diagnostic.detail),
    };
    diagnostics.into_iter().map(one).collect()
}

pub fn path(path: proto::AttributePath) -> String {
    path.steps.into_iter().filter_map(|step| step.selector).fold(String::new(), |path, step| match step {
        Selector::AttributeName(name) | Selector::ElementKeyString(name) => join(&path, &name),
        Selector::ElementKeyInt(index) => format!("{path}[{index}]"),
    })
}
