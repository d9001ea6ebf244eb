//! A resource behind values: validate, plan, apply, read, import; what others saved is in
//! `saved`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use async_trait::async_trait;

use super::{PLAN_TIMEOUT, Scope, Subject, check, collect, crashed, guarded, read_known};
use crate::plan::{self, blocks, contract, keep, merge, replace, write_only};
use crate::resource::{IdentitySchema, Import, MoveSource, Plan};
use crate::schema::{Attribute, Schema};
use crate::{
    AttributePath, Context, DefaultTimeouts, Diagnostic, Diagnostics, Failure, Model, Resource, Timeouts, Type, Value,
};

/// A change to be planned or applied. Absent objects are null.
#[derive(Debug, Clone)]
pub struct Change {
    /// As it was.
    pub prior: Value,
    /// As it is to be; ignored by plan, which makes it.
    pub planned: Value,
    /// As configured.
    pub config: Value,
    /// The provider's own bytes beside the state.
    pub private: Vec<u8>,
    /// Those that the first plan kept, when the host plans again.
    pub planned_private: Option<Vec<u8>>,
}

/// The result of a plan.
#[derive(Debug)]
pub struct Planned {
    /// The planned object.
    pub state: Value,
    /// The changed attributes that need a new object.
    pub replace: Vec<AttributePath>,
    /// The provider's own bytes.
    pub private: Vec<u8>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

/// The result of an apply.
#[derive(Debug)]
pub struct Applied {
    /// The object as it is now; null if there is none.
    pub state: Value,
    /// Its identity, where the resource has one.
    pub identity: Option<Value>,
    /// The provider's own bytes.
    pub private: Vec<u8>,
    /// What to tell the user.
    pub diagnostics: Diagnostics,
}

/// The result of a read or an import: the same parts.
pub type Reading = Applied;

/// A resource of any model.
#[async_trait]
pub trait AnyResource<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    /// The type of the state.
    fn kind(&self) -> &Type;
    fn identity_schema(&self) -> Option<&IdentitySchema>;
    /// How long operations may take where the configuration does not say.
    fn default_timeouts(&self) -> DefaultTimeouts;
    async fn validate(&self, scope: Scope<S>, config: Value) -> Diagnostics;
    async fn plan(&self, scope: Scope<S>, change: Change) -> Planned;
    async fn apply(&self, scope: Scope<S>, change: Change) -> Applied;
    async fn read(&self, scope: Scope<S>, state: Value, private: Vec<u8>) -> Reading;
    async fn import(&self, scope: Scope<S>, import: Import) -> Reading;
    /// Reads saved state of schema version `version`.
    async fn upgrade(&self, version: i64, json: &[u8]) -> Result<Value, Diagnostics>;
    /// Reads a saved identity of schema version `version`.
    async fn upgrade_identity(&self, version: i64, json: &[u8]) -> Result<Value, Diagnostics>;
    /// Makes the state of another type this one's.
    async fn move_from(&self, scope: Scope<S>, source: MoveSource) -> Reading;
    /// The configuration of an object in this state.
    fn generate(&self, state: &Value) -> Result<Value, Diagnostics>;
    /// The identity of an object in this state, where the resource has one.
    fn identity(&self, state: &Value) -> Option<Value>;
}

/// The face of a typed resource.
pub struct TypedResource<R> {
    pub(super) resource: R,
    pub(super) schema: Schema,
    pub(super) kind: Type,
    pub(super) identity: Option<IdentitySchema>,
}

impl<R: Resource> TypedResource<R> {
    pub fn new(resource: R) -> Self {
        let schema = resource.schema();
        let kind = schema.to_type();
        let identity = resource.identity_schema();
        Self { resource, schema, kind, identity }
    }

    fn attributes(&self) -> &[Attribute] {
        &self.schema.attributes
    }

    /// The time an operation may take: as configured, else the default.
    fn timeout(&self, state: &Value, pick: fn(&Timeouts) -> &crate::Attr<crate::Span>, default: Duration) -> Duration {
        let declared = self.attributes().iter().any(|attribute| attribute.name == "timeouts" && attribute.local);
        let timeouts = declared.then(|| <Timeouts as Model>::from_value(state.get("timeouts")).ok()).flatten();
        timeouts.and_then(|timeouts| pick(&timeouts).known().map(|span| span.duration())).unwrap_or(default)
    }

    fn models(&self, change: &Change, planned: &Value) -> Result<Plan<R::Model>, Diagnostics> {
        let prior = if change.prior.is_null() { None } else { Some(read_model(&change.prior)?) };
        Ok(Plan::new(read_model(&change.config)?, prior, read_model(planned)?))
    }

    /// The plan as the resource's own hook changed it, if it did, and what is to be
    /// replaced by its word.
    async fn plan_hook(
        &self,
        ctx: &Context<R::Shared>,
        change: &Change,
        planned: &Value,
    ) -> Result<(Option<Value>, Vec<AttributePath>), Diagnostics> {
        let prior = if change.prior.is_null() { None } else { Some(read_model(&change.prior)?) };
        let (Some(config), Some(model)) = (read_known(&change.config)?, read_known::<R::Model>(planned)?) else {
            return Ok((None, Vec::new()));
        };
        let before = model.to_value();
        let mut plan = Plan::new(config, prior, model);
        guarded(Subject(R::NAME, self.attributes(), planned), self.resource.plan(ctx, &mut plan)).await?;
        let after = plan.planned.into_value();
        let changed = (after != before).then(|| merge::changes(planned.clone(), &before, after));
        Ok((changed, plan.replace))
    }

    async fn plan_destroy(&self, scope: Scope<R::Shared>, change: Change) -> Planned {
        let deferral = scope.deferral;
        let ctx = scope.context(PLAN_TIMEOUT).with_private(change.private, change.planned_private);
        let checked = async {
            if let Some(deferral) = deferral {
                return Err(deferral.into());
            }
            let prior = read_model(&change.prior)?;
            guarded(Subject(R::NAME, self.attributes(), &change.prior), self.resource.plan_destroy(&ctx, &prior)).await
        };
        let diagnostics = collect(&ctx, checked.await);
        Planned { state: Value::Null, replace: Vec::new(), private: ctx.private(), diagnostics }
    }

    async fn delete(&self, scope: Scope<R::Shared>, change: Change) -> Applied {
        let default = self.resource.default_timeouts().delete;
        let timeout = self.timeout(&change.prior, |timeouts| &timeouts.delete, default);
        let ctx = scope.context(timeout).with_private(change.private, None);
        let deleted = async {
            let prior = read_model(&change.prior)?;
            guarded(Subject(R::NAME, self.attributes(), &change.prior), self.resource.delete(&ctx, prior)).await
        };
        let diagnostics = collect(&ctx, deleted.await);
        let kept = diagnostics.has_errors();
        let state = if kept { change.prior } else { Value::Null };
        let identity = self.identity_of(&state);
        Applied { state, identity, private: if kept { ctx.private() } else { Vec::new() }, diagnostics }
    }

    /// Makes what the resource's code returned into state: numbers and
    /// spellings as they were before, write-only attributes null.
    fn settle(&self, earlier: &Value, state: R::Model) -> Value {
        let state = blocks::fill(self.attributes(), state.into_value());
        let state = keep::returned(self.attributes(), earlier, state);
        write_only::remove(self.attributes(), state)
    }

    fn after_change(
        &self,
        ctx: &Context<R::Shared>,
        checks: bool,
        change: &Change,
        result: Result<R::Model, Failure<R::Model>>,
    ) -> (Value, Diagnostics) {
        let mut diagnostics = ctx.take_diagnostics();
        let state = match result {
            Ok(model) => {
                let state = self.settle(&change.planned, model);
                if !state.is_wholly_known() && ctx.is_cancelled() {
                    if diagnostics.is_empty() {
                        diagnostics.push(interrupted(R::NAME));
                    }
                    let state = state.nulls_for_unknowns();
                    // A null is no answer to a promise of a value.
                    let broken = contract::applied(self.attributes(), &change.planned, &state);
                    diagnostics.extend(broken.into_iter().map(|promise| interrupted_too_early(promise.path)));
                    state
                } else {
                    if checks && !diagnostics.has_errors() {
                        diagnostics.append(contract::applied(self.attributes(), &change.planned, &state));
                    }
                    state
                }
            }
            Err(failure) => {
                diagnostics.append(failure.diagnostics);
                match failure.state {
                    Some(model) => self.settle(&change.planned, model).nulls_for_unknowns(),
                    None => change.prior.clone(),
                }
            }
        };
        (state, diagnostics)
    }

    /// Whether everything that changed is local and settled, so that nothing
    /// has to be called.
    fn only_local_changes(&self, change: &Change) -> bool {
        change.planned.is_wholly_known()
            && self.attributes().iter().all(|attribute| {
                let write_only_set = attribute.write_only && !change.config.get(attribute.name).is_null();
                !write_only_set
                    && (attribute.local || change.prior.get(attribute.name) == change.planned.get(attribute.name))
            })
            && self
                .attributes()
                .iter()
                .any(|attribute| change.prior.get(attribute.name) != change.planned.get(attribute.name))
    }
}

fn interrupted(name: &str) -> Diagnostic {
    Diagnostic::warning(format!("Interrupted while working on {name}"))
        .detail("What was reached is saved; the next apply goes on from there.")
}

fn interrupted_too_early(path: AttributePath) -> Diagnostic {
    Diagnostic::error(format!("Interrupted before `{path}` was known"))
        .detail("What was reached is saved, and replaced by the next apply: without this value it cannot go on.")
        .at(path)
}

pub(super) fn read_model<M: Model>(value: &Value) -> Result<M, Diagnostics> {
    M::from_value(value).map_err(Diagnostics::from)
}

#[async_trait]
impl<R: Resource> AnyResource<R::Shared> for TypedResource<R> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn kind(&self) -> &Type {
        &self.kind
    }

    fn default_timeouts(&self) -> DefaultTimeouts {
        self.resource.default_timeouts()
    }

    fn identity_schema(&self) -> Option<&IdentitySchema> {
        self.identity.as_ref()
    }

    async fn validate(&self, scope: Scope<R::Shared>, config: Value) -> Diagnostics {
        let mut diagnostics = check(R::NAME, &self.schema, &config);
        let ctx = scope.context(PLAN_TIMEOUT);
        let checked = match read_known(&config) {
            Ok(Some(model)) => guarded(R::NAME, self.resource.validate(&ctx, &model)).await,
            Ok(None) => Ok(()),
            Err(errors) => Err(errors),
        };
        diagnostics.append(collect(&ctx, checked));
        diagnostics
    }

    async fn plan(&self, scope: Scope<R::Shared>, change: Change) -> Planned {
        if change.config.is_null() {
            return self.plan_destroy(scope, change).await;
        }
        let (checks, deferral) = (scope.checks, scope.deferral);
        let ctx = scope.context(PLAN_TIMEOUT).with_private(change.private.clone(), change.planned_private.clone());
        let completed = plan::complete(self.attributes(), &change.config, &change.prior);
        let hook = async {
            match deferral {
                Some(deferral) => Err(deferral.into()),
                None => self.plan_hook(&ctx, &change, &completed).await,
            }
        };
        let (changed, asked, result) = match hook.await {
            Ok((changed, asked)) => (changed, asked, Ok(())),
            Err(errors) => (None, Vec::new(), Err(errors)),
        };
        let state = match changed {
            Some(changed) => blocks::fill(self.attributes(), write_only::remove(self.attributes(), changed)),
            None => blocks::fill(self.attributes(), completed),
        };
        let mut paths = replace::paths(self.attributes(), &change.prior, &state);
        if !change.prior.is_null() {
            paths.extend(asked.into_iter().filter(|path| replace::differs(&change.prior, &state, path)));
        }
        let mut diagnostics = collect(&ctx, result);
        diagnostics.append(contract::duplicates(self.attributes(), &state));
        if checks && !diagnostics.has_errors() {
            diagnostics.append(contract::planned(self.attributes(), &change.config, &change.prior, &state));
        }
        Planned { state, replace: paths, private: ctx.private(), diagnostics }
    }

    async fn apply(&self, scope: Scope<R::Shared>, change: Change) -> Applied {
        if change.planned.is_null() {
            return self.delete(scope, change).await;
        }
        let creates = change.prior.is_null();
        let defaults = self.resource.default_timeouts();
        let timeout = if creates {
            self.timeout(&change.planned, |timeouts| &timeouts.create, defaults.create)
        } else {
            self.timeout(&change.planned, |timeouts| &timeouts.update, defaults.update)
        };
        let checks = scope.checks;
        let ctx = scope.context(timeout).with_private(change.private.clone(), None);
        let (state, diagnostics) = if !creates && self.only_local_changes(&change) {
            (change.planned, Diagnostics::new())
        } else {
            let result = match self.models(&change, &change.planned) {
                Ok(plan) if creates => {
                    guarded(Subject(R::NAME, self.attributes(), &change.planned), self.resource.create(&ctx, plan))
                        .await
                }
                Ok(plan) => {
                    guarded(Subject(R::NAME, self.attributes(), &change.planned), self.resource.update(&ctx, plan))
                        .await
                }
                Err(errors) => Err(errors.into()),
            };
            self.after_change(&ctx, checks, &change, result)
        };
        let identity = self.identity_of(&state);
        Applied { state, identity, private: ctx.private(), diagnostics }
    }

    async fn read(&self, scope: Scope<R::Shared>, state: Value, private: Vec<u8>) -> Reading {
        let default = self.resource.default_timeouts().read;
        let timeout = self.timeout(&state, |timeouts| &timeouts.read, default);
        let ctx = scope.context(timeout).with_private(private, None);
        let result = match read_model(&state) {
            Ok(model) => guarded(Subject(R::NAME, self.attributes(), &state), self.resource.read(&ctx, model)).await,
            Err(errors) => Err(errors),
        };
        let mut diagnostics = ctx.take_diagnostics();
        let state = match result {
            Ok(Some(model)) => self.settle(&state, model),
            Ok(None) => Value::Null,
            Err(errors) => {
                diagnostics.append(errors);
                state
            }
        };
        if !state.is_wholly_known() {
            diagnostics.push(
                Diagnostic::error(format!("Reading {} left values unknown", R::NAME))
                    .detail("This is a bug in the provider."),
            );
        }
        let identity = self.identity_of(&state);
        Applied { state, identity, private: ctx.private(), diagnostics }
    }

    async fn import(&self, scope: Scope<R::Shared>, import: Import) -> Reading {
        let ctx = scope.context(self.resource.default_timeouts().read);
        // A host that imports by identity wants one back.
        let given = match &import {
            Import::Identity(identity) => Some(identity.clone()),
            Import::Id(_) => None,
        };
        let result = guarded(R::NAME, self.resource.import(&ctx, import)).await;
        let mut diagnostics = ctx.take_diagnostics();
        let state = match result {
            Ok(model) => {
                let state = write_only::remove(self.attributes(), model.into_value()).nulls_for_unknowns();
                blocks::fill(self.attributes(), state)
            }
            Err(errors) => {
                diagnostics.append(errors);
                Value::Null
            }
        };
        let identity = self.whole_identity_of(&state).or(given);
        Applied { state, identity, private: ctx.private(), diagnostics }
    }

    async fn upgrade(&self, version: i64, json: &[u8]) -> Result<Value, Diagnostics> {
        self.read_saved(version, json).await
    }

    async fn upgrade_identity(&self, version: i64, json: &[u8]) -> Result<Value, Diagnostics> {
        self.read_saved_identity(version, json).await
    }

    async fn move_from(&self, scope: Scope<R::Shared>, source: MoveSource) -> Reading {
        self.take_over(scope, source).await
    }

    fn generate(&self, state: &Value) -> Result<Value, Diagnostics> {
        let config = read_model(&plan::generate::object(self.attributes(), state))?;
        let config = match catch_unwind(AssertUnwindSafe(|| self.resource.generate_config(config))) {
            Ok(config) => config?.into_value(),
            Err(panic) => return Err(crashed(R::NAME, panic.as_ref()).into()),
        };
        let config = write_only::remove(self.attributes(), config).nulls_for_unknowns();
        Ok(blocks::fill(self.attributes(), config))
    }

    fn identity(&self, state: &Value) -> Option<Value> {
        self.identity_of(state)
    }
}
