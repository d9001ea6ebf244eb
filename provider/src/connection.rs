//! How the provider reaches a runtime, and the connections it has made.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use falaj_api::Call;
use falaj_api::client::{Client, ClientError};
use falaj_api::cluster::{GetRuntimeVersion, RuntimeVersion};
use falaj_api::local::SERVER_LOG;
use tfplugin::{Attr, Diagnostic, Model};
use tokio::sync::Mutex;

use crate::attributes::ResidencyModel;
use crate::attributes::labels::Labels;
use crate::cluster::LocalCluster;
use crate::errors::capital;
use crate::keys::Keys;

/// How to reach a runtime that is not on this machine.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct ConnectionModel {
    /// Where the cluster answers, such as `https://falaj.example.ae:4443`.
    #[attr(required)]
    pub url: Attr<String>,
    /// File with the certificate (PEM) that the cluster's own is signed with.
    #[attr(required)]
    pub ca_file: Attr<String>,
    /// File with the certificate (PEM) that the provider shows.
    #[attr(required)]
    pub client_cert_file: Attr<String>,
    /// File with the private key (PEM) of `client_cert_file`.
    #[attr(required)]
    pub client_key_file: Attr<String>,
}

/// What the provider's configuration makes.
pub struct Shared {
    pub residency: Attr<ResidencyModel>,
    pub allow_no_residency: bool,
    pub labels: Attr<Labels>,
    pub connections: Attr<BTreeMap<String, ConnectionModel>>,
    pub data_dir: Attr<PathBuf>,
    /// What the keys are that objects inherit.
    pub keys: Keys,
    pool: Mutex<HashMap<String, Slot>>,
}

type Slot = Arc<Mutex<Option<Arc<Connection>>>>;

/// A runtime that has answered.
#[derive(Debug)]
pub struct Connection {
    pub client: Client,
    pub runtime: RuntimeVersion,
}

impl Connection {
    /// Makes a call.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Response, ClientError> {
        self.client.call(call).await
    }

    /// Asks a client's runtime what it is.
    pub async fn open(client: Client) -> Result<Self, ClientError> {
        let runtime = client.call(&GetRuntimeVersion {}).await?;
        Ok(Self { client, runtime })
    }
}

impl Shared {
    pub fn new(
        residency: Attr<ResidencyModel>,
        allow_no_residency: bool,
        labels: Attr<Labels>,
        connections: Attr<BTreeMap<String, ConnectionModel>>,
        data_dir: Attr<PathBuf>,
    ) -> Self {
        Self {
            residency,
            allow_no_residency,
            labels,
            connections,
            data_dir,
            keys: Keys::default(),
            pool: Mutex::default(),
        }
    }

    /// The runtime of a cluster. A local one that is down is started.
    pub async fn connect(&self, cluster: &str) -> Result<Arc<Connection>, Diagnostic> {
        let slot = self.slot(cluster).await;
        let mut connection = slot.lock().await;
        if let Some(connection) = connection.as_ref() {
            return Ok(Arc::clone(connection));
        }
        let made = Arc::new(self.open(cluster).await?);
        Ok(Arc::clone(connection.insert(made)))
    }

    /// Makes a call, and where no answer comes once more over a new connection:
    /// for calls that can be repeated, such as the four that every kind of
    /// object has. A runtime that was killed is back by then.
    pub async fn call<C: Call>(&self, connection: &Connection, call: &C) -> Result<C::Response, ClientError> {
        match connection.call(call).await {
            Err(error @ ClientError::Unreachable { .. }) => self.again(connection, error).await?.call(call).await,
            answered => answered,
        }
    }

    /// Uploads bytes, in the same way.
    pub async fn upload(
        &self,
        connection: &Connection,
        workspace: &str,
        digest: &str,
        bytes: &[u8],
    ) -> Result<(), ClientError> {
        match connection.client.upload(workspace, digest, bytes.to_vec()).await {
            Err(error @ ClientError::Unreachable { .. }) => {
                self.again(connection, error).await?.client.upload(workspace, digest, bytes.to_vec()).await
            }
            answered => answered,
        }
    }

    /// A new connection to the same cluster in the place of one that failed.
    async fn again(&self, connection: &Connection, failed: ClientError) -> Result<Arc<Connection>, ClientError> {
        let cluster = &connection.runtime.cluster;
        tracing::info!(cluster, %failed, "trying again over a new connection");
        self.forget(cluster).await;
        match self.connect(cluster).await {
            Ok(again) if again.runtime.cluster_uid == connection.runtime.cluster_uid => Ok(again),
            _ => Err(failed),
        }
    }

    /// Forgets the connection to a cluster, so that the next one is made anew.
    pub async fn forget(&self, cluster: &str) {
        let slot = self.slot(cluster).await;
        slot.lock().await.take();
    }

    /// The cluster of this name on this machine, whether it is there or not.
    pub fn local(&self, cluster: &str) -> Result<LocalCluster, Diagnostic> {
        match &self.data_dir {
            Attr::Known(data_dir) => Ok(LocalCluster::new(data_dir, cluster)),
            _ => Err(Diagnostic::error("The data directory is not known yet")
                .detail("The provider's data_dir depends on something that is not applied yet: give it a value that is known from the start.")),
        }
    }

    async fn slot(&self, cluster: &str) -> Slot {
        Arc::clone(self.pool.lock().await.entry(cluster.to_owned()).or_default())
    }

    async fn open(&self, cluster: &str) -> Result<Connection, Diagnostic> {
        let Some(remote) = self.remote(cluster)? else { return self.open_local(cluster).await };
        let text = |attribute: &Attr<String>| attribute.clone().or_default();
        let path = |attribute: &Attr<String>| PathBuf::from(text(attribute));
        let client = Client::new(
            &text(&remote.url),
            &path(&remote.ca_file),
            &path(&remote.client_cert_file),
            &path(&remote.client_key_file),
        );
        let opened = match client {
            Ok(client) => Connection::open(client).await,
            Err(error) => Err(error),
        };
        let connection = opened.map_err(|error| {
            Diagnostic::error(format!("The cluster {cluster:?} cannot be reached")).detail(format!(
                "{}. Nothing is known of what it holds until it answers. Check its entry in the provider's `connections`, or {}.",
                capital(&error.to_string()),
                variable(cluster)
            ))
        })?;
        check(cluster, connection)
    }

    /// What the configuration or the environment says of a cluster elsewhere.
    fn remote(&self, cluster: &str) -> Result<Option<ConnectionModel>, Diagnostic> {
        if let Some(connection) = self.connections.known().and_then(|all| all.get(cluster)) {
            return Ok(Some(connection.clone()));
        }
        let variable = variable(cluster);
        let Ok(text) = std::env::var(&variable) else { return Ok(None) };
        let wrong = |problem: String| {
            Diagnostic::error(format!("{variable} is not a connection")).detail(format!(
                "{problem}. Write a JSON object with url, ca_file, client_cert_file and client_key_file."
            ))
        };
        let fields: BTreeMap<String, String> = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let field =
            |name: &str| fields.get(name).cloned().map(Attr::Known).ok_or_else(|| wrong(format!("{name} is missing")));
        Ok(Some(ConnectionModel {
            url: field("url")?,
            ca_file: field("ca_file")?,
            client_cert_file: field("client_cert_file")?,
            client_key_file: field("client_key_file")?,
        }))
    }

    async fn open_local(&self, cluster: &str) -> Result<Connection, Diagnostic> {
        let local = self.local(cluster)?;
        let failed = |problem: String| {
            Diagnostic::error(format!("The cluster {cluster:?} cannot be reached")).detail(format!("{problem}."))
        };
        if local.seed().map_err(|error| failed(error.to_string()))?.is_none() {
            return Err(failed(format!(
                "It is not on this machine: there is no {}. Run this where the cluster lives, point the provider's data_dir (or FALAJ_DATA_DIR) at its data, or say how it is reached in the provider's `connections` or in {}. Nothing is taken for gone until the cluster says so",
                local.dir().display(),
                variable(cluster)
            )));
        }
        let connection = local.ensure_running().await.map_err(|error| {
            let log = local.dir().join(SERVER_LOG);
            let log = if local.has_lived() { format!(". Its log is {}", log.display()) } else { String::new() };
            failed(format!("{}{log}", capital(&error.to_string())))
        })?;
        check(cluster, connection)
    }
}

/// The environment variable that says how a cluster is reached.
fn variable(cluster: &str) -> String {
    format!("FALAJ_CONNECTION_{}", cluster.to_ascii_uppercase().replace('-', "_"))
}

/// Refuses a runtime that is another cluster's, or too far from this release.
fn check(cluster: &str, connection: Connection) -> Result<Connection, Diagnostic> {
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
    use super::{release, speaks, variable};

    #[test]
    fn releases_one_minor_apart_understand_each_other() {
        assert!(speaks("0.2.0", "0.1.9") && speaks("0.2.0", "0.3.1") && speaks("0.2.0", "0.2.7-rc.1"));
        assert!(!speaks("0.3.0", "0.1.0") && !speaks("1.0.0", "0.9.0") && !speaks("0.1.0", "latest"));
        assert!(release("0.10.0") > release("0.9.9"));
    }

    #[test]
    fn the_variable_is_named_after_the_cluster() {
        assert_eq!(variable("credit-risk"), "FALAJ_CONNECTION_CREDIT_RISK");
    }
}
