//! A data source behind values.

use async_trait::async_trait;

use super::{PLAN_TIMEOUT, Scope, check, collect, guarded, read_known};
use crate::schema::Schema;
use crate::{DataSource, Diagnostics, Model, Type, Value};

/// A data source of any model.
#[async_trait]
pub trait AnyDataSource<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    /// The type of the state.
    fn kind(&self) -> &Type;
    async fn validate(&self, scope: Scope<S>, config: Value) -> Diagnostics;
    /// The state, with warnings; or null, with errors.
    async fn read(&self, scope: Scope<S>, config: Value) -> (Value, Diagnostics);
}

/// The face of a typed data source.
pub struct TypedDataSource<D> {
    data_source: D,
    schema: Schema,
    kind: Type,
}

impl<D: DataSource> TypedDataSource<D> {
    pub fn new(data_source: D) -> Self {
        let schema = D::Model::schema();
        let kind = schema.to_type();
        Self { data_source, schema, kind }
    }
}

#[async_trait]
impl<D: DataSource> AnyDataSource<D::Shared> for TypedDataSource<D> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn kind(&self) -> &Type {
        &self.kind
    }

    async fn validate(&self, scope: Scope<D::Shared>, config: Value) -> Diagnostics {
        let mut diagnostics = check(D::NAME, &self.schema, &config);
        let ctx = scope.context(PLAN_TIMEOUT);
        let checked = match read_known(&config) {
            Ok(Some(model)) => guarded(D::NAME, self.data_source.validate(&ctx, &model)).await,
            Ok(None) => Ok(()),
            Err(errors) => Err(errors),
        };
        diagnostics.append(collect(&ctx, checked));
        diagnostics
    }

    async fn read(&self, scope: Scope<D::Shared>, config: Value) -> (Value, Diagnostics) {
        let deferral = scope.deferral;
        let ctx = scope.context(self.data_source.timeout());
        // Defaults are the provider's to fill in; there is no plan to do it.
        let filled = crate::plan::propose::object(&self.schema.attributes, &config, &Value::Null);
        let result = match (deferral, D::Model::from_value(&filled)) {
            (Some(deferral), _) => Err(deferral.into()),
            (None, Ok(model)) => guarded(D::NAME, self.data_source.read(&ctx, model)).await,
            (None, Err(error)) => Err(error.into()),
        };
        let mut diagnostics = ctx.take_diagnostics();
        match result {
            Ok(model) => {
                let state = crate::plan::blocks::fill(&self.schema.attributes, model.into_value());
                let state = crate::plan::keep::returned(&self.schema.attributes, &config, state);
                (state.nulls_for_unknowns(), diagnostics)
            }
            Err(errors) => {
                // What is deferred is known as far as it is configured.
                let state = match errors.deferral() {
                    Some(_) => crate::plan::complete(&self.schema.attributes, &config, &Value::Null),
                    None => Value::Null,
                };
                diagnostics.append(errors);
                (state, diagnostics)
            }
        }
    }
}
