//! State and identities that another release, or another type, has saved.

use serde_json::Value as Json;

use super::resource::{Reading, TypedResource, read_model};
use super::{Scope, guarded};
use crate::plan::{blocks, write_only};
use crate::resource::MoveSource;
use crate::schema::object_type;
use crate::value::Digits;
use crate::{Diagnostic, Diagnostics, Model, Resource, Type, Value};

/// Reads what was saved under `version`, through `upgrade` where that is an
/// older one than `current`.
async fn read<U: Future<Output = Result<Json, Diagnostics>>>(
    what: &str,
    (version, current): (i64, i64),
    json: &[u8],
    kind: &Type,
    upgrade: impl FnOnce(Json) -> U,
) -> Result<Value, Diagnostics> {
    let unreadable =
        |problem: String| Diagnostics::from(Diagnostic::error(format!("{what} cannot be read")).detail(problem));
    if version > current {
        return Err(unreadable(format!(
            "It was written by a newer release (schema version {version}; this one knows {current}). Use that release or a later one.",
        )));
    }
    if version == current {
        return Value::from_json(json, kind).map_err(|error| unreadable(error.to_string()));
    }
    let text = std::str::from_utf8(json).map_err(|error| unreadable(error.to_string()))?;
    let old = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    let new = Digits::of(text).write(&upgrade(old).await?);
    Value::from_json(new.as_bytes(), kind).map_err(|error| unreadable(error.to_string()))
}

impl<R: Resource> TypedResource<R> {
    pub(super) async fn read_saved(&self, version: i64, json: &[u8]) -> Result<Value, Diagnostics> {
        let what = format!("The saved state of this {}", R::NAME);
        let upgrade = |old| guarded(R::NAME, self.resource.upgrade(version, old));
        let state = read(&what, (version, R::VERSION), json, &self.kind, upgrade).await?;
        Ok(blocks::fill(&self.schema.attributes, state))
    }

    pub(super) async fn read_saved_identity(&self, version: i64, json: &[u8]) -> Result<Value, Diagnostics> {
        let Some(schema) = &self.identity else {
            return Err(Diagnostic::error(format!("{} has no identity", R::NAME)).into());
        };
        let what = format!("The saved identity of this {}", R::NAME);
        let upgrade = |old| guarded(R::NAME, self.resource.upgrade_identity(version, old));
        read(&what, (version, schema.version), json, &object_type(&schema.attributes), upgrade).await
    }

    pub(super) async fn take_over(&self, scope: Scope<R::Shared>, source: MoveSource) -> Reading {
        let ctx = scope.context(self.resource.default_timeouts().read);
        let moved = guarded(R::NAME, self.resource.move_from(&ctx, source)).await;
        let mut diagnostics = ctx.take_diagnostics();
        let state = match moved {
            Ok(model) => {
                let state = write_only::remove(&self.schema.attributes, model.into_value()).nulls_for_unknowns();
                blocks::fill(&self.schema.attributes, state)
            }
            Err(errors) => {
                diagnostics.append(errors);
                Value::Null
            }
        };
        let identity = self.whole_identity_of(&state);
        Reading { state, identity, private: ctx.private(), diagnostics }
    }

    /// The identity of an object in this state, where the resource has one.
    pub(super) fn identity_of(&self, state: &Value) -> Option<Value> {
        self.identity.as_ref()?;
        let model: R::Model = read_model(state).ok()?;
        self.resource.identity(&model)
    }

    /// The same, unless a part of it is not there yet: what an import or a move
    /// returns is read at once, and from then on the identity may not change.
    pub(super) fn whole_identity_of(&self, state: &Value) -> Option<Value> {
        let identity = self.identity_of(state)?;
        let whole = identity.as_map()?.values().all(|part| !part.is_null() && part.is_wholly_known());
        whole.then_some(identity)
    }
}
