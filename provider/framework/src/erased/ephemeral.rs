//! An ephemeral resource behind values.

use std::time::SystemTime;

use async_trait::async_trait;

use super::{PLAN_TIMEOUT, Scope, check, collect, guarded, read_known};
use crate::plan::{blocks, contract, keep, propose};
use crate::schema::Schema;
use crate::{Context, Diagnostic, Diagnostics, EphemeralResource, Model, Type, Value};

/// What an open or a renewal left: the result (null but after an open), the
/// provider's own bytes, and when to renew.
pub struct Lease {
    pub result: Value,
    pub private: Vec<u8>,
    pub renew_at: Option<SystemTime>,
    pub diagnostics: Diagnostics,
}

/// An ephemeral resource of any model.
#[async_trait]
pub trait AnyEphemeralResource<S>: Send + Sync {
    fn schema(&self) -> &Schema;
    /// The type of the result.
    fn kind(&self) -> &Type;
    async fn validate(&self, scope: Scope<S>, config: Value) -> Diagnostics;
    async fn open(&self, scope: Scope<S>, config: Value) -> Lease;
    async fn renew(&self, scope: Scope<S>, private: Vec<u8>) -> Lease;
    async fn close(&self, scope: Scope<S>, private: Vec<u8>) -> Diagnostics;
}

/// The face of a typed ephemeral resource.
pub struct TypedEphemeralResource<E> {
    ephemeral: E,
    schema: Schema,
    kind: Type,
}

impl<E: EphemeralResource> TypedEphemeralResource<E> {
    pub fn new(ephemeral: E) -> Self {
        let schema = E::Model::schema();
        let kind = schema.to_type();
        Self { ephemeral, schema, kind }
    }

    fn context(&self, scope: Scope<E::Shared>, private: Vec<u8>) -> Context<E::Shared> {
        scope.context(self.ephemeral.timeout()).with_private(private, None)
    }

    fn settle(&self, checks: bool, config: &Value, result: &E::Model) -> (Value, Diagnostics) {
        let attributes = &self.schema.attributes;
        let result = keep::returned(attributes, config, blocks::fill(attributes, result.to_value()));
        let mut problems = Diagnostics::new();
        if !result.is_wholly_known() {
            problems.push(
                Diagnostic::error(format!("Opening {} left values unknown", E::NAME))
                    .detail("This is a bug in the provider."),
            );
        } else if checks {
            problems.append(contract::planned(attributes, config, &Value::Null, &result));
        }
        (result, problems)
    }
}

#[async_trait]
impl<E: EphemeralResource> AnyEphemeralResource<E::Shared> for TypedEphemeralResource<E> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn kind(&self) -> &Type {
        &self.kind
    }

    async fn validate(&self, scope: Scope<E::Shared>, config: Value) -> Diagnostics {
        let mut diagnostics = check(E::NAME, &self.schema, &config);
        let ctx = scope.context(PLAN_TIMEOUT);
        let checked = match read_known(&config) {
            Ok(Some(model)) => guarded(E::NAME, self.ephemeral.validate(&ctx, &model)).await,
            Ok(None) => Ok(()),
            Err(errors) => Err(errors),
        };
        diagnostics.append(collect(&ctx, checked));
        diagnostics
    }

    async fn open(&self, scope: Scope<E::Shared>, config: Value) -> Lease {
        let checks = scope.checks;
        let ctx = self.context(scope, Vec::new());
        // Defaults are the provider's to fill in; there is no plan to do it.
        let filled = propose::object(&self.schema.attributes, &config, &Value::Null);
        let opened = match E::Model::from_value(&filled) {
            Ok(model) => guarded(E::NAME, self.ephemeral.open(&ctx, model)).await,
            Err(error) => Err(error.into()),
        };
        let mut diagnostics = ctx.take_diagnostics();
        let (result, renew_at) = match opened {
            Ok(opened) => {
                let (result, problems) = self.settle(checks, &config, &opened.result);
                diagnostics.append(problems);
                (result, opened.renew_at)
            }
            Err(errors) => {
                diagnostics.append(errors);
                (Value::Null, None)
            }
        };
        Lease { result, private: ctx.private(), renew_at, diagnostics }
    }

    async fn renew(&self, scope: Scope<E::Shared>, private: Vec<u8>) -> Lease {
        let ctx = self.context(scope, private);
        let renewed = guarded(E::NAME, self.ephemeral.renew(&ctx)).await;
        let mut diagnostics = ctx.take_diagnostics();
        let renew_at = renewed.unwrap_or_else(|errors| {
            diagnostics.append(errors);
            None
        });
        Lease { result: Value::Null, private: ctx.private(), renew_at, diagnostics }
    }

    async fn close(&self, scope: Scope<E::Shared>, private: Vec<u8>) -> Diagnostics {
        let ctx = self.context(scope, private);
        let closed = guarded(E::NAME, self.ephemeral.close(&ctx)).await;
        collect(&ctx, closed)
    }
}
