//! Functions, data sources and ephemeral resources in the hands of a host.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use tfplugin::Value;
use tfplugin::proto::tfplugin6 as proto;

use crate::case::{Attributes, Call, CallError};
use crate::client::{ABLE, Client, Told, answer, told, value, wire};
use crate::reading;

impl Client {
    /// Calls a function, and says how the answer differs from what is expected.
    pub async fn call(&mut self, call: &Call) -> Result<Vec<String>, String> {
        let Call { function: name, arguments, result, error } = call;
        let function = self.schemas.functions.get(name).cloned().ok_or_else(|| format!("no function {name}"))?;
        let mut sent = Vec::new();
        for (position, argument) in arguments.iter().enumerate() {
            let (_, kind) = function.parameter(position).ok_or_else(|| format!("{name} takes fewer arguments"))?;
            sent.extend(wire(&reading::plain(argument, kind)?));
        }
        let request = proto::call_function::Request { name: name.clone(), arguments: sent };
        let answer = answer(self.grpc.call_function(request).await)?;
        let found = match answer.error {
            Some(error) => Err((error.text, error.function_argument)),
            None => Ok(reading::bare(&value(answer.result, &function.result)?)),
        };
        match (result, error, found) {
            (Some(expected), _, Ok(found)) => {
                let expected = reading::bare(&reading::plain(expected, &function.result)?);
                let differs = expected != found;
                Ok(differs
                    .then(|| format!("{name}: expected {}, found {}", reading::text(&expected), reading::text(&found)))
                    .into_iter()
                    .collect())
            }
            (_, Some(CallError { says, argument }), Err((text, blamed))) => {
                let expected = argument.and_then(|argument| i64::try_from(argument).ok());
                let differs = !text.contains(says) || blamed != expected;
                Ok(differs
                    .then(|| format!("{name}: expected {says:?} of {expected:?}, found {text:?} of {blamed:?}"))
                    .into_iter()
                    .collect())
            }
            (_, _, found) => Ok(vec![format!("{name}: {found:?}")]),
        }
    }

    /// Reads a data source; null after an error.
    pub async fn read_data(
        &mut self,
        of: &str,
        kind: &str,
        attributes: &Attributes,
    ) -> Result<(Value, Vec<Told>), String> {
        let schema = self.schemas.data.get(kind).cloned().ok_or_else(|| format!("no data source {kind}"))?;
        let config = wire(&reading::plain(&Json::Object(attributes.clone()), &schema.kind)?);
        let request = proto::validate_data_resource_config::Request { type_name: kind.into(), config: config.clone() };
        let mut found = told(of, answer(self.grpc.validate_data_resource_config(request).await)?.diagnostics);
        let request = proto::read_data_source::Request {
            type_name: kind.into(),
            config,
            client_capabilities: Some(ABLE),
            ..Default::default()
        };
        let read = answer(self.grpc.read_data_source(request).await)?;
        found.extend(told(of, read.diagnostics));
        let state = value(read.state, &schema.kind)?;
        if !state.is_wholly_known() {
            return Err(format!("{of}: a read left values unknown"));
        }
        Ok((state, found))
    }

    /// Opens an ephemeral resource.
    pub async fn open(
        &mut self,
        of: &str,
        kind: &str,
        attributes: &Attributes,
        opened: &mut Opened,
    ) -> Result<Vec<Told>, String> {
        let schema = self.schemas.ephemeral.get(kind).cloned().ok_or_else(|| format!("no ephemeral {kind}"))?;
        let config = wire(&reading::plain(&Json::Object(attributes.clone()), &schema.kind)?);
        let request =
            proto::validate_ephemeral_resource_config::Request { type_name: kind.into(), config: config.clone() };
        let mut found = told(of, answer(self.grpc.validate_ephemeral_resource_config(request).await)?.diagnostics);
        if found.iter().any(|told| told.is_error) {
            return Ok(found);
        }
        let request =
            proto::open_ephemeral_resource::Request { type_name: kind.into(), config, client_capabilities: Some(ABLE) };
        let made = answer(self.grpc.open_ephemeral_resource(request).await)?;
        found.extend(told(of, made.diagnostics));
        if !found.iter().any(|told| told.is_error) {
            let result = value(made.result, &schema.kind)?;
            if result.is_null() || !result.is_wholly_known() {
                return Err(format!("{of}: an opened resource must be known"));
            }
            let lease = Lease { kind: kind.into(), result, private: made.private, renew: made.renew_at.is_some() };
            opened.0.insert(of.into(), lease);
        }
        Ok(found)
    }
}

/// The ephemeral resources that are open, by address.
#[derive(Default)]
pub struct Opened(BTreeMap<String, Lease>);

struct Lease {
    kind: String,
    result: Value,
    private: Option<bytes::Bytes>,
    renew: bool,
}

impl Opened {
    pub fn results(&self) -> BTreeMap<String, Value> {
        self.0.iter().map(|(address, lease)| (address.clone(), lease.result.clone())).collect()
    }

    /// Renews those that want it, and closes all.
    pub async fn close(self, client: &mut Client) -> Result<(), String> {
        for (address, mut lease) in self.0 {
            if lease.renew {
                let request = proto::renew_ephemeral_resource::Request {
                    type_name: lease.kind.clone(),
                    private: lease.private.clone(),
                };
                let renewed = answer(client.grpc.renew_ephemeral_resource(request).await)?;
                clean(&address, told(&address, renewed.diagnostics))?;
                lease.private = renewed.private;
            }
            let request = proto::close_ephemeral_resource::Request { type_name: lease.kind, private: lease.private };
            clean(&address, told(&address, answer(client.grpc.close_ephemeral_resource(request).await)?.diagnostics))?;
        }
        Ok(())
    }
}

fn clean(address: &str, told: Vec<Told>) -> Result<(), String> {
    if told.is_empty() { Ok(()) } else { Err(format!("{address}: {told:?}")) }
}
