//! A list resource behind values.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{PLAN_TIMEOUT, Scope, check, collect, guarded, read_known, whole};
use crate::list_resource::{Found, ListResource, Query};
use crate::plan::propose;
use crate::schema::Schema;
use crate::{Diagnostics, Model, Resource, Type, Value};

/// What a query has to tell.
pub enum Listed {
    /// An object that was found.
    Object { display_name: String, state: Value },
    /// What to tell the user.
    Said(Diagnostics),
}

/// How much is asked for.
pub struct Bounds {
    pub limit: Option<usize>,
    pub include_resource: bool,
}

/// A list resource of any configuration.
#[async_trait]
pub trait AnyListResource<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    /// The type of the configuration.
    fn kind(&self) -> &Type;
    async fn validate(&self, scope: Scope<S>, config: Value) -> Diagnostics;
    async fn list(&self, scope: Scope<S>, config: Value, bounds: Bounds, out: mpsc::Sender<Listed>) -> Diagnostics;
}

/// The face of a typed list resource.
pub struct TypedListResource<L> {
    list: L,
    schema: Schema,
    kind: Type,
}

impl<L: ListResource> TypedListResource<L> {
    pub const NAME: &'static str = <L::Resource as Resource>::NAME;

    pub fn new(list: L) -> Self {
        let schema = L::Config::schema();
        let kind = schema.to_type();
        Self { list, schema, kind }
    }
}

#[async_trait]
impl<L: ListResource> AnyListResource<L::Shared> for TypedListResource<L> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn kind(&self) -> &Type {
        &self.kind
    }

    async fn validate(&self, scope: Scope<L::Shared>, config: Value) -> Diagnostics {
        let config = whole(config);
        let mut diagnostics = check(Self::NAME, &self.schema, &config);
        let ctx = scope.context(PLAN_TIMEOUT);
        let checked = match read_known(&config) {
            Ok(Some(model)) => guarded(Self::NAME, self.list.validate(&ctx, &model)).await,
            Ok(None) => Ok(()),
            Err(errors) => Err(errors),
        };
        diagnostics.append(collect(&ctx, checked));
        diagnostics
    }

    async fn list(
        &self,
        scope: Scope<L::Shared>,
        config: Value,
        bounds: Bounds,
        out: mpsc::Sender<Listed>,
    ) -> Diagnostics {
        let ctx = scope.context(self.list.timeout());
        let filled = propose::object(&self.schema.attributes, &whole(config), &Value::Null);
        let Bounds { limit, include_resource } = bounds;
        let listed = match L::Config::from_value(&filled) {
            Ok(config) => {
                let query = Query { config, limit, include_resource };
                let found = Found::new(out, limit);
                guarded(Self::NAME, self.list.list(&ctx, query, &found)).await
            }
            Err(error) => Err(error.into()),
        };
        collect(&ctx, listed)
    }
}
