//! The provider: its configuration, and what it offers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tfplugin::{Attr, AttributePath, Context, Diagnostic, Diagnostics, Model, Provider, Registry};

use crate::attributes::labels::Labels;
use crate::attributes::{ResidencyModel, residency};
use crate::connection::{ConnectionModel, Shared};
use crate::{data_sources, functions, resources};

/// Declares an ML platform together with where its data may be, the keys it is sealed under and when its models are no longer right.
///
/// What a rule forbids is an error at plan, at the attribute that breaks it, and the
/// platform's own runtime applies the same rule again at every write. The runtime
/// comes with the provider: a cluster with `local = {}` needs nothing else installed,
/// and one on Kubernetes nothing but a kubeconfig. It works with Terraform and OpenTofu
/// from 1.11 on; clusters on one machine need Linux.
#[derive(Model, Debug, Clone)]
pub struct Config {
    /// Where data and work may be: the rule of clusters that declare none, and a bound for everything declared here.
    #[attr(optional)]
    pub residency: Attr<ResidencyModel>,
    /// Lets clusters be declared without any residency rule: where none is declared, a plan is an error otherwise.
    #[attr(optional)]
    pub allow_no_residency: Attr<bool>,
    /// Labels of everything declared here; an object's own win.
    #[attr(optional)]
    pub labels: Attr<Labels>,
    /// How clusters that do not live on this machine are reached, by their names. The variable `FALAJ_CONNECTION_<CLUSTER>` holds the same as JSON.
    #[attr(optional)]
    pub connections: Attr<BTreeMap<String, ConnectionModel>>,
    /// Directory in which local clusters keep everything. Unset: the variable `FALAJ_DATA_DIR`, else `falaj` in the user's data directory (`~/.local/share`).
    #[attr(optional)]
    pub data_dir: Attr<String>,
}

/// The provider.
pub struct FalajProvider;

impl Provider for FalajProvider {
    type Config = Config;
    type Shared = Shared;
    const NAME: &'static str = "falaj";

    fn register(&self, registry: &mut Registry<Shared>) {
        resources::register(registry);
        data_sources::register(registry);
        functions::register(registry);
    }

    async fn validate(&self, config: &Config) -> Result<(), Diagnostics> {
        let mut problems = residency::check(&residency::rule(&config.residency), &AttributePath::root("residency"));
        for (cluster, connection) in config.connections.known().into_iter().flatten() {
            problems.append(connection.check(&AttributePath::root("connections").key(cluster)));
        }
        problems.into_result().map(|_| ())
    }

    async fn configure(&self, _: &Context<Shared>, config: Config) -> Result<Shared, Diagnostics> {
        Ok(Shared::new(
            config.residency,
            config.allow_no_residency.or_default(),
            config.labels,
            config.connections,
            data_dir(&config.data_dir)?,
        ))
    }
}

/// Where local clusters live: as configured, or by the environment.
fn data_dir(configured: &Attr<String>) -> Result<Attr<PathBuf>, Diagnostic> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = match configured {
        Attr::Known(path) => Some(PathBuf::from(path)),
        Attr::Unknown(refinement) => return Ok(Attr::Unknown(refinement.clone())),
        Attr::Null => variable("FALAJ_DATA_DIR")
            .or_else(|| variable("XDG_DATA_HOME").map(|home| home.join("falaj")))
            .or_else(|| variable("HOME").map(|home| home.join(".local/share/falaj"))),
    };
    let path = chosen.ok_or_else(|| {
        Diagnostic::error("No data directory")
            .detail("None of data_dir, FALAJ_DATA_DIR, XDG_DATA_HOME and HOME is set: set one.")
            .at("data_dir")
    })?;
    // What is started from here must find it from any working directory.
    std::path::absolute(&path).map(Attr::Known).map_err(|error| {
        Diagnostic::error("Not a data directory").detail(format!("{}: {error}", path.display())).at("data_dir")
    })
}
