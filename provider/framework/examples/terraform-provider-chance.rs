//! A provider for tests: as many resource types as it is told, each with a random
//! schema that follows from a seed. It keeps nothing; what a plan left open it fills
//! in by chance.
//!
//! `tests/chance.rs` has real cores plan and apply random configurations of it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;

use tfplugin::schema::{Attribute, Schema};
use tfplugin::{
    Attr, Context, Diagnostics, Empty, Failure, FieldError, Model, Plan, Provider, Refinement, Registry, Resource,
    Value,
};

#[path = "../tests/random/mod.rs"]
mod random;

use random::hcl::SOURCE_NAME;
use random::{Random, number, seed_of};

fn main() -> ExitCode {
    tfplugin::serve(Chance)
}

/// The provider.
struct Chance;

impl Provider for Chance {
    type Config = Empty;
    type Shared = ();
    const NAME: &'static str = "chance";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Source);
        let seed = number("TFPLUGIN_FUZZ_SEED").unwrap_or_default();
        for position in 0..number("TFPLUGIN_FUZZ_TYPES").unwrap_or_default() {
            let attributes = Random::new(seed_of(seed, position)).schema();
            // Names live as long as the process.
            let name = String::leak(format!("chance_t{position}"));
            registry.resource_named(name, Anything(attributes));
        }
    }

    async fn configure(&self, _: &Context<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// Gives back what it was given, but not before apply.
#[derive(Model, Debug, Clone)]
struct SourceModel {
    /// What it is given.
    #[attr(optional)]
    input: Attr<Value>,
    /// The same.
    #[attr(computed, depends_on = ["input"])]
    output: Attr<Value>,
    /// What it is called; at plan one knows only how that begins.
    #[attr(computed, not_null, depends_on = ["input"])]
    name: Attr<String>,
}

struct Source;

fn given_back(planned: SourceModel) -> SourceModel {
    SourceModel { output: planned.input.clone(), name: SOURCE_NAME.into(), ..planned }
}

impl Resource for Source {
    type Shared = ();
    type Model = SourceModel;
    const NAME: &'static str = "chance_source";

    async fn plan(&self, _: &Context<()>, plan: &mut Plan<SourceModel>) -> Result<(), Diagnostics> {
        if plan.planned.name.is_unknown() {
            plan.planned.name = Attr::Unknown(Refinement::not_null().with_prefix("source/"));
        }
        Ok(())
    }

    async fn create(&self, _: &Context<()>, plan: Plan<SourceModel>) -> Result<SourceModel, Failure<SourceModel>> {
        Ok(given_back(plan.planned))
    }

    async fn read(&self, _: &Context<()>, state: SourceModel) -> Result<Option<SourceModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, _: &Context<()>, plan: Plan<SourceModel>) -> Result<SourceModel, Failure<SourceModel>> {
        Ok(given_back(plan.planned))
    }

    async fn delete(&self, _: &Context<()>, _: SourceModel) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// An object of a schema that is known at run time only.
#[derive(Debug, Clone)]
struct Object(Value);

impl Model for Object {
    fn attributes() -> Vec<Attribute> {
        Vec::new()
    }

    fn from_value(value: &Value) -> Result<Self, FieldError> {
        Ok(Self(value.clone()))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}

/// A resource of any schema.
struct Anything(Vec<Attribute>);

impl Anything {
    /// The same for the same plan, in whichever process.
    fn filled(&self, planned: &Object) -> Object {
        let mut hasher = DefaultHasher::new();
        format!("{planned:?}").hash(&mut hasher);
        Object(Random::new(hasher.finish()).filled(&self.0, &planned.0))
    }
}

impl Resource for Anything {
    type Shared = ();
    type Model = Object;
    const NAME: &'static str = "chance_anything";

    async fn create(&self, _: &Context<()>, plan: Plan<Object>) -> Result<Object, Failure<Object>> {
        Ok(self.filled(&plan.planned))
    }

    async fn read(&self, _: &Context<()>, state: Object) -> Result<Option<Object>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, _: &Context<()>, plan: Plan<Object>) -> Result<Object, Failure<Object>> {
        Ok(self.filled(&plan.planned))
    }

    async fn delete(&self, _: &Context<()>, _: Object) -> Result<(), Diagnostics> {
        Ok(())
    }

    fn schema(&self) -> Schema {
        Schema { attributes: self.0.clone(), ..Schema::default() }
    }
}
