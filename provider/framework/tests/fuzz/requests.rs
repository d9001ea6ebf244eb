//! Whole requests to a provider: decoded, planned, applied and answered, without a
//! crash anywhere on the way.

use std::collections::HashMap;

use prost::Message;
use prost::bytes::Bytes;
use serde_json::json;
use tfplugin::proto::tfplugin6 as proto;
use tfplugin::proto::tfplugin6::provider_server::Provider as Service;
use tfplugin::schema::object_type;
use tfplugin::testing::Host;
use tfplugin::{Function, Model, Type, Value};
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status};

use crate::harness::{Reading, Target};
use crate::memory::peak_of;
use crate::provider::{FuzzProvider, Part, Thing, ThingIdentity, ThingModel};
use crate::random::Random;

const TYPE: &str = "fuzz_thing";

const RPCS: [&str; 22] = [
    "ValidateProviderConfig",
    "ConfigureProvider",
    "ValidateResourceConfig",
    "UpgradeResourceState",
    "UpgradeResourceIdentity",
    "MoveResourceState",
    "ReadResource",
    "PlanResourceChange",
    "PlanResourceChange",
    "ApplyResourceChange",
    "ApplyResourceChange",
    "ImportResourceState",
    "GenerateResourceConfig",
    "ReadDataSource",
    "OpenEphemeralResource",
    "RenewEphemeralResource",
    "CloseEphemeralResource",
    "CallFunction",
    "CallFunction",
    "ListResource",
    "PlanAction",
    "InvokeAction",
];

/// An input is the name of a call, a line feed, and its request.
pub const REQUESTS: Target = Target {
    name: "requests",
    make: |random| {
        let rpc = *random.pick(&RPCS);
        let mut bytes = request(random, rpc);
        if random.one_in(4) {
            random.mutate(&mut bytes);
        }
        [rpc.as_bytes(), b"\n", &bytes].concat()
    },
    read: |input| {
        let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let rpc = String::from_utf8_lossy(&input[..end]).into_owned();
        let bytes = input.get(end + 1..).unwrap_or_default().to_vec();
        WORLD.with(|(runtime, host)| {
            let service = host.service();
            let (answer, peak) = peak_of(|| runtime.block_on(answer(&service, &rpc, bytes.into())));
            let Some(problems) = answer.map_err(|status| format!("{rpc} failed: {status}"))? else {
                return Ok(Reading { accepted: false, peak });
            };
            match problems.iter().find(|problem| problem.contains("crashed")) {
                Some(crash) => Err(format!("{rpc}: {crash}")),
                None => Ok(Reading { accepted: problems.is_empty(), peak }),
            }
        })
    },
    // A value is held several times: as it was, as configured, as planned by the
    // framework and by the provider, as models of each, and on the wire again.
    bytes_per_byte: 4096,
    bytes_at_least: 1 << 20,
};

thread_local! {
    /// One thread, so that all that is allocated is counted.
    static WORLD: (tokio::runtime::Runtime, Host<FuzzProvider>) = {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let host = runtime.block_on(Host::configured(FuzzProvider, json!({ "key": "k" }))).expect("it is configured");
        (runtime, host)
    };
}

impl Random {
    /// A value as a host sends it, mostly one of the type.
    fn sent(&mut self, kind: &Type) -> Option<proto::DynamicValue> {
        if self.one_in(16) {
            return None;
        }
        let mut value = self.value(kind, 3);
        while self.one_in(4) == value.is_null() {
            value = self.value(kind, 3);
        }
        let mut sent = proto::DynamicValue::default();
        let json = if self.one_in(4) { value.clone().nulls_for_unknowns().to_json() } else { None };
        let mut bytes = json.map_or_else(|| value.to_msgpack(), |json| json.to_string().into_bytes());
        let is_json = bytes.first() == Some(&b'{');
        if self.one_in(2) {
            self.mutate(&mut bytes);
        }
        if is_json {
            sent.json = bytes.into()
        } else {
            sent.msgpack = bytes.into()
        }
        Some(sent)
    }

    fn saved(&mut self, kind: &Type) -> Option<proto::RawState> {
        let value = self.value(kind, 3).nulls_for_unknowns();
        let mut bytes = value.to_json().unwrap_or_default().to_string().into_bytes();
        if self.one_in(2) {
            self.mutate(&mut bytes);
        }
        let flatmap = if self.one_in(8) { HashMap::from([("id".into(), "x".into())]) } else { HashMap::new() };
        Some(proto::RawState { json: bytes.into(), flatmap })
    }

    fn identity(&mut self) -> Option<proto::ResourceIdentityData> {
        let identity_data = self.sent(&ThingIdentity::schema().to_type());
        self.one_in(2).then_some(proto::ResourceIdentityData { identity_data })
    }

    fn private(&mut self) -> Bytes {
        self.noise().into()
    }
}

fn request(random: &mut Random, rpc: &str) -> Vec<u8> {
    let thing = ThingModel::schema().to_type();
    let part = Part::schema().to_type();
    let type_name = TYPE.to_owned();
    match rpc {
        "ValidateProviderConfig" => {
            proto::validate_provider_config::Request { config: random.sent(&part) }.encode_to_vec()
        }
        "ConfigureProvider" => {
            proto::configure_provider::Request { config: random.sent(&part), ..Default::default() }.encode_to_vec()
        }
        "ValidateResourceConfig" => proto::validate_resource_config::Request {
            type_name,
            config: random.sent(&thing),
            client_capabilities: Some(proto::ClientCapabilities {
                write_only_attributes_allowed: random.one_in(2),
                ..Default::default()
            }),
        }
        .encode_to_vec(),
        "UpgradeResourceState" => proto::upgrade_resource_state::Request {
            type_name,
            version: *random.pick(&[0, 1, 2, 2, 2, 3, -1]),
            raw_state: random.saved(&thing),
        }
        .encode_to_vec(),
        "UpgradeResourceIdentity" => proto::upgrade_resource_identity::Request {
            type_name,
            version: *random.pick(&[0, 1, 1, 2, -1]),
            raw_identity: random.saved(&ThingIdentity::schema().to_type()),
        }
        .encode_to_vec(),
        "MoveResourceState" => proto::move_resource_state::Request {
            source_type_name: "other_thing".into(),
            source_state: random.saved(&thing),
            target_type_name: type_name,
            source_private: random.private(),
            source_identity: random.saved(&part),
            ..Default::default()
        }
        .encode_to_vec(),
        "ReadResource" => proto::read_resource::Request {
            type_name,
            current_state: random.sent(&thing),
            private: random.private(),
            current_identity: random.identity(),
            ..Default::default()
        }
        .encode_to_vec(),
        "PlanResourceChange" => proto::plan_resource_change::Request {
            type_name,
            prior_state: random.sent(&thing),
            proposed_new_state: random.sent(&thing),
            config: random.sent(&thing),
            prior_private: random.private(),
            prior_identity: random.identity(),
            ..Default::default()
        }
        .encode_to_vec(),
        "ApplyResourceChange" => proto::apply_resource_change::Request {
            type_name,
            prior_state: random.sent(&thing),
            planned_state: random.sent(&thing),
            config: random.sent(&thing),
            planned_private: random.private(),
            planned_identity: random.identity(),
            ..Default::default()
        }
        .encode_to_vec(),
        "ImportResourceState" => proto::import_resource_state::Request {
            type_name,
            id: String::from_utf8_lossy(&random.noise()).into_owned(),
            identity: random.identity(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GenerateResourceConfig" => {
            proto::generate_resource_config::Request { type_name, state: random.sent(&thing) }.encode_to_vec()
        }
        "ReadDataSource" => {
            proto::read_data_source::Request { type_name, config: random.sent(&thing), ..Default::default() }
                .encode_to_vec()
        }
        "OpenEphemeralResource" => {
            proto::open_ephemeral_resource::Request { type_name, config: random.sent(&thing), ..Default::default() }
                .encode_to_vec()
        }
        "RenewEphemeralResource" => {
            proto::renew_ephemeral_resource::Request { type_name, private: Some(random.private()) }.encode_to_vec()
        }
        "CloseEphemeralResource" => {
            proto::close_ephemeral_resource::Request { type_name, private: Some(random.private()) }.encode_to_vec()
        }
        "CallFunction" => {
            let params = <Thing as Function>::Params::schema().attributes;
            let mut arguments: Vec<_> =
                params.iter().take(3).filter_map(|param| random.sent(&param.kind.to_type())).collect();
            arguments.extend((0..random.below(3)).filter_map(|_| random.sent(&Type::String)));
            proto::call_function::Request { name: <Thing as Function>::NAME.into(), arguments }.encode_to_vec()
        }
        "ListResource" => proto::list_resource::Request {
            type_name,
            config: random.sent(&part),
            include_resource_object: random.one_in(2),
            limit: *random.pick(&[0, 1, 3, -1, i64::MAX]),
        }
        .encode_to_vec(),
        "PlanAction" => proto::plan_action::Request {
            action_type: "fuzz_part".into(),
            config: random.sent(&part),
            ..Default::default()
        }
        .encode_to_vec(),
        "InvokeAction" => proto::invoke_action::Request {
            action_type: "fuzz_part".into(),
            config: random.sent(&part),
            ..Default::default()
        }
        .encode_to_vec(),
        _ => random.noise(),
    }
}

/// What a provider said of a request; `None` for bytes that are no request.
type Said = Result<Option<Vec<String>>, Status>;

/// Asks, where the bytes are a request at all.
async fn ask<Q, A, F>(
    bytes: Bytes,
    call: impl FnOnce(Request<Q>) -> F,
    said: impl FnOnce(A) -> Result<(), Vec<String>>,
) -> Said
where
    Q: Message + Default,
    F: Future<Output = Result<Response<A>, Status>>,
{
    let Ok(request) = Q::decode(bytes) else {
        return Ok(None);
    };
    let answer = call(Request::new(request)).await?.into_inner();
    Ok(Some(said(answer).err().unwrap_or_default()))
}

fn errors(diagnostics: Vec<proto::Diagnostic>) -> Result<(), Vec<String>> {
    let texts: Vec<String> = diagnostics
        .into_iter()
        .filter(|diagnostic| diagnostic.severity() == proto::diagnostic::Severity::Error)
        .map(|diagnostic| format!("{}: {}", diagnostic.summary, diagnostic.detail))
        .collect();
    if texts.is_empty() { Ok(()) } else { Err(texts) }
}

/// What is returned without an error must be of the type that the schema says.
fn fits(value: Option<proto::DynamicValue>, kind: &Type) -> Result<(), Vec<String>> {
    let bytes = value.map(|value| value.msgpack).unwrap_or_default();
    if bytes.is_empty() {
        return Ok(());
    }
    match Value::from_msgpack(&bytes, kind) {
        Ok(_) => Ok(()),
        Err(error) => Err(vec![format!("it crashed in the host, which cannot read what is returned: {error}")]),
    }
}

async fn answer<S: Service>(service: &S, rpc: &str, bytes: Bytes) -> Said {
    let thing = ThingModel::schema().to_type();
    let identity = object_type(&ThingIdentity::schema().attributes);
    let identified =
        |data: Option<proto::ResourceIdentityData>| fits(data.and_then(|data| data.identity_data), &identity);
    macro_rules! ask {
        ($call:ident, |$answer:ident| $said:expr) => {
            ask(bytes, |request| service.$call(request), |$answer| $said).await
        };
    }
    match rpc {
        "ValidateProviderConfig" => ask!(validate_provider_config, |answer| errors(answer.diagnostics)),
        "ConfigureProvider" => ask!(configure_provider, |answer| errors(answer.diagnostics)),
        "ValidateResourceConfig" => ask!(validate_resource_config, |answer| errors(answer.diagnostics)),
        "UpgradeResourceState" => ask!(upgrade_resource_state, |answer| {
            errors(answer.diagnostics).and_then(|()| fits(answer.upgraded_state, &thing))
        }),
        "UpgradeResourceIdentity" => ask!(upgrade_resource_identity, |answer| {
            errors(answer.diagnostics).and_then(|()| identified(answer.upgraded_identity))
        }),
        "MoveResourceState" => ask!(move_resource_state, |answer| {
            errors(answer.diagnostics).and_then(|()| fits(answer.target_state, &thing))
        }),
        "ReadResource" => {
            ask!(read_resource, |answer| { errors(answer.diagnostics).and_then(|()| fits(answer.new_state, &thing)) })
        }
        "PlanResourceChange" => ask!(plan_resource_change, |answer| {
            errors(answer.diagnostics).and_then(|()| fits(answer.planned_state, &thing))
        }),
        "ApplyResourceChange" => ask!(apply_resource_change, |answer| {
            errors(answer.diagnostics).and_then(|()| fits(answer.new_state, &thing))
        }),
        "ImportResourceState" => ask!(import_resource_state, |answer| {
            errors(answer.diagnostics)
                .and_then(|()| answer.imported_resources.into_iter().try_for_each(|made| fits(made.state, &thing)))
        }),
        "GenerateResourceConfig" => ask!(generate_resource_config, |answer| {
            errors(answer.diagnostics).and_then(|()| fits(answer.config, &thing))
        }),
        "ReadDataSource" => {
            ask!(read_data_source, |answer| { errors(answer.diagnostics).and_then(|()| fits(answer.state, &thing)) })
        }
        "OpenEphemeralResource" => ask!(open_ephemeral_resource, |answer| {
            errors(answer.diagnostics).and_then(|()| fits(answer.result, &thing))
        }),
        "RenewEphemeralResource" => ask!(renew_ephemeral_resource, |answer| errors(answer.diagnostics)),
        "CloseEphemeralResource" => ask!(close_ephemeral_resource, |answer| errors(answer.diagnostics)),
        "CallFunction" => ask!(call_function, |answer| match answer.error {
            Some(error) => Err(vec![error.text]),
            None => fits(answer.result, &Type::Dynamic),
        }),
        "PlanAction" => ask!(plan_action, |answer| errors(answer.diagnostics)),
        "ListResource" => {
            let Ok(request) = proto::list_resource::Request::decode(bytes) else { return Ok(None) };
            let events = service.list_resource(Request::new(request)).await?.into_inner();
            let events: Vec<_> = events.take(8).collect::<Result<_, _>>().await?;
            let said = events.into_iter().try_for_each(|event| errors(event.diagnostic));
            Ok(Some(said.err().unwrap_or_default()))
        }
        "InvokeAction" => {
            let Ok(request) = proto::invoke_action::Request::decode(bytes) else { return Ok(None) };
            let events = service.invoke_action(Request::new(request)).await?.into_inner();
            let events: Vec<_> = events.collect::<Result<_, _>>().await?;
            match events.last().and_then(|event| event.r#type.clone()) {
                Some(proto::invoke_action::event::Type::Completed(completed)) => {
                    Ok(Some(errors(completed.diagnostics).err().unwrap_or_default()))
                }
                _ => Err(Status::internal("the action never said that it is completed")),
            }
        }
        _ => Ok(None),
    }
}
