//! Queues of a message broker: the provider that the guide writes.

#[cfg(test)]
mod broker;
mod client;
mod queue;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use client::Client;
use tfplugin::{Attr, Context, Diagnostics, Model, Provider, Registry};

fn main() -> ExitCode {
    tfplugin::serve(Queues)
}

/// Where the broker is, and who asks.
#[derive(Model, Debug, Clone)]
pub struct Config {
    /// The address of the broker's API.
    #[attr(required)]
    endpoint: Attr<String>,
    /// The token to show there.
    #[attr(optional, sensitive)]
    token: Attr<String>,
}

pub struct Queues;

impl Provider for Queues {
    type Config = Config;
    type Shared = Client;
    const NAME: &'static str = "queues";
    const SOURCE: Option<&'static str> = Some("example/queues");

    fn register(&self, registry: &mut Registry<Client>) {
        registry.resource(queue::Queue);
    }

    async fn configure(&self, _: &Context<Client>, config: Config) -> Result<Client, Diagnostics> {
        Ok(Client::new(config.endpoint.into_known(), config.token.into_known())?)
    }
}
