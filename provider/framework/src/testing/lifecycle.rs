//! The life of one resource instance: plan, apply, refresh, import, destroy.

use tonic::Request;

use super::{Client, Config, broken, wire};
use crate::plan::{blocks, contract};
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::provider_server::Provider as _;
use crate::schema::Attribute;
use crate::server::service::Service;
use crate::{AttributePath, Deferral, Diagnostics, MoveSource, Provider, Type, Value};

/// What a plan is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    NoOp,
    /// Make the object.
    Create,
    /// Change it in place.
    Update,
    /// Destroy it and make another.
    Replace,
    /// Destroy it.
    Delete,
}

/// What one step did or is to do.
#[derive(Debug, Clone)]
pub struct Step {
    /// What is to be done.
    pub action: Action,
    /// The object as planned.
    pub planned: Value,
    /// The attributes that need a new object.
    pub replace: Vec<AttributePath>,
    /// Warnings on the way.
    pub warnings: Diagnostics,
    /// Why it cannot be planned in this run.
    pub deferred: Option<Deferral>,
    private: Vec<u8>,
}

/// One instance of a resource, with the state that a host keeps of it.
pub struct Instance<P: Provider> {
    service: Service<P>,
    client: Client,
    meta: Value,
    name: String,
    attributes: Vec<Attribute>,
    kind: Type,
    identity_kind: Option<Type>,
    state: Value,
    identity: Option<Value>,
    private: Vec<u8>,
    tainted: bool,
}

impl<P: Provider> Instance<P> {
    pub(super) fn new(service: Service<P>, name: &str, client: Client, meta: Value) -> Self {
        let (attributes, kind, identity_kind) = service.resource_types(name);
        Self {
            service,
            client,
            meta,
            name: name.to_owned(),
            attributes,
            kind,
            identity_kind,
            state: Value::Null,
            identity: None,
            private: Vec::new(),
            tainted: false,
        }
    }

    /// The saved state; null if there is none.
    pub fn state(&self) -> &Value {
        &self.state
    }

    /// The saved identity.
    pub fn identity(&self) -> Option<&Value> {
        self.identity.as_ref()
    }

    /// Whether a create failed half-way, so that the next apply replaces the
    /// object.
    pub fn is_tainted(&self) -> bool {
        self.tainted
    }

    /// The configuration as a host sends it.
    fn configured(&self, config: impl Config, client: Client) -> Value {
        blocks::configured(&self.attributes, config.into_value(&self.kind), client.computed_blocks)
    }

    /// Checks a configuration.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn validate(&self, config: impl Config) -> Result<Diagnostics, Diagnostics> {
        self.check(&self.configured(config, self.client), self.client).await
    }

    /// Checks a configuration for a host that knows no write-only attributes.
    ///
    /// # Errors
    /// What is wrong with it, set write-only attributes among that.
    pub async fn validate_for_older_host(&self, config: impl Config) -> Result<Diagnostics, Diagnostics> {
        let client = Client { write_only: false, ..self.client };
        self.check(&self.configured(config, client), client).await
    }

    async fn check(&self, config: &Value, client: Client) -> Result<Diagnostics, Diagnostics> {
        let request = proto::validate_resource_config::Request {
            type_name: self.name.clone(),
            config: wire::encode(config),
            client_capabilities: client.capabilities(),
        };
        let answer = self.service.validate_resource_config(Request::new(request)).await;
        wire::diagnostics(wire::answer(answer)?.diagnostics).into_result()
    }

    /// Refreshes, then plans a configuration; nothing is changed.
    ///
    /// # Errors
    /// What is wrong with it, or with the plan.
    pub async fn plan(&mut self, config: impl Config) -> Result<Step, Diagnostics> {
        let config = self.configured(config, self.client);
        self.check(&config, self.client).await?;
        self.refresh().await?;
        self.plan_change(&config, None).await
    }

    /// Plans; within an apply with the private bytes of the first plan.
    async fn plan_change(&self, config: &Value, first: Option<&[u8]>) -> Result<Step, Diagnostics> {
        let prior = if self.tainted { &Value::Null } else { &self.state };
        let mut step = self.ask_plan(prior, config, &self.private, first).await?;
        if !step.replace.is_empty() {
            let create = self.ask_plan(&Value::Null, config, &step.private, None).await?;
            step = Step { action: Action::Replace, replace: step.replace, ..create };
        } else if self.tainted {
            step.action = Action::Replace;
        }
        Ok(step)
    }

    async fn ask_plan(
        &self,
        prior: &Value,
        config: &Value,
        private: &[u8],
        first: Option<&[u8]>,
    ) -> Result<Step, Diagnostics> {
        let first = first.filter(|_| self.client.planned_private).unwrap_or_default();
        let request = proto::plan_resource_change::Request {
            type_name: self.name.clone(),
            prior_state: wire::encode(prior),
            proposed_new_state: wire::encode(config),
            config: wire::encode(config),
            prior_private: private.to_vec().into(),
            provider_meta: wire::encode(&self.meta),
            client_capabilities: self.client.capabilities(),
            planned_private: first.to_vec().into(),
            prior_identity: self.wire_identity(),
        };
        let answer = wire::answer(self.service.plan_resource_change(Request::new(request)).await)?;
        let warnings = wire::diagnostics(answer.diagnostics).into_result()?;
        let planned = wire::decode(answer.planned_state, &self.kind)?;
        let deferred = self.client.deferral(answer.deferred)?;
        if config.is_null() != planned.is_null() {
            return Err(broken("Invalid plan", "An object is planned exactly if one is configured."));
        }
        if !config.is_null() && deferred.is_none() {
            contract::planned(&self.attributes, config, prior, &planned).into_result()?;
        }
        let action = match (prior.is_null(), planned.is_null()) {
            (true, true) => Action::NoOp,
            (true, false) => Action::Create,
            (false, true) => Action::Delete,
            (false, false) if *prior == planned => Action::NoOp,
            (false, false) => Action::Update,
        };
        let replace = answer.requires_replace.into_iter().map(wire::path).collect();
        Ok(Step { action, planned, replace, warnings, deferred, private: answer.planned_private.to_vec() })
    }

    /// Validates, refreshes, plans, plans again, applies; then refreshes and
    /// plans once more, which must find nothing to do.
    ///
    /// # Errors
    /// What the provider says is wrong, or a broken rule of the host. The
    /// state is kept as a host would keep it.
    pub async fn apply(&mut self, config: impl Config) -> Result<Step, Diagnostics> {
        let config = self.configured(config, self.client);
        let step = self.apply_unchecked(config.clone()).await?;
        self.refresh().await?;
        let again = self.plan_change(&config, None).await?;
        if again.action != Action::NoOp {
            let differences = self.differences(&again.planned);
            return Err(broken(
                "The plan after the apply is not empty",
                format!("It wants to {:?}; different: {differences}.", again.action),
            ));
        }
        Ok(step)
    }

    /// The same without the last refresh and plan: for an apply that is
    /// expected to leave something to do, such as an interrupted one.
    ///
    /// # Errors
    /// As [`Instance::apply`].
    pub async fn apply_unchecked(&mut self, config: impl Config) -> Result<Step, Diagnostics> {
        let config = self.configured(config, self.client);
        let first = self.plan(config.clone()).await?;
        if let Some(deferral) = first.deferred {
            return Err(deferral.into());
        }
        let mut step = self.plan_change(&config, Some(&first.private)).await?;
        if first.action != step.action && !(first.action == Action::Update && step.action == Action::NoOp) {
            let detail = format!("First {:?}, then {:?}.", first.action, step.action);
            return Err(broken("The second plan is another", detail));
        }
        contract::refined(&first.planned, &step.planned).into_result()?;
        if step.action == Action::Replace {
            self.run(&Value::Null, &Value::Null, self.private.clone()).await?;
            self.tainted = false;
        }
        if step.action != Action::NoOp {
            let warnings = self.run(&step.planned, &config, step.private.clone()).await?;
            step.warnings.append(warnings);
        }
        Ok(step)
    }

    /// Destroys the object.
    ///
    /// # Errors
    /// What the provider says is wrong; the state is kept.
    pub async fn destroy(&mut self) -> Result<Step, Diagnostics> {
        self.refresh().await?;
        let mut step = self.ask_plan(&self.state, &Value::Null, &self.private, None).await?;
        if step.action == Action::Delete {
            step.warnings.append(self.run(&Value::Null, &Value::Null, step.private.clone()).await?);
        }
        Ok(step)
    }

    async fn run(&mut self, planned: &Value, config: &Value, private: Vec<u8>) -> Result<Diagnostics, Diagnostics> {
        let creates = self.state.is_null();
        let request = proto::apply_resource_change::Request {
            type_name: self.name.clone(),
            prior_state: wire::encode(&self.state),
            planned_state: wire::encode(planned),
            config: wire::encode(config),
            planned_private: private.into(),
            planned_identity: self.wire_identity(),
            provider_meta: wire::encode(&self.meta),
        };
        let answer = wire::answer(self.service.apply_resource_change(Request::new(request)).await)?;
        let found = wire::diagnostics(answer.diagnostics);
        let state = wire::decode(answer.new_state, &self.kind)?;
        let deletes = planned.is_null();
        // A host keeps the prior state of a failed change that returned none.
        let lost = state.is_null() && !deletes && found.has_errors();
        if !lost {
            self.state = state.clone().nulls_for_unknowns();
            self.private = answer.private.to_vec();
            self.identity = self.read_identity(answer.new_identity)?;
        }
        self.tainted = creates && found.has_errors() && !self.state.is_null();
        let warnings = found.into_result()?;
        if deletes != state.is_null() {
            return Err(broken("Invalid state", "An object must be there after the apply exactly if one was planned."));
        }
        // After an interruption values may be missing, with a warning.
        if !deletes && warnings.is_empty() {
            contract::applied(&self.attributes, planned, &state).into_result()?;
        }
        Ok(warnings)
    }

    /// The same, of JSON as it was saved, number by number.
    ///
    /// # Errors
    /// What the provider says is wrong.
    pub async fn restore_text(&mut self, version: i64, saved: &str) -> Result<(), Diagnostics> {
        self.state = self.upgrade(version, saved).await?;
        Ok(())
    }

    /// Takes over state that a release with another schema version saved.
    ///
    /// # Errors
    /// What the provider says is wrong.
    pub async fn restore(&mut self, version: i64, saved: serde_json::Value) -> Result<(), Diagnostics> {
        self.state = self.upgrade(version, &saved.to_string()).await?;
        Ok(())
    }

    async fn upgrade(&self, version: i64, saved: &str) -> Result<Value, Diagnostics> {
        let request = proto::upgrade_resource_state::Request {
            type_name: self.name.clone(),
            version,
            raw_state: Some(proto::RawState { json: saved.to_owned().into(), ..Default::default() }),
        };
        let answer = wire::answer(self.service.upgrade_resource_state(Request::new(request)).await)?;
        wire::diagnostics(answer.diagnostics).into_result()?;
        wire::decode(answer.upgraded_state, &self.kind)
    }

    /// Takes over an object that another type saved, and reads it.
    ///
    /// # Errors
    /// What the provider says is wrong, or that there is no such object.
    pub async fn move_from(&mut self, source: MoveSource) -> Result<Diagnostics, Diagnostics> {
        let json = |json: serde_json::Value| proto::RawState { json: json.to_string().into(), ..Default::default() };
        let (identity_version, identity) = source.identity.unzip();
        let request = proto::move_resource_state::Request {
            source_provider_address: source.provider,
            source_type_name: source.type_name,
            source_schema_version: source.version,
            source_state: Some(json(source.state)),
            target_type_name: self.name.clone(),
            source_private: source.private.into(),
            source_identity: identity.map(json),
            source_identity_schema_version: identity_version.unwrap_or_default(),
        };
        let answer = wire::answer(self.service.move_resource_state(Request::new(request)).await)?;
        let mut warnings = wire::diagnostics(answer.diagnostics).into_result()?;
        self.state = wire::decode(answer.target_state, &self.kind)?;
        self.private = answer.target_private.to_vec();
        self.identity = self.read_identity(answer.target_identity)?;
        warnings.append(self.refresh().await?);
        if self.state.is_null() {
            return Err(broken("The moved object is gone", "A read found nothing there."));
        }
        Ok(warnings)
    }

    /// Takes over an identity that a release with another identity version saved.
    ///
    /// # Errors
    /// What the provider says is wrong.
    pub async fn restore_identity(&mut self, version: i64, saved: serde_json::Value) -> Result<(), Diagnostics> {
        let request = proto::upgrade_resource_identity::Request {
            type_name: self.name.clone(),
            version,
            raw_identity: Some(proto::RawState { json: saved.to_string().into(), ..Default::default() }),
        };
        let answer = wire::answer(self.service.upgrade_resource_identity(Request::new(request)).await)?;
        wire::diagnostics(answer.diagnostics).into_result()?;
        self.identity = self.read_identity(answer.upgraded_identity)?;
        Ok(())
    }

    /// Reads the object as it is now, through saved JSON as a host does.
    ///
    /// # Errors
    /// What the provider says is wrong; the state is kept.
    pub async fn refresh(&mut self) -> Result<Diagnostics, Diagnostics> {
        let Some(json) = self.state.to_json_text().filter(|_| !self.state.is_null()) else {
            return Ok(Diagnostics::new());
        };
        let version = self.service.registry().resources.get(self.name.as_str()).map_or(0, |made| made.schema().version);
        let current = self.upgrade(version, &json).await?;
        let request = proto::read_resource::Request {
            type_name: self.name.clone(),
            current_state: wire::encode(&current),
            private: self.private.clone().into(),
            current_identity: self.wire_identity(),
            provider_meta: wire::encode(&self.meta),
            client_capabilities: self.client.capabilities(),
        };
        let answer = wire::answer(self.service.read_resource(Request::new(request)).await)?;
        let warnings = wire::diagnostics(answer.diagnostics).into_result()?;
        self.client.not_deferred(answer.deferred)?;
        let state = wire::decode(answer.new_state, &self.kind)?;
        if !state.is_wholly_known() {
            return Err(broken("Invalid state", "A read may not leave values unknown."));
        }
        let identity = self.read_identity(answer.new_identity)?;
        if !state.is_null() && self.identity.is_some() && identity != self.identity {
            return Err(broken("The identity changed", "An object keeps its identity for life."));
        }
        (self.state, self.identity, self.private) = (state, identity, answer.private.to_vec());
        Ok(warnings)
    }

    /// Imports an object by its id, and reads it.
    ///
    /// # Errors
    /// What the provider says is wrong, or that there is no such object.
    pub async fn import(&mut self, id: &str) -> Result<Diagnostics, Diagnostics> {
        let request =
            proto::import_resource_state::Request { type_name: self.name.clone(), id: id.into(), ..Default::default() };
        self.take_over(request).await
    }

    /// Imports an object by its identity, and reads it.
    ///
    /// # Errors
    /// As [`Instance::import`].
    pub async fn import_identity(&mut self, identity: impl Config) -> Result<Diagnostics, Diagnostics> {
        let kind = self.identity_kind.clone().unwrap_or(Type::Dynamic);
        let request = proto::import_resource_state::Request {
            type_name: self.name.clone(),
            identity: Some(proto::ResourceIdentityData { identity_data: wire::encode(&identity.into_value(&kind)) }),
            ..Default::default()
        };
        self.take_over(request).await
    }

    async fn take_over(
        &mut self,
        mut request: proto::import_resource_state::Request,
    ) -> Result<Diagnostics, Diagnostics> {
        request.client_capabilities = self.client.capabilities();
        let answer = wire::answer(self.service.import_resource_state(Request::new(request)).await)?;
        let mut warnings = wire::diagnostics(answer.diagnostics).into_result()?;
        self.client.not_deferred(answer.deferred)?;
        let imported = answer.imported_resources.into_iter().next();
        let imported = imported.ok_or_else(|| broken("Nothing was imported", "The provider returned no object."))?;
        self.state = wire::decode(imported.state, &self.kind)?;
        self.private = imported.private.to_vec();
        self.identity = None;
        warnings.append(self.refresh().await?);
        if self.state.is_null() {
            return Err(broken("Cannot import non-existent remote object", "A read found nothing there."));
        }
        Ok(warnings)
    }

    /// The configuration that the object would have, as a host generates it.
    ///
    /// # Errors
    /// What the provider says is wrong.
    pub async fn generate_config(&self) -> Result<Value, Diagnostics> {
        let request =
            proto::generate_resource_config::Request { type_name: self.name.clone(), state: wire::encode(&self.state) };
        let answer = wire::answer(self.service.generate_resource_config(Request::new(request)).await)?;
        wire::diagnostics(answer.diagnostics).into_result()?;
        wire::decode(answer.config, &self.kind)
    }

    fn wire_identity(&self) -> Option<proto::ResourceIdentityData> {
        let identity = self.identity.as_ref()?;
        Some(proto::ResourceIdentityData { identity_data: wire::encode(identity) })
    }

    fn read_identity(&self, identity: Option<proto::ResourceIdentityData>) -> Result<Option<Value>, Diagnostics> {
        match (&self.identity_kind, identity) {
            (Some(kind), Some(identity)) => wire::decode(identity.identity_data, kind).map(Some),
            _ => Ok(None),
        }
    }

    fn differences(&self, planned: &Value) -> String {
        let differs = |attribute: &&Attribute| self.state.get(attribute.name) != planned.get(attribute.name);
        self.attributes.iter().filter(differs).map(|attribute| attribute.name).collect::<Vec<_>>().join(", ")
    }
}
