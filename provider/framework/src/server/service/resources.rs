//! Managed resources on the wire.

use bytes::Bytes;

use super::convert::{self, decode, diagnostics, encode};
use super::{Inner, no_such};
use crate::erased::{AnyResource, Applied, Change, Client, Planned, Scope};
use crate::plan::blocks;
use crate::proto::tfplugin6 as proto;
use crate::resource::{IdentitySchema, Import, MoveSource};
use crate::schema::{Attribute, Kind, Nesting, object_type};
use crate::{AttributePath, Diagnostic, Diagnostics, Provider, Value};

impl<P: Provider> Inner<P> {
    fn resource(&self, name: &str) -> Result<&dyn AnyResource<P::Shared>, Diagnostics> {
        self.registry.resources.get(name).map(AsRef::as_ref).ok_or_else(|| no_such("resource", name))
    }

    pub async fn validate_resource(
        &self,
        request: proto::validate_resource_config::Request,
    ) -> proto::validate_resource_config::Response {
        let checked = async {
            let resource = self.resource(&request.type_name)?;
            let config = decode(request.config, resource.kind())?;
            let client = convert::client(request.client_capabilities);
            let mut found = Diagnostics::new();
            if !client.write_only {
                let attributes = &resource.schema().attributes;
                refuse_write_only(attributes, &config, &AttributePath::new(), &mut found);
            }
            if !client.computed_blocks {
                refuse_computed_blocks(&resource.schema().attributes, &config, &mut found);
            }
            found.append(resource.validate(Scope { client, ..self.scope() }, config).await);
            Ok::<_, Diagnostics>(found)
        };
        let found = checked.await.unwrap_or_else(|errors| errors);
        proto::validate_resource_config::Response { diagnostics: diagnostics(found) }
    }

    pub async fn upgrade_state(
        &self,
        request: proto::upgrade_resource_state::Request,
    ) -> proto::upgrade_resource_state::Response {
        let upgraded = async {
            let resource = self.resource(&request.type_name)?;
            let json = json_of(request.raw_state)?;
            resource.upgrade(request.version, if json.is_empty() { b"null" } else { &json }).await
        };
        let (state, errors) = match upgraded.await {
            Ok(state) => (Some(state), Diagnostics::new()),
            Err(errors) => (None, errors),
        };
        proto::upgrade_resource_state::Response {
            upgraded_state: state.as_ref().and_then(encode),
            diagnostics: diagnostics(errors),
        }
    }

    pub async fn upgrade_identity(
        &self,
        request: proto::upgrade_resource_identity::Request,
    ) -> proto::upgrade_resource_identity::Response {
        let upgraded = async {
            // A host before 1.12 saved no identity, and the next one asks all the same.
            let json = request.raw_identity.as_ref().map(|identity| identity.json.as_ref()).unwrap_or_default();
            if json.is_empty() || json == b"null" {
                return Ok(Value::Null);
            }
            self.resource(&request.type_name)?.upgrade_identity(request.version, json).await
        };
        let (identity, errors) = match upgraded.await {
            Ok(identity) => (Some(identity).filter(|identity| !identity.is_null()), Diagnostics::new()),
            Err(errors) => (None, errors),
        };
        proto::upgrade_resource_identity::Response {
            upgraded_identity: convert::identity(identity.as_ref()),
            diagnostics: diagnostics(errors),
        }
    }

    pub async fn move_state(
        &self,
        request: proto::move_resource_state::Request,
    ) -> proto::move_resource_state::Response {
        tracing::debug!(resource = request.target_type_name, from = request.source_type_name, "move");
        let moved = async {
            let resource = self.resource(&request.target_type_name)?;
            let identity = match saved_json(request.source_identity)? {
                serde_json::Value::Null => None,
                identity => Some((request.source_identity_schema_version, identity)),
            };
            let source = MoveSource {
                provider: request.source_provider_address,
                type_name: request.source_type_name,
                version: request.source_schema_version,
                state: saved_json(request.source_state)?,
                private: request.source_private.to_vec(),
                identity,
            };
            let moved = resource.move_from(self.scope(), source).await;
            if moved.diagnostics.has_errors() { Err(moved.diagnostics) } else { Ok(moved) }
        };
        match moved.await {
            Ok(moved) => proto::move_resource_state::Response {
                target_state: encode(&moved.state),
                target_private: moved.private.into(),
                target_identity: convert::identity(moved.identity.as_ref()),
                diagnostics: diagnostics(moved.diagnostics),
            },
            Err(errors) => {
                proto::move_resource_state::Response { diagnostics: diagnostics(errors), ..Default::default() }
            }
        }
    }

    pub async fn read(&self, request: proto::read_resource::Request) -> proto::read_resource::Response {
        tracing::debug!(resource = request.type_name, "read");
        let client = convert::client(request.client_capabilities);
        let read = async {
            let resource = self.resource(&request.type_name)?;
            let state = decode(request.current_state.clone(), resource.kind())?;
            let (scope, _) = self.module_scope(client, request.provider_meta)?;
            Ok::<_, Diagnostics>(resource.read(scope.ready()?, state, request.private.to_vec()).await)
        };
        match read.await {
            Ok(read) => {
                let (diagnostics, deferred) = convert::deferred(client, read.diagnostics);
                proto::read_resource::Response {
                    new_identity: convert::identity(read.identity.as_ref()).or(request.current_identity),
                    new_state: encode(&read.state),
                    diagnostics,
                    private: read.private.into(),
                    deferred,
                }
            }
            // What cannot be read is kept as it was.
            Err(errors) => {
                let (diagnostics, deferred) = convert::deferred(client, errors);
                proto::read_resource::Response {
                    new_state: request.current_state,
                    diagnostics,
                    private: request.private,
                    deferred,
                    new_identity: request.current_identity,
                }
            }
        }
    }

    pub async fn plan(&self, request: proto::plan_resource_change::Request) -> proto::plan_resource_change::Response {
        tracing::debug!(resource = request.type_name, "plan");
        let client = convert::client(request.client_capabilities);
        let planned = async {
            let resource = self.resource(&request.type_name)?;
            let prior = decode(request.prior_state, resource.kind())?;
            let planned_private = (!request.planned_private.is_empty()).then(|| request.planned_private.to_vec());
            // The bytes of an object that is replaced are not the new one's.
            let prior_private = if prior.is_null() { Vec::new() } else { request.prior_private.to_vec() };
            let change = Change {
                prior,
                // The host's proposal is not read: it is computed here in the
                // same way, and correctly inside sets.
                planned: Value::Null,
                config: decode(request.config, resource.kind())?,
                private: planned_private.clone().unwrap_or(prior_private),
                planned_private,
            };
            let (scope, mut found) = self.module_scope(client, request.provider_meta)?;
            let planned = resource.plan(scope, change).await;
            found.append(planned.diagnostics);
            Ok::<_, Diagnostics>(Planned { diagnostics: found, ..planned })
        };
        match planned.await {
            Ok(planned) => {
                let (diagnostics, deferred) = convert::deferred(client, planned.diagnostics);
                proto::plan_resource_change::Response {
                    planned_state: encode(&planned.state),
                    requires_replace: planned.replace.iter().map(convert::path).collect(),
                    planned_private: planned.private.into(),
                    diagnostics,
                    deferred,
                    planned_identity: request.prior_identity,
                    ..Default::default()
                }
            }
            Err(errors) => proto::plan_resource_change::Response {
                planned_state: request.proposed_new_state,
                diagnostics: diagnostics(errors),
                planned_identity: request.prior_identity,
                ..Default::default()
            },
        }
    }

    pub async fn apply(
        &self,
        request: proto::apply_resource_change::Request,
    ) -> proto::apply_resource_change::Response {
        tracing::debug!(resource = request.type_name, "apply");
        let applied = async {
            let resource = self.resource(&request.type_name)?;
            let change = Change {
                prior: decode(request.prior_state.clone(), resource.kind())?,
                planned: decode(request.planned_state, resource.kind())?,
                config: decode(request.config, resource.kind())?,
                private: request.planned_private.to_vec(),
                planned_private: None,
            };
            let (scope, _) = self.module_scope(Client::default(), request.provider_meta)?;
            Ok::<_, Diagnostics>(resource.apply(scope, change).await)
        };
        match applied.await {
            Ok(Applied { state, identity, private, diagnostics: found }) => {
                let identity = convert::identity(identity.as_ref());
                proto::apply_resource_change::Response {
                    new_identity: if state.is_null() { None } else { identity.or(request.planned_identity) },
                    new_state: encode(&state),
                    private: private.into(),
                    diagnostics: diagnostics(found),
                    ..Default::default()
                }
            }
            // Nothing was done.
            Err(errors) => proto::apply_resource_change::Response {
                new_state: request.prior_state,
                private: request.planned_private,
                diagnostics: diagnostics(errors),
                new_identity: request.planned_identity,
                ..Default::default()
            },
        }
    }

    pub fn generate_config(
        &self,
        request: proto::generate_resource_config::Request,
    ) -> proto::generate_resource_config::Response {
        let generated = || {
            let resource = self.resource(&request.type_name)?;
            resource.generate(&decode(request.state, resource.kind())?)
        };
        match generated() {
            Ok(config) => {
                proto::generate_resource_config::Response { config: encode(&config), diagnostics: Vec::new() }
            }
            Err(errors) => proto::generate_resource_config::Response { config: None, diagnostics: diagnostics(errors) },
        }
    }

    pub async fn import(
        &self,
        request: proto::import_resource_state::Request,
    ) -> proto::import_resource_state::Response {
        tracing::debug!(resource = request.type_name, "import");
        let type_name = request.type_name.clone();
        let client = convert::client(request.client_capabilities);
        let given = request.identity.clone();
        let imported = async {
            let resource = self.resource(&request.type_name)?;
            let import =
                match (request.identity.and_then(|identity| identity.identity_data), resource.identity_schema()) {
                    (Some(identity), Some(schema)) => Import::Identity(identity_value(identity, schema)?),
                    _ => Import::Id(request.id),
                };
            let read = resource.import(Scope { client, ..self.scope() }.ready()?, import).await;
            if read.diagnostics.has_errors() { Err(read.diagnostics) } else { Ok(read) }
        };
        match imported.await {
            Ok(read) => proto::import_resource_state::Response {
                imported_resources: vec![proto::import_resource_state::ImportedResource {
                    type_name,
                    // What was found by its identity has that one.
                    identity: convert::identity(read.identity.as_ref()).or(given),
                    state: encode(&read.state),
                    private: read.private.into(),
                }],
                diagnostics: diagnostics(read.diagnostics),
                deferred: None,
            },
            // Deferred without an object: the host makes do with its address.
            Err(errors) => {
                let (diagnostics, deferred) = convert::deferred(client, errors);
                proto::import_resource_state::Response { diagnostics, deferred, ..Default::default() }
            }
        }
    }
}

/// What was saved, as JSON; empty if nothing was.
fn json_of(saved: Option<proto::RawState>) -> Result<Bytes, Diagnostics> {
    let saved = saved.unwrap_or_default();
    if saved.json.is_empty() && !saved.flatmap.is_empty() {
        return Err(Diagnostic::error("The saved state is in the format of Terraform 0.11, which is not read")
            .detail(
                "It is a flat map of strings; a state must be JSON. Apply once with Terraform 0.12 and a release \
                 of the provider of that time, or remove the object from the state and import it again.",
            )
            .into());
    }
    Ok(saved.json)
}

/// What another type saved; null if nothing.
fn saved_json(saved: Option<proto::RawState>) -> Result<serde_json::Value, Diagnostics> {
    let json = json_of(saved)?;
    if json.is_empty() {
        return Ok(serde_json::Value::Null);
    }
    serde_json::from_slice(&json).map_err(|error| {
        Diagnostic::error("The saved state of the source cannot be read").detail(error.to_string()).into()
    })
}

fn identity_value(identity: proto::DynamicValue, schema: &IdentitySchema) -> Result<Value, Diagnostics> {
    decode(Some(identity), &object_type(&schema.attributes))
}

/// A host that does not know computed blocks would refuse what the provider
/// puts into one that the user left out.
fn refuse_computed_blocks(attributes: &[Attribute], config: &Value, found: &mut Diagnostics) {
    let computed = attributes.iter().filter(|attribute| attribute.block.is_some() && attribute.is_computed());
    for attribute in computed.filter(|attribute| blocks::is_absent(attribute, config.get(attribute.name))) {
        found.error_at(
            attribute.name,
            format!("`{}` must be written out under this host", attribute.name),
            "The provider fills in this block where it is left out, which a host can take since Terraform 1.16.",
        );
    }
}

/// A host that does not know write-only attributes would store them.
fn refuse_write_only(attributes: &[Attribute], config: &Value, path: &AttributePath, found: &mut Diagnostics) {
    for attribute in attributes {
        let value = config.get(attribute.name);
        let path = path.attribute(attribute.name);
        if attribute.write_only && !value.is_null() {
            found.error_at(
                path,
                format!("`{}` needs a host with write-only attributes", attribute.name),
                "This host would store the value in its state. Terraform knows write-only attributes since 1.11, OpenTofu since 1.11.",
            );
        } else if let Kind::Nested(nesting, nested) = &attribute.kind {
            match (nesting, value) {
                (Nesting::Single, object) => refuse_write_only(nested, object, &path, found),
                (Nesting::Map, Value::Map(objects)) => objects
                    .iter()
                    .for_each(|(key, object)| refuse_write_only(nested, object, &path.key(key.clone()), found)),
                (_, Value::List(objects)) => objects
                    .iter()
                    .enumerate()
                    .for_each(|(index, object)| refuse_write_only(nested, object, &path.index(index), found)),
                _ => {}
            }
        }
    }
}
