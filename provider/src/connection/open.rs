//! Opening connections, and refusing those to something else than was meant.

use std::time::{Duration, Instant};

use falaj_api::client::Client;
use tfplugin::Diagnostic;

use super::Connection;
use super::written::{Address, variable};
use crate::cluster::{KubernetesCluster, Target};
use crate::errors::capital;

/// How long a control plane that is being replaced is waited for.
const KUBERNETES_START: Duration = Duration::from_secs(120);

pub async fn address(cluster: &str, address: &Address) -> Result<Connection, Diagnostic> {
    let client = Client::new(&address.url, &address.ca_file, &address.client_cert_file, &address.client_key_file);
    let opened = match client {
        Ok(client) => Connection::open(client).await,
        Err(error) => Err(error),
    };
    let connection = opened.map_err(|error| {
        unreachable(
            cluster,
            format!(
                "{}. Nothing is known of what it holds until it answers. Check its entry in the provider's `connections`, or {}",
                capital(&error.to_string()),
                variable(cluster)
            ),
        )
    })?;
    check(cluster, connection)
}

pub async fn kubernetes(cluster: &str, target: Target) -> Result<Connection, Diagnostic> {
    let namespace = target.namespace.clone();
    let until = Instant::now() + KUBERNETES_START;
    let opened = async {
        let found_at = KubernetesCluster::open(cluster, target).await?;
        let Some(found) = found_at.find().await? else { return Ok(Err(found_at.server().to_owned())) };
        if found.deleting {
            return Ok(Err(found_at.server().to_owned()));
        }
        found_at.wait_until_ready(until).await?;
        found_at.connect(until).await.map(Ok)
    };
    match opened.await {
        Ok(Ok(connection)) => check(cluster, connection),
        Ok(Err(server)) => Err(unreachable(
            cluster,
            format!(
                "The namespace {namespace} of the Kubernetes cluster at {server} does not hold it, or no more. Check the context of the kubeconfig, and the cluster's entry in the provider's `connections`, or {}. Nothing is taken for gone until the cluster says so",
                variable(cluster)
            ),
        )),
        Err(error) => {
            Err(unreachable(cluster, format!("{}. It is in the namespace {namespace}", capital(&error.to_string()))))
        }
    }
}

pub fn unreachable(cluster: &str, detail: String) -> Diagnostic {
    Diagnostic::error(format!("The cluster {cluster:?} cannot be reached")).detail(format!("{}.", capital(&detail)))
}

/// Refuses a runtime that is another cluster's, or too far from this release.
pub fn check(cluster: &str, connection: Connection) -> Result<Connection, Diagnostic> {
    let runtime = &connection.runtime;
    if runtime.cluster != cluster {
        return Err(Diagnostic::error(format!("Not the cluster {cluster:?}")).detail(format!(
            "The runtime at {} is the cluster {:?}. Correct the provider's `connections`, or {}.",
            connection.client.base(),
            runtime.cluster,
            variable(cluster)
        )));
    }
    let ours = falaj_api::version();
    if !speaks(ours, &runtime.version) {
        return Err(Diagnostic::error(format!("The cluster {cluster:?} runs another release")).detail(format!(
            "It runs {}, this provider is {ours}: they work together when they are at most one minor release apart. Use a provider in between, and let it upgrade the cluster (`runtime_version`).",
            runtime.version
        )));
    }
    Ok(connection)
}

/// Major, minor and patch of a release.
pub fn release(version: &str) -> Option<(u64, u64, u64)> {
    let core = version.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|part| part.parse().ok());
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (Some(major), Some(minor), Some(patch), None) => Some((major, minor, patch)),
        _ => None,
    }
}

/// Whether a provider and a runtime of these releases understand each other.
fn speaks(provider: &str, runtime: &str) -> bool {
    match (release(provider), release(runtime)) {
        (Some(provider), Some(runtime)) => provider.0 == runtime.0 && provider.1.abs_diff(runtime.1) <= 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{release, speaks};

    #[test]
    fn releases_one_minor_apart_understand_each_other() {
        assert!(speaks("0.2.0", "0.1.9") && speaks("0.2.0", "0.3.1") && speaks("0.2.0", "0.2.7-rc.1"));
        assert!(!speaks("0.3.0", "0.1.0") && !speaks("1.0.0", "0.9.0") && !speaks("0.1.0", "latest"));
        assert!(release("0.10.0") > release("0.9.9"));
    }
}
