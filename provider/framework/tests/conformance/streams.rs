//! Queries and actions in the hands of a host.

use serde_json::Value as Json;
use tfplugin::proto::tfplugin6 as proto;
use tfplugin::proto::tfplugin6::invoke_action::event::Type as Happening;

use crate::case::{Found, Invoke, Query};
use crate::client::{ABLE, Client, Told, answer, told, value, wire};
use crate::life::differs;
use crate::{reading, world};

/// The expected error against the errors told.
fn failure(expected: Option<&String>, told: &[Told]) -> Vec<String> {
    match (expected, told) {
        (None, []) => Vec::new(),
        (Some(says), [told]) if told.text.contains(says.as_str()) => Vec::new(),
        (expected, told) => vec![format!("expected the error {expected:?}, found {told:?}")],
    }
}

impl Client {
    /// Runs a query, and says how what it finds differs from what is expected.
    pub async fn query(&mut self, query: &Query) -> Result<Vec<String>, String> {
        let Query { list, given, config, limit, include_resource, found: expected, fails } = query;
        world::prepare(self.world.path(), given, &[]);
        let schema = self.schemas.lists.get(list).cloned().ok_or_else(|| format!("no list {list}"))?;
        let config = wire(&reading::plain(&Json::Object(config.clone()), &schema.kind)?);
        let request = proto::validate_list_resource_config::Request {
            type_name: list.clone(),
            config: config.clone(),
            ..Default::default()
        };
        let mut errors = told(list, answer(self.grpc.validate_list_resource_config(request).await)?.diagnostics);
        let mut problems = Vec::new();
        let mut number = 0;
        if errors.is_empty() {
            let request = proto::list_resource::Request {
                type_name: list.clone(),
                config,
                include_resource_object: *include_resource,
                limit: *limit,
            };
            let mut events = answer(self.grpc.list_resource(request).await)?;
            while let Some(event) = events.message().await.map_err(|status| status.to_string())? {
                errors.extend(told(list, event.diagnostic.clone()));
                if event.identity.is_some() || event.diagnostic.is_empty() {
                    match expected.get(number) {
                        Some(expected) => problems.extend(self.check_found(list, expected, event)?),
                        None => problems.push(format!("{} is found too", event.display_name)),
                    }
                    number += 1;
                }
            }
        }
        problems.extend(expected.iter().skip(number).map(|missing| format!("{} is not found", missing.display_name)));
        problems.extend(failure(fails.as_ref(), &errors));
        Ok(problems)
    }

    fn check_found(
        &self,
        list: &str,
        expected: &Found,
        event: proto::list_resource::Event,
    ) -> Result<Vec<String>, String> {
        let Found { display_name, identity, resource } = expected;
        let schema = self.schemas.identities.get(list).ok_or("a list needs an identity")?;
        let mut problems: Vec<String> = differs("the name", display_name, &event.display_name).into_iter().collect();
        let found = value(event.identity.ok_or("an object without identity")?.identity_data, &schema.kind)?;
        problems.extend(reading::differences("the identity", identity, &found, &schema.kind));
        match (resource, event.resource_object) {
            (Some(expected), Some(object)) => {
                let kind = &self.schema(list)?.kind;
                problems.extend(reading::differences("the object", expected, &value(Some(object), kind)?, kind));
            }
            (None, None) => {}
            (expected, found) => problems.push(format!("expected {expected:?}, found {found:?}")),
        }
        Ok(problems)
    }

    /// Invokes an action, and says how it went otherwise than expected.
    pub async fn invoke(&mut self, invoke: &Invoke) -> Result<Vec<String>, String> {
        let Invoke { action, config, progress, fails, world } = invoke;
        let schema = self.schemas.actions.get(action).cloned().ok_or_else(|| format!("no action {action}"))?;
        let config = wire(&reading::plain(&Json::Object(config.clone()), &schema.kind)?);
        let request = proto::validate_action_config::Request { action_type: action.clone(), config: config.clone() };
        let mut errors = told(action, answer(self.grpc.validate_action_config(request).await)?.diagnostics);
        if errors.is_empty() {
            let request = proto::plan_action::Request {
                action_type: action.clone(),
                config: config.clone(),
                client_capabilities: Some(ABLE),
            };
            errors = told(action, answer(self.grpc.plan_action(request).await)?.diagnostics);
        }
        let mut said = Vec::new();
        if errors.is_empty() {
            let request =
                proto::invoke_action::Request { action_type: action.clone(), config, client_capabilities: Some(ABLE) };
            let mut events = answer(self.grpc.invoke_action(request).await)?;
            let mut completed = false;
            while let Some(event) = events.message().await.map_err(|status| status.to_string())? {
                match event.r#type {
                    _ if completed => return Err("an event after the end".into()),
                    Some(Happening::Progress(progress)) => said.push(progress.message),
                    Some(Happening::Completed(end)) => {
                        completed = true;
                        errors = told(action, end.diagnostics);
                    }
                    None => return Err("an event that is neither progress nor the end".into()),
                }
            }
            if !completed {
                return Err("the action does not complete".into());
            }
        }
        let mut problems: Vec<String> = differs("the progress", progress, &said).into_iter().collect();
        problems.extend(failure(fails.as_ref(), &errors));
        problems.extend(world::differences(self.world.path(), world));
        Ok(problems)
    }
}
