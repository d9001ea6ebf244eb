//! What is answered in several messages: a query, and a deed.

use tfplugin::{Action, Attr, Context, Diagnostic, Diagnostics, Found, ListResource, Model, Progress, Query, validate};

use super::kept::Kept;
use super::lineage::Person;
use super::store::Store;

/// Whom to find.
#[derive(Model, Debug, Clone)]
pub struct PersonQuery {
    /// What the names begin with; `nobody` cannot be asked for.
    #[attr(required, validate = [validate::length(1, 40)])]
    prefix: Attr<String>,
}

/// Finds persons.
pub struct Persons;

impl ListResource for Persons {
    type Shared = Store;
    type Resource = Kept<Person>;
    type Config = PersonQuery;

    async fn list(
        &self,
        ctx: &Context<Store>,
        query: Query<PersonQuery>,
        found: &Found<Person>,
    ) -> Result<(), Diagnostics> {
        let prefix = query.config.prefix.or_default();
        if prefix == "nobody" {
            return Err(Diagnostic::error("Nobody is found by that").at("prefix").into());
        }
        for name in ctx.shared()?.names("corner_person")? {
            if name.starts_with(&prefix)
                && let Some(person) = Kept::find(ctx, &name)?
                && !found.push(format!("Person {name}"), &person).await
            {
                break;
            }
        }
        Ok(())
    }
}

/// What to do.
#[derive(Model, Debug, Clone)]
pub struct DeedModel {
    /// The name under which it is noted in the world.
    #[attr(required)]
    name: Attr<String>,
    /// How many steps it takes; 13 are refused at plan, and the 4th fails.
    #[attr(default = 1, validate = [validate::range(1, 20)])]
    steps: Attr<i64>,
}

/// Does something step by step.
pub struct Deed;

impl Action for Deed {
    type Shared = Store;
    type Model = DeedModel;
    const NAME: &'static str = "corner_deed";

    async fn plan(&self, _ctx: &Context<Store>, config: &DeedModel) -> Result<(), Diagnostics> {
        match config.steps.known() {
            Some(13) => Err(Diagnostic::error("Thirteen steps are too many to plan").at("steps").into()),
            _ => Ok(()),
        }
    }

    async fn invoke(&self, ctx: &Context<Store>, config: DeedModel, progress: &Progress) -> Result<(), Diagnostics> {
        let name = config.name.or_default();
        for step in 1..=config.steps.or_default() {
            if step == 4 {
                return Err(Diagnostic::error("The fourth step failed").into());
            }
            progress.say(format!("step {step} of {name}")).await;
            ctx.shared()?.put(Self::NAME, &name, &format!("{{\"steps\": {step}}}"))?;
        }
        Ok(())
    }
}
