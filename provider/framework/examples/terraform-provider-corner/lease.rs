//! An ephemeral resource that notes in the world what happens to it.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tfplugin::{Attr, Context, DataSource, Diagnostic, Diagnostics, EphemeralResource, Model, Opened};

use super::store::Store;

/// A lease of something.
#[derive(Model, Debug, Clone)]
pub struct LeaseModel {
    /// Of what; `taken` cannot be had.
    #[attr(required)]
    name: Attr<String>,
    /// What opens it.
    #[attr(computed, sensitive)]
    token: Attr<String>,
}

/// Leases.
pub struct Lease;

impl Lease {
    /// Counts what happens: open is true while more were opened than closed.
    fn count(ctx: &Context<Store>, name: &str, change: i64) -> Result<(), Diagnostics> {
        let store = ctx.shared()?;
        let before =
            store.get(Self::NAME, name)?.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
        let open = before.and_then(|lease| lease["open"].as_i64()).unwrap_or(0) + change;
        store.put(Self::NAME, name, &json!({ "open": open, "known": true }).to_string())
    }
}

impl EphemeralResource for Lease {
    type Shared = Store;
    type Model = LeaseModel;
    const NAME: &'static str = "corner_lease";

    async fn open(&self, ctx: &Context<Store>, config: LeaseModel) -> Result<Opened<LeaseModel>, Diagnostics> {
        let name = config.name.clone().or_default();
        if name == "taken" {
            return Err(Diagnostic::error("Somebody else has it").at("name").into());
        }
        Self::count(ctx, &name, 1)?;
        ctx.set_private(name.as_bytes());
        let token = format!("token of {name}").into();
        let renew_at = SystemTime::now() + Duration::from_secs(3600);
        Ok(Opened::new(LeaseModel { token, ..config }).renew_at(renew_at))
    }

    async fn renew(&self, ctx: &Context<Store>) -> Result<Option<SystemTime>, Diagnostics> {
        match ctx.private().is_empty() {
            true => Err(Diagnostic::error("Renewed without what the open kept").into()),
            false => Ok(None),
        }
    }

    async fn close(&self, ctx: &Context<Store>) -> Result<(), Diagnostics> {
        Self::count(ctx, &String::from_utf8_lossy(&ctx.private()), -1)
    }
}

/// Looks something up in the world.
#[derive(Model, Debug, Clone)]
pub struct LookModel {
    /// The type.
    #[attr(required)]
    kind: Attr<String>,
    /// The name.
    #[attr(required)]
    name: Attr<String>,
    /// Whether it is there.
    #[attr(computed)]
    exists: Attr<bool>,
}

/// A look into the world.
pub struct Look;

impl DataSource for Look {
    type Shared = Store;
    type Model = LookModel;
    const NAME: &'static str = "corner_look";

    async fn read(&self, ctx: &Context<Store>, config: LookModel) -> Result<LookModel, Diagnostics> {
        let (kind, name) = (config.kind.as_deref().unwrap_or_default(), config.name.as_deref().unwrap_or_default());
        if kind == "nothing" {
            return Err(Diagnostic::error("There is nothing to look at").at("kind").into());
        }
        let exists = ctx.shared()?.get(kind, name)?.is_some();
        Ok(LookModel { exists: exists.into(), ..config })
    }
}
