//! What the provider remembers beside the state of each object.

use falaj_api::record::State;
use serde::{Deserialize, Serialize};
use tfplugin::Context;

use crate::connection::{Connection, Shared};

/// Private bytes of an object, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Whose it is, so that another cluster of the same name is never taken for it.
    pub cluster_uid: String,
    /// Where that cluster lives.
    pub machine_id: String,
    /// Whether the runtime had not, or not yet, made it as declared when it was
    /// last seen: the next plan then has something to do.
    pub unfinished: bool,
}

impl Memory {
    pub fn recall(ctx: &Context<Shared>) -> Self {
        serde_json::from_slice(&ctx.private()).unwrap_or_default()
    }

    pub fn keep(connection: &Connection, state: State, ctx: &Context<Shared>) {
        let memory = Self {
            cluster_uid: connection.runtime.cluster_uid.clone(),
            machine_id: connection.runtime.machine_id.clone(),
            unfinished: state != State::Ready,
        };
        memory.store(ctx);
    }

    pub fn finish(ctx: &Context<Shared>) {
        Self { unfinished: false, ..Self::recall(ctx) }.store(ctx);
    }

    fn store(&self, ctx: &Context<Shared>) {
        if let Ok(bytes) = serde_json::to_vec(self) {
            ctx.set_private(bytes);
        }
    }
}
