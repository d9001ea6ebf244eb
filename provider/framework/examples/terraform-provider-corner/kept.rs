//! A resource of any model that keeps its objects in the store: what a corner
//! case adds is its attributes, and what the provider knows of them.

use std::marker::PhantomData;

use serde_json::Value as Json;
use tfplugin::{Context, Diagnostic, Diagnostics, Failure, IdentitySchema, Import, Model, MoveSource, Plan, Resource};
use tfplugin::{Value, schema::Schema};

use super::store::Store;

/// A model with the few parts in which one corner differs from another.
pub trait Object: Model {
    const TYPE: &'static str;
    const VERSION: i64 = 0;
    /// The type under which the store has it.
    const STORED: &'static str = Self::TYPE;

    /// The name, under which the store has it.
    fn name(&self) -> &str;

    /// Completes a plan.
    fn plan(_plan: &mut Plan<Self>) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Gives every attribute that is still unknown its value.
    fn complete(&mut self, _change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// What the server makes of a value: a read returns this.
    fn normalised(self) -> Self {
        self
    }

    /// Rewrites state of an older version.
    fn upgrade(version: i64, _state: Json) -> Result<Json, Diagnostics> {
        Err(Diagnostic::error(format!("No way from version {version}")).into())
    }

    /// The name of what another type saved.
    fn moved(source: &MoveSource) -> Result<String, Diagnostics> {
        Err(Diagnostic::error(format!("A {} cannot become a {}", source.type_name, Self::TYPE)).into())
    }

    fn identity_schema() -> Option<IdentitySchema> {
        None
    }

    fn identity(&self) -> Option<Value> {
        None
    }

    fn upgrade_identity(version: i64, _identity: Json) -> Result<Json, Diagnostics> {
        Err(Diagnostic::error(format!("No way from identity version {version}")).into())
    }

    /// The name in an identity that a user gave to import.
    fn named_by(_import: &Import) -> Option<String> {
        None
    }
}

/// A create or an update on its way.
pub struct Change<'c, M> {
    pub config: &'c M,
    /// `None` on create.
    pub prior: Option<&'c M>,
    pub ctx: &'c Context<Store>,
}

/// The resource of a model.
pub struct Kept<M>(PhantomData<fn(M)>);

impl<M> Kept<M> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Object> Kept<M> {
    fn keep(ctx: &Context<Store>, object: &M) -> Result<(), Diagnostics> {
        let text = object.to_value().to_json_text();
        let text = text.ok_or_else(|| Diagnostic::error("An attribute is still unknown"))?;
        ctx.shared()?.put(M::STORED, object.name(), &text)
    }

    /// The object as the world has it.
    pub fn find(ctx: &Context<Store>, name: &str) -> Result<Option<M>, Diagnostics> {
        let Some(text) = ctx.shared()?.get(M::STORED, name)? else {
            return Ok(None);
        };
        let value = Value::from_json(text.as_bytes(), &M::schema().to_type());
        let value = value.map_err(|error| Diagnostic::error(format!("{}.{name} is damaged: {error}", M::TYPE)))?;
        Ok(Some(M::from_value(&value)?.normalised()))
    }

    /// An object of which nothing but the name is known.
    pub fn named(name: &str) -> Result<M, Diagnostics> {
        let nulls = M::attributes().into_iter().map(|attribute| (attribute.name, Value::Null));
        let named = nulls.map(|(key, null)| (key, if key == "name" { Value::from(name) } else { null }));
        Ok(M::from_value(&named.collect())?)
    }
}

impl<M: Object> Resource for Kept<M> {
    type Shared = Store;
    type Model = M;
    const NAME: &'static str = M::TYPE;
    const VERSION: i64 = M::VERSION;

    async fn plan(&self, _ctx: &Context<Store>, plan: &mut Plan<M>) -> Result<(), Diagnostics> {
        M::plan(plan)
    }

    async fn create(&self, ctx: &Context<Store>, plan: Plan<M>) -> Result<M, Failure<M>> {
        let mut object = plan.planned;
        if ctx.shared()?.get(M::STORED, object.name())?.is_some() {
            return Err(Diagnostic::error("There is one of this name already").at("name").into());
        }
        object.complete(&Change { config: &plan.config, prior: None, ctx })?;
        Self::keep(ctx, &object)?;
        Ok(object)
    }

    async fn read(&self, ctx: &Context<Store>, state: M) -> Result<Option<M>, Diagnostics> {
        Self::find(ctx, state.name())
    }

    async fn update(&self, ctx: &Context<Store>, plan: Plan<M>) -> Result<M, Failure<M>> {
        let mut object = plan.planned;
        object.complete(&Change { config: &plan.config, prior: plan.prior.as_ref(), ctx })?;
        Self::keep(ctx, &object)?;
        Ok(object)
    }

    async fn delete(&self, ctx: &Context<Store>, state: M) -> Result<(), Diagnostics> {
        ctx.shared()?.remove(M::STORED, state.name())
    }

    async fn import(&self, _ctx: &Context<Store>, import: Import) -> Result<M, Diagnostics> {
        let name = import.id().map(str::to_owned).or_else(|| M::named_by(&import));
        Self::named(&name.ok_or_else(|| Diagnostic::error("Give the name of what is to be imported"))?)
    }

    fn identity_schema(&self) -> Option<IdentitySchema> {
        M::identity_schema()
    }

    fn identity(&self, state: &M) -> Option<Value> {
        state.identity()
    }

    async fn upgrade(&self, version: i64, state: Json) -> Result<Json, Diagnostics> {
        M::upgrade(version, state)
    }

    async fn upgrade_identity(&self, version: i64, identity: Json) -> Result<Json, Diagnostics> {
        M::upgrade_identity(version, identity)
    }

    async fn move_from(&self, _ctx: &Context<Store>, source: MoveSource) -> Result<M, Diagnostics> {
        Self::named(&M::moved(&source)?)
    }

    fn schema(&self) -> Schema {
        Schema { version: M::VERSION, ..M::schema() }
    }
}
