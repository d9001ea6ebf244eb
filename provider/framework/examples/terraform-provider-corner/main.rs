//! A provider of corner cases: what the conformance suite in
//! `tests/conformance` drives in process, over the wire and by real cores.
//!
//! Its objects are files in a directory, so that a case can look at the world
//! behind the provider and change it.

mod failing;
mod functions;
mod kept;
mod lease;
mod lineage;
mod nested;
mod numbers;
mod secrets;
mod sets;
mod store;
mod streams;
mod unknowns;

use std::process::ExitCode;

use kept::Kept;
use store::Store;
use tfplugin::{Attr, Context, Diagnostics, Model, Provider, Registry};

fn main() -> ExitCode {
    tfplugin::serve(CornerProvider)
}

/// Where the objects are.
#[derive(Model, Debug, Clone)]
pub struct Config {
    /// The directory.
    #[attr(required)]
    directory: Attr<String>,
}

/// The provider.
pub struct CornerProvider;

impl Provider for CornerProvider {
    type Config = Config;
    type Shared = Store;
    const NAME: &'static str = "corner";
    const SOURCE: Option<&'static str> = Some("example/corner");

    fn register(&self, registry: &mut Registry<Store>) {
        registry.resource(Kept::<numbers::Numbers>::new()).resource(Kept::<unknowns::Place>::new());
        registry.resource(Kept::<nested::Nested>::new()).resource(Kept::<nested::Any>::new());
        registry.resource(Kept::<sets::Sets>::new()).resource(Kept::<secrets::Safe>::new());
        registry.resource(Kept::<lineage::Person>::new()).resource(Kept::<lineage::Boy>::new());
        registry.resource(failing::Jobs).data_source(lease::Look).ephemeral_resource(lease::Lease);
        registry.list_resource(streams::Persons).action(streams::Deed);
        registry.function(functions::Join).function(functions::Wrap).function(functions::Same);
    }

    async fn configure(&self, _ctx: &Context<Store>, config: Config) -> Result<Store, Diagnostics> {
        Ok(Store::new(config.directory.or_default()))
    }
}
