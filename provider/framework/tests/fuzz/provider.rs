//! A provider with something of every kind, that does nothing: what requests are
//! tried on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tfplugin::{
    Action, Attr, Context, DataSource, Diagnostics, EphemeralResource, Failure, Field, Found, Function, FunctionError,
    IdentitySchema, Import, ListResource, Model, MoveSource, Number, Opened, Plan, Progress, Provider, Query, Registry,
    Resource, Set, Span, Timeouts, Value, validate,
};

/// A part of a thing.
#[derive(Model, Debug, Clone)]
pub struct Part {
    /// What it is called.
    #[attr(required)]
    key: Attr<String>,
    /// How large it is.
    #[attr(default = 7)]
    size: Attr<i64>,
    /// How much it weighs.
    #[attr(computed, depends_on = ["size"])]
    weight: Attr<f64>,
}

/// Something with an attribute of every kind.
#[derive(Model, Debug, Clone, Default)]
pub struct ThingModel {
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    #[attr(required, replace, validate = [validate::length(0, 40)])]
    pub name: Attr<String>,
    #[attr(optional, validate = [validate::range(0, 100)])]
    pub number: Attr<Number>,
    #[attr(default = 0.5)]
    pub float: Attr<f64>,
    #[attr(optional, computed)]
    pub integer: Attr<u32>,
    #[attr(optional)]
    pub span: Attr<Span>,
    #[attr(optional)]
    pub anything: Attr<Value>,
    #[attr(computed, depends_on = ["*"])]
    pub outcome: Attr<Value>,
    #[attr(optional)]
    pub list: Attr<Vec<String>>,
    #[attr(optional)]
    pub sparse: Attr<Vec<Attr<bool>>>,
    #[attr(optional)]
    pub set: Attr<BTreeSet<String>>,
    #[attr(optional)]
    pub labels: Attr<BTreeMap<String, String>>,
    #[attr(optional, computed)]
    pub one: Attr<Part>,
    #[attr(optional)]
    pub parts: Attr<Vec<Part>>,
    #[attr(optional)]
    pub bag: Attr<Set<Part>>,
    #[attr(optional)]
    pub named: Attr<BTreeMap<String, Part>>,
    #[attr(optional, write_only)]
    pub secret_wo: Attr<String>,
    #[attr(optional)]
    pub timeouts: Attr<Timeouts>,
}

/// What tells a thing from the others.
#[derive(Model, Debug, Clone)]
pub struct ThingIdentity {
    name: String,
    number: Option<i64>,
}

pub struct Thing;

/// As planned, with something for all that was open.
fn settled(planned: &ThingModel) -> Result<ThingModel, Diagnostics> {
    let known = Model::to_value(planned).nulls_for_unknowns();
    Ok(ThingModel { id: "thing".into(), ..<ThingModel as Model>::from_value(&known)? })
}

impl Resource for Thing {
    type Shared = ();
    type Model = ThingModel;
    const NAME: &'static str = "fuzz_thing";
    const VERSION: i64 = 2;

    async fn create(&self, ctx: &Context<()>, plan: Plan<ThingModel>) -> Result<ThingModel, Failure<ThingModel>> {
        ctx.set_private(ctx.private());
        Ok(settled(&plan.planned)?)
    }

    async fn read(&self, _: &Context<()>, state: ThingModel) -> Result<Option<ThingModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, _: &Context<()>, plan: Plan<ThingModel>) -> Result<ThingModel, Failure<ThingModel>> {
        Ok(settled(&plan.planned)?)
    }

    async fn delete(&self, _: &Context<()>, _: ThingModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, _: &Context<()>, import: Import) -> Result<ThingModel, Diagnostics> {
        let name = import.identity::<ThingIdentity>().map(|identity| identity.name);
        let name = name.or_else(|| import.id().map(str::to_owned));
        Ok(ThingModel { name: name.into(), ..ThingModel::default() })
    }

    fn identity_schema(&self) -> Option<IdentitySchema> {
        Some(IdentitySchema::of::<ThingIdentity>().version(1))
    }

    fn identity(&self, state: &ThingModel) -> Option<Value> {
        let number = state.integer.known().map(|integer| i64::from(*integer));
        Some(Field::to_value(&ThingIdentity { name: state.name.as_deref()?.to_owned(), number }))
    }

    async fn upgrade(&self, _: i64, state: Json) -> Result<Json, Diagnostics> {
        Ok(state)
    }

    async fn upgrade_identity(&self, _: i64, identity: Json) -> Result<Json, Diagnostics> {
        Ok(identity)
    }

    async fn move_from(&self, ctx: &Context<()>, source: MoveSource) -> Result<ThingModel, Diagnostics> {
        ctx.set_private(source.private);
        Ok(ThingModel { name: source.type_name.into(), ..ThingModel::default() })
    }
}

impl DataSource for Thing {
    type Shared = ();
    type Model = ThingModel;
    const NAME: &'static str = "fuzz_thing";

    async fn read(&self, _: &Context<()>, config: ThingModel) -> Result<ThingModel, Diagnostics> {
        settled(&config)
    }
}

impl EphemeralResource for Thing {
    type Shared = ();
    type Model = ThingModel;
    const NAME: &'static str = "fuzz_thing";

    async fn open(&self, ctx: &Context<()>, config: ThingModel) -> Result<Opened<ThingModel>, Diagnostics> {
        ctx.set_private(config.name.as_deref().unwrap_or_default().as_bytes());
        Ok(Opened::new(settled(&config)?))
    }
}

impl Action for Thing {
    type Shared = ();
    type Model = Part;
    const NAME: &'static str = "fuzz_part";

    async fn invoke(&self, _: &Context<()>, _: Part, progress: &Progress) -> Result<(), Diagnostics> {
        progress.say("done").await;
        Ok(())
    }
}

impl ListResource for Thing {
    type Shared = ();
    type Resource = Self;
    type Config = Part;

    async fn list(&self, _: &Context<()>, query: Query<Part>, found: &Found<ThingModel>) -> Result<(), Diagnostics> {
        let thing = ThingModel { name: query.config.key, ..ThingModel::default() };
        while found.push("a thing", &thing).await && query.limit.is_some_and(|limit| limit < 100) {}
        Ok(())
    }
}

/// What the function takes.
#[derive(Model, Debug, Clone)]
pub struct Params {
    part: Part,
    numbers: Vec<i64>,
    #[attr(optional, allow_unknown)]
    anything: Attr<Value>,
    #[attr(optional, variadic)]
    rest: Vec<Option<Span>>,
}

impl Function for Thing {
    type Params = Params;
    type Output = Value;
    const NAME: &'static str = "tell";
    const SUMMARY: &'static str = "Tells what it was given";

    fn call(&self, params: Params) -> Result<Value, FunctionError> {
        Ok(params.anything.into_known().unwrap_or_else(|| Field::to_value(&params.part)))
    }
}

pub struct FuzzProvider;

impl Provider for FuzzProvider {
    type Config = Part;
    type Shared = ();
    const NAME: &'static str = "fuzz";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Thing).data_source(Thing).ephemeral_resource(Thing);
        registry.list_resource(Thing).action(Thing).function(Thing);
    }

    async fn configure(&self, _: &Context<()>, _: Part) -> Result<(), Diagnostics> {
        Ok(())
    }
}
