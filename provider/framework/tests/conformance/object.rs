//! One resource instance in the hands of a host.

use bytes::Bytes;
use tfplugin::Value;
use tfplugin::proto::tfplugin6 as proto;

use crate::case::{Action, Saved};
use crate::client::{ABLE, Client, Told, answer, path, told, value, wire};
use crate::rules;
use crate::schemas::Schema;

/// The state that a host keeps of an object.
#[derive(Debug, Clone)]
pub struct Object {
    pub kind: String,
    pub state: Value,
    pub private: Bytes,
    pub identity: Option<Value>,
    pub tainted: bool,
}

impl Object {
    /// One that does not exist yet.
    pub fn new(kind: &str) -> Self {
        Self { kind: kind.into(), state: Value::Null, private: Bytes::new(), identity: None, tainted: false }
    }
}

/// A planned change.
#[derive(Debug, Clone)]
pub struct Plan {
    pub action: Action,
    pub planned: Value,
    pub replace: Vec<String>,
    pub private: Bytes,
    pub identity: Option<proto::ResourceIdentityData>,
}

/// What a call came to: an answer unless an error was told. A broken rule of
/// the host is a string.
pub type Outcome<T> = Result<(Option<T>, Vec<Told>), String>;

/// Parts an answer's diagnostics from its value.
fn outcome<T>(told: Vec<Told>, value: T) -> (Option<T>, Vec<Told>) {
    let failed = told.iter().any(|told| told.is_error);
    (Some(value).filter(|_| !failed), told)
}

fn broken(rules: Vec<String>) -> Result<(), String> {
    if rules.is_empty() { Ok(()) } else { Err(format!("breaks the protocol: {}", rules.join("; "))) }
}

impl Client {
    pub fn schema(&self, kind: &str) -> Result<Schema, String> {
        self.schemas.resources.get(kind).cloned().ok_or_else(|| format!("there is no resource {kind}"))
    }

    pub async fn validate(&mut self, of: &str, kind: &str, config: &Value) -> Result<Vec<Told>, String> {
        let request = proto::validate_resource_config::Request {
            type_name: kind.into(),
            config: wire(config),
            client_capabilities: Some(ABLE),
        };
        Ok(told(of, answer(self.grpc.validate_resource_config(request).await)?.diagnostics))
    }

    /// Takes over what another release saved.
    pub async fn upgrade(&mut self, of: &str, kind: &str, saved: Saved) -> Outcome<Object> {
        let json =
            |json: serde_json::Value| Some(proto::RawState { json: json.to_string().into(), ..Default::default() });
        let request = proto::upgrade_resource_state::Request {
            type_name: kind.into(),
            version: saved.version,
            raw_state: json(saved.attributes.into()),
        };
        let upgraded = answer(self.grpc.upgrade_resource_state(request).await)?;
        let mut told = told(of, upgraded.diagnostics);
        let mut object = Object::new(kind);
        object.state = value(upgraded.upgraded_state, &self.schema(kind)?.kind)?;
        if self.schemas.identities.contains_key(kind) {
            // A host asks even where an older one has saved no identity.
            let saved_identity = saved.identity.map(|identity| serde_json::Value::from(identity).to_string());
            let request = proto::upgrade_resource_identity::Request {
                type_name: kind.into(),
                version: saved.identity_version,
                raw_identity: Some(proto::RawState {
                    json: saved_identity.unwrap_or_default().into(),
                    ..Default::default()
                }),
            };
            let upgraded = answer(self.grpc.upgrade_resource_identity(request).await)?;
            told.extend(crate::client::told(of, upgraded.diagnostics));
            object.identity = self.identity(kind, upgraded.upgraded_identity)?;
        }
        Ok(outcome(told, object))
    }

    /// Reads the object as it is; its state is null if it is gone.
    pub async fn refresh(&mut self, of: &str, object: &Object) -> Outcome<Object> {
        // A host goes through the saved form even where nothing was saved meanwhile.
        let text = object.state.to_json_text().ok_or("an unknown value is in the state")?;
        let schema = self.schema(&object.kind)?;
        let request = proto::upgrade_resource_state::Request {
            type_name: object.kind.clone(),
            version: schema.version,
            raw_state: Some(proto::RawState { json: text.into(), ..Default::default() }),
        };
        let upgraded = answer(self.grpc.upgrade_resource_state(request).await)?;
        let mut told = told(of, upgraded.diagnostics);
        let request = proto::read_resource::Request {
            type_name: object.kind.clone(),
            current_state: upgraded.upgraded_state,
            private: object.private.clone(),
            current_identity: object.identity.as_ref().map(wire_identity),
            client_capabilities: Some(ABLE),
            ..Default::default()
        };
        let read = answer(self.grpc.read_resource(request).await)?;
        told.extend(crate::client::told(of, read.diagnostics));
        let state = value(read.new_state, &schema.kind)?;
        let identity = self.identity(&object.kind, read.new_identity)?;
        if !state.is_wholly_known() {
            return Err(format!("{of}: a read left values unknown"));
        }
        if !state.is_null() && object.identity.is_some() && identity != object.identity {
            return Err(format!("{of}: the identity changed"));
        }
        let read = Object { state, private: read.private, identity, ..object.clone() };
        Ok(outcome(told, read))
    }

    /// Imports by id or by identity, and reads.
    pub async fn import(
        &mut self,
        of: &str,
        kind: &str,
        id: Option<String>,
        identity: Option<Value>,
    ) -> Outcome<Object> {
        let request = proto::import_resource_state::Request {
            type_name: kind.into(),
            id: id.unwrap_or_default(),
            identity: identity.as_ref().map(wire_identity),
            client_capabilities: Some(ABLE),
        };
        let imported = answer(self.grpc.import_resource_state(request).await)?;
        let mut told = told(of, imported.diagnostics);
        let Some(imported) = imported.imported_resources.into_iter().next() else {
            return Ok((None, told));
        };
        let state = value(imported.state, &self.schema(kind)?.kind)?;
        let object = Object { state, private: imported.private, ..Object::new(kind) };
        let (read, more) = self.refresh(of, &object).await?;
        told.extend(more);
        self.found(of, told, read, "Cannot import non-existent remote object")
    }

    /// Moves an object here from another type, and reads it.
    pub async fn move_here(&mut self, of: &str, kind: &str, source: Object) -> Outcome<Object> {
        let state = source.state.to_json_text().ok_or("an unknown value is in the state")?;
        let identity = source.identity.as_ref().and_then(Value::to_json_text);
        let raw = |json: String| proto::RawState { json: json.into(), ..Default::default() };
        let request = proto::move_resource_state::Request {
            source_provider_address: "registry.terraform.io/example/corner".into(),
            source_type_name: source.kind.clone(),
            source_schema_version: self.schema(&source.kind)?.version,
            source_state: Some(raw(state)),
            target_type_name: kind.into(),
            source_private: source.private,
            source_identity: identity.map(raw),
            source_identity_schema_version: self.schemas.identities.get(&source.kind).map_or(0, |made| made.version),
        };
        let moved = answer(self.grpc.move_resource_state(request).await)?;
        let mut told = told(of, moved.diagnostics);
        if told.iter().any(|told| told.is_error) {
            return Ok((None, told));
        }
        let object = Object {
            kind: kind.into(),
            state: value(moved.target_state, &self.schema(kind)?.kind)?,
            private: moved.target_private,
            identity: self.identity(kind, moved.target_identity)?,
            tainted: source.tainted,
        };
        let (read, more) = self.refresh(of, &object).await?;
        told.extend(more);
        self.found(of, told, read, "The moved object is gone")
    }

    fn found(&self, of: &str, mut told: Vec<Told>, read: Option<Object>, otherwise: &str) -> Outcome<Object> {
        let read = read.filter(|object| !object.state.is_null());
        if read.is_none() && !told.iter().any(|told| told.is_error) {
            told.push(Told { of: of.into(), at: String::new(), text: otherwise.into(), is_error: true });
        }
        Ok((read, told))
    }

    /// Plans a change to `config`, null for a destroy. A replacement is planned
    /// a second time, as a create.
    pub async fn plan(&mut self, of: &str, object: &Object, config: &Value) -> Outcome<Plan> {
        let tainted = object.tainted && !config.is_null();
        let prior = if tainted { Value::Null } else { object.state.clone() };
        let (plan, told) = self.ask(of, object, &prior, config).await?;
        match plan {
            Some(plan) if !plan.replace.is_empty() => {
                let (create, told) = self.ask(of, object, &Value::Null, config).await?;
                Ok((create.map(|create| Plan { action: Action::Replace, replace: plan.replace, ..create }), told))
            }
            Some(plan) if tainted => Ok((Some(Plan { action: Action::Replace, ..plan }), told)),
            plan => Ok((plan, told)),
        }
    }

    async fn ask(&mut self, of: &str, object: &Object, prior: &Value, config: &Value) -> Outcome<Plan> {
        let schema = self.schema(&object.kind)?;
        let request = proto::plan_resource_change::Request {
            type_name: object.kind.clone(),
            prior_state: wire(prior),
            proposed_new_state: wire(config),
            config: wire(config),
            prior_private: if prior.is_null() { Bytes::new() } else { object.private.clone() },
            prior_identity: object.identity.as_ref().filter(|_| !prior.is_null()).map(wire_identity),
            client_capabilities: Some(ABLE),
            ..Default::default()
        };
        let answer = answer(self.grpc.plan_resource_change(request).await)?;
        let told = told(of, answer.diagnostics);
        if told.iter().any(|told| told.is_error) {
            return Ok((None, told));
        }
        let planned = value(answer.planned_state, &schema.kind)?;
        if planned.is_null() != config.is_null() {
            return Err(format!("{of}: an object is planned exactly if one is configured"));
        }
        if !config.is_null() {
            broken(rules::plan(&schema.attributes, config, prior, &planned))?;
        }
        let action = match (prior.is_null(), planned.is_null()) {
            (true, true) => Action::Nothing,
            (true, false) => Action::Create,
            (false, true) => Action::Delete,
            (false, false) if *prior == planned => Action::Nothing,
            (false, false) => Action::Update,
        };
        let plan = Plan {
            action,
            planned,
            replace: answer.requires_replace.into_iter().map(path).collect(),
            private: answer.planned_private,
            identity: answer.planned_identity,
        };
        Ok((Some(plan), told))
    }

    /// Carries a planned change out, and keeps what came of it in `object`.
    pub async fn apply(
        &mut self,
        of: &str,
        object: &mut Object,
        plan: Plan,
        config: &Value,
    ) -> Result<Vec<Told>, String> {
        let schema = self.schema(&object.kind)?;
        let creates = object.state.is_null();
        let request = proto::apply_resource_change::Request {
            type_name: object.kind.clone(),
            prior_state: wire(&object.state),
            planned_state: wire(&plan.planned),
            config: wire(config),
            planned_private: plan.private,
            planned_identity: plan.identity,
            ..Default::default()
        };
        let answer = answer(self.grpc.apply_resource_change(request).await)?;
        let told = told(of, answer.diagnostics);
        let failed = told.iter().any(|told| told.is_error);
        let state = value(answer.new_state, &schema.kind)?;
        let deletes = plan.planned.is_null();
        if !state.is_wholly_known() {
            return Err(format!("{of}: the apply left values unknown"));
        }
        // A failed change that returns no state leaves the prior one.
        if !(state.is_null() && failed && !deletes) {
            object.identity = self.identity(&object.kind, answer.new_identity)?;
            (object.state, object.private) = (state.clone(), answer.private);
        }
        object.tainted = creates && failed && !object.state.is_null();
        if !failed {
            if deletes != state.is_null() {
                return Err(format!("{of}: an object is there after the apply exactly if one was planned"));
            }
            if !deletes {
                broken(rules::keeps(&plan.planned, &state))?;
            }
            let has_identity = self.schemas.identities.contains_key(&object.kind);
            if !deletes && has_identity && object.identity.as_ref().is_none_or(Value::is_null) {
                return Err(format!("{of}: there is no identity after the apply"));
            }
        }
        Ok(told)
    }

    fn identity(&self, kind: &str, data: Option<proto::ResourceIdentityData>) -> Result<Option<Value>, String> {
        match (self.schemas.identities.get(kind), data) {
            (Some(schema), Some(data)) => {
                Ok(Some(value(data.identity_data, &schema.kind)?).filter(|identity| !identity.is_null()))
            }
            _ => Ok(None),
        }
    }
}

fn wire_identity(identity: &Value) -> proto::ResourceIdentityData {
    proto::ResourceIdentityData { identity_data: wire(identity) }
}
