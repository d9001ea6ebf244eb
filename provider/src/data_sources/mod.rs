//! Data sources: live facts, which a resource never holds.

mod drift_report;
mod model_version;

use falaj_api::Id;
use falaj_api::client::ClientError;
use tfplugin::{Attr, Diagnostic, Diagnostics, Registry};

use crate::attributes::want;
use crate::connection::Shared;
use crate::{errors, place};

pub fn register(registry: &mut Registry<Shared>) {
    registry.data_source(drift_report::DriftReportSource).data_source(model_version::ModelVersionSource);
}

/// An id of a `noun`, and the workspace it is in.
fn identify(id: &Attr<String>, noun: &str, path: &'static str) -> Result<(Id, String), Diagnostics> {
    let text = want(id, path)?;
    let wrong = |problem: String| Diagnostic::error(format!("Not the id of a falaj_{noun}")).detail(problem).at(path);
    let id: Id = text.parse().map_err(wrong)?;
    if place::noun(&id.place) != noun {
        return Err(wrong(format!("{text:?} is the id of a falaj_{}.", place::noun(&id.place))).into());
    }
    let workspace = id.place.workspace.clone().unwrap_or_default();
    Ok((id, workspace))
}

fn failed(error: &ClientError, what: &str) -> Diagnostics {
    errors::diagnostic(error, what, &[]).into()
}
