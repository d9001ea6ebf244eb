//! What a module says to the provider itself: its `provider_meta` block.

use super::Inner;
use super::convert::decode;
use crate::erased::{Client, Scope, check};
use crate::plan::propose;
use crate::proto::tfplugin6 as proto;
use crate::{AttributePath, Diagnostic, Diagnostics, Provider, Value};

impl<P: Provider> Inner<P> {
    /// What surrounds an operation for a module with this `provider_meta`, and
    /// what is to be warned of in that. The protocol has no call that checks
    /// it, so each use does.
    pub fn module_scope(
        &self,
        client: Client,
        meta: Option<proto::DynamicValue>,
    ) -> Result<(Scope<P::Shared>, Diagnostics), Diagnostics> {
        let scope = Scope { client, ..self.scope() };
        // A host sends a null of any type where the provider declares nothing.
        let Some((schema, kind)) = &self.meta else {
            return Ok((scope, Diagnostics::new()));
        };
        let meta = decode(meta, kind).map_err(in_words)?;
        if meta.is_null() {
            return Ok((scope, Diagnostics::new()));
        }
        let warnings = in_words(check("provider_meta", schema, &meta)).into_result()?;
        let meta = propose::object(&schema.attributes, &meta, &Value::Null);
        Ok((Scope { meta, ..scope }, warnings))
    }
}

/// The host would look for the place in the resource's own block.
fn in_words(found: Diagnostics) -> Diagnostics {
    let one = |diagnostic: Diagnostic| {
        let place = if diagnostic.path.is_empty() { String::new() } else { format!(" at `{}`", diagnostic.path) };
        let detail = format!("In the module's `provider_meta`{place}: {}", diagnostic.detail);
        diagnostic.detail(detail).at(AttributePath::new())
    };
    found.into_iter().map(one).collect()
}
