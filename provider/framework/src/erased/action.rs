//! An action behind values.

use async_trait::async_trait;

use super::{PLAN_TIMEOUT, Scope, check, collect, guarded, read_known, whole};
use crate::action::{Action, Progress};
use crate::plan::propose;
use crate::schema::Schema;
use crate::{Diagnostics, Model, Type, Value};

/// An action of any model.
#[async_trait]
pub trait AnyAction<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    /// The type of the configuration.
    fn kind(&self) -> &Type;
    async fn validate(&self, scope: Scope<S>, config: Value) -> Diagnostics;
    async fn plan(&self, scope: Scope<S>, config: Value) -> Diagnostics;
    async fn invoke(&self, scope: Scope<S>, config: Value, progress: Progress) -> Diagnostics;
}

/// The face of a typed action.
pub struct TypedAction<A> {
    action: A,
    schema: Schema,
    kind: Type,
}

impl<A: Action> TypedAction<A> {
    pub fn new(action: A) -> Self {
        let schema = A::Model::schema();
        let kind = schema.to_type();
        Self { action, schema, kind }
    }
}

#[async_trait]
impl<A: Action> AnyAction<A::Shared> for TypedAction<A> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn kind(&self) -> &Type {
        &self.kind
    }

    async fn validate(&self, scope: Scope<A::Shared>, config: Value) -> Diagnostics {
        let config = whole(config);
        let mut diagnostics = check(A::NAME, &self.schema, &config);
        let ctx = scope.context(PLAN_TIMEOUT);
        let checked = match read_known(&config) {
            Ok(Some(model)) => guarded(A::NAME, self.action.validate(&ctx, &model)).await,
            Ok(None) => Ok(()),
            Err(errors) => Err(errors),
        };
        diagnostics.append(collect(&ctx, checked));
        diagnostics
    }

    async fn plan(&self, scope: Scope<A::Shared>, config: Value) -> Diagnostics {
        let ctx = scope.context(PLAN_TIMEOUT);
        let filled = propose::object(&self.schema.attributes, &whole(config), &Value::Null);
        let planned = match read_known(&filled) {
            Ok(Some(model)) => guarded(A::NAME, self.action.plan(&ctx, &model)).await,
            Ok(None) => Ok(()),
            Err(errors) => Err(errors),
        };
        collect(&ctx, planned)
    }

    async fn invoke(&self, scope: Scope<A::Shared>, config: Value, progress: Progress) -> Diagnostics {
        let ctx = scope.context(self.action.timeout());
        let filled = propose::object(&self.schema.attributes, &whole(config), &Value::Null);
        let done = match A::Model::from_value(&filled) {
            Ok(model) => guarded(A::NAME, self.action.invoke(&ctx, model, &progress)).await,
            Err(error) => Err(error.into()),
        };
        collect(&ctx, done)
    }
}
