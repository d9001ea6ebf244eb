//! Queries and actions: what is answered in several messages.

use futures::StreamExt;
use tonic::Request;

use super::{Config, Host, broken, wire};
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::invoke_action::event::Type as Happening;
use crate::proto::tfplugin6::provider_server::Provider as _;
use crate::schema::object_type;
use crate::{Diagnostics, Provider, Value};

/// An object that a query found.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The name for people.
    pub display_name: String,
    /// The identity.
    pub identity: Value,
    /// The state, if it was asked for.
    pub resource: Option<Value>,
}

/// How an action went.
#[derive(Debug)]
pub struct Invoked {
    /// What it said on the way.
    pub progress: Vec<String>,
    /// Its end: warnings, or errors.
    pub end: Result<Diagnostics, Diagnostics>,
}

impl<P: Provider> Host<P> {
    /// Runs a query for at most `limit` objects (0 for all), with their state
    /// where `include_resource` says so.
    ///
    /// # Errors
    /// What the provider says is wrong, or a broken rule of the host.
    ///
    /// # Panics
    /// If the provider has no list resource of the name.
    pub async fn list(
        &self,
        name: &str,
        config: impl Config,
        limit: i64,
        include_resource: bool,
    ) -> Result<Vec<Listed>, Diagnostics> {
        let Some(list) = self.service.registry().list_resources.get(name) else {
            panic!("no list resource is named {name}");
        };
        let config = wire::encode(&config.into_value(list.kind()));
        let request = proto::validate_list_resource_config::Request {
            type_name: name.into(),
            config: config.clone(),
            ..Default::default()
        };
        let answer = self.service.validate_list_resource_config(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()?;
        let request = proto::list_resource::Request {
            type_name: name.into(),
            config,
            include_resource_object: include_resource,
            limit,
        };
        let mut events = wire::answer(self.service.list_resource(Request::new(request)).await)?;
        let mut found = Vec::new();
        while let Some(event) = events.next().await {
            let event = event.map_err(|status| broken("The query failed", status.to_string()))?;
            wire::diagnostics(event.diagnostic.clone()).into_result()?;
            if event.identity.is_some() || event.diagnostic.is_empty() {
                found.push(self.listed(name, event)?);
            }
        }
        Ok(found)
    }

    fn listed(&self, name: &str, event: proto::list_resource::Event) -> Result<Listed, Diagnostics> {
        let resource = self.service.registry().resources.get(name);
        let resource = resource.ok_or_else(|| broken("Nothing can be listed", format!("{name} is no resource.")))?;
        let (Some(schema), Some(identity)) = (resource.identity_schema(), event.identity) else {
            return Err(broken("Missing identity", "Every object of a query has an identity."));
        };
        let state = event.resource_object.map(|state| wire::decode(Some(state), resource.kind()));
        Ok(Listed {
            display_name: event.display_name,
            identity: wire::decode(identity.identity_data, &object_type(&schema.attributes))?,
            resource: state.transpose()?,
        })
    }

    /// Plans an action, and invokes it.
    ///
    /// # Errors
    /// What is wrong with the configuration or with the plan.
    ///
    /// # Panics
    /// If the provider has no action of the name.
    pub async fn invoke(&self, name: &str, config: impl Config) -> Result<Invoked, Diagnostics> {
        let Some(action) = self.service.registry().actions.get(name) else {
            panic!("no action is named {name}");
        };
        let config = wire::encode(&config.into_value(action.kind()));
        let request = proto::validate_action_config::Request { action_type: name.into(), config: config.clone() };
        let answer = self.service.validate_action_config(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()?;
        let request = proto::plan_action::Request {
            action_type: name.into(),
            config: config.clone(),
            client_capabilities: self.client.capabilities(),
        };
        let answer = wire::answer(self.service.plan_action(Request::new(request)).await)?;
        wire::diagnostics(answer.diagnostics).into_result()?;
        self.client.not_deferred(answer.deferred)?;
        let request = proto::invoke_action::Request { action_type: name.into(), config, ..Default::default() };
        let mut events = wire::answer(self.service.invoke_action(Request::new(request)).await)?;
        let mut progress = Vec::new();
        while let Some(event) = events.next().await {
            match event.map_err(|status| broken("The action failed", status.to_string()))?.r#type {
                Some(Happening::Progress(said)) => progress.push(said.message),
                Some(Happening::Completed(completed)) => {
                    let end = wire::diagnostics(completed.diagnostics).into_result();
                    return Ok(Invoked { progress, end });
                }
                None => return Err(broken("Invalid event", "It is neither progress nor the end.")),
            }
        }
        Err(broken("The action did not complete", "Its last event says that it is completed."))
    }
}
