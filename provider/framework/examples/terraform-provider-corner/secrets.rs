//! Write-only attributes, and the bytes that a provider keeps beside the state.

use std::collections::BTreeMap;

use tfplugin::{Attr, Diagnostics, Model};

use super::kept::{Change, Object};

/// A safe; the world keeps how long its secrets are.
#[derive(Model, Debug, Clone)]
pub struct Safe {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// A secret that nobody keeps.
    #[attr(optional, write_only)]
    code_wo: Attr<String>,
    /// Raise it to write the secret again.
    #[attr(optional)]
    code_wo_version: Attr<i64>,
    /// Secrets by drawer.
    #[attr(optional)]
    drawers: Attr<BTreeMap<String, Drawer>>,
    /// How long the secrets are in all.
    #[attr(computed, depends_on = ["code_wo_version", "drawers"])]
    length: Attr<i64>,
    /// How often it was written, kept in the private bytes alone.
    #[attr(computed, depends_on = ["*"])]
    writes: Attr<i64>,
}

/// A drawer of a safe.
#[derive(Model, Debug, Clone)]
pub struct Drawer {
    /// A secret that nobody keeps.
    #[attr(optional, write_only)]
    key_wo: Attr<String>,
    /// What it is for.
    #[attr(default = "everything")]
    purpose: Attr<String>,
}

impl Object for Safe {
    const TYPE: &'static str = "corner_safe";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn complete(&mut self, change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        if self.length.is_unknown() {
            let drawers = change.config.drawers.known().into_iter().flat_map(BTreeMap::values);
            let keys = drawers.filter_map(|drawer| drawer.key_wo.known());
            let length: usize = change.config.code_wo.known().into_iter().chain(keys).map(String::len).sum();
            self.length = i64::try_from(length).ok().into();
        }
        let written = change.ctx.private().len() + 1;
        change.ctx.set_private(vec![b'x'; written]);
        if self.writes.is_unknown() {
            self.writes = i64::try_from(written).ok().into();
        }
        Ok(())
    }
}
