//! How the provider reaches a runtime, and the connections it has made.

mod open;
mod written;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use falaj_api::Call;
use falaj_api::client::{Client, ClientError};
use falaj_api::cluster::{GetRuntimeVersion, RuntimeVersion};
use falaj_api::local::SERVER_LOG;
use falaj_kube::portforward::Tunnel;
use tfplugin::{Attr, Diagnostic};
use tokio::sync::Mutex;

use crate::attributes::ResidencyModel;
use crate::attributes::labels::Labels;
use crate::cluster::{LocalCluster, Target};
use crate::errors::capital;
use crate::keys::Keys;

pub use open::release;
pub use written::{ConnectionModel, namespace};
use written::{Remote, variable};

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
    /// Where clusters declared in this run are on Kubernetes.
    targets: std::sync::Mutex<HashMap<String, Target>>,
    /// Why clusters do not answer that the next apply repairs.
    broken: std::sync::Mutex<HashMap<String, String>>,
}

type Slot = Arc<Mutex<Option<Arc<Connection>>>>;

/// A runtime that has answered.
#[derive(Debug)]
pub struct Connection {
    pub client: Client,
    pub runtime: RuntimeVersion,
    /// What the client's address leads through; it ends with the connection.
    _tunnel: Option<Tunnel>,
}

impl Connection {
    /// Makes a call.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Response, ClientError> {
        self.client.call(call).await
    }

    /// Asks a client's runtime what it is.
    pub async fn open(client: Client) -> Result<Self, ClientError> {
        let runtime = client.call(&GetRuntimeVersion {}).await?;
        Ok(Self { client, runtime, _tunnel: None })
    }

    /// The same, whose client reaches the runtime through a tunnel.
    pub fn through(self, tunnel: Tunnel) -> Self {
        Self { _tunnel: Some(tunnel), ..self }
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
            targets: std::sync::Mutex::default(),
            broken: std::sync::Mutex::default(),
        }
    }

    /// The runtime of a cluster. A local one that is down is started.
    pub async fn connect(&self, cluster: &str) -> Result<Arc<Connection>, Diagnostic> {
        if let Some(reason) = self.broken(cluster) {
            return Err(open::unreachable(cluster, reason));
        }
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

    /// Remembers for this run that a cluster cannot answer before an apply has
    /// repaired it; `None`: it is repaired.
    pub fn set_broken(&self, cluster: &str, reason: Option<String>) {
        if let Ok(mut broken) = self.broken.lock() {
            match reason {
                Some(reason) => broken.insert(cluster.to_owned(), reason),
                None => broken.remove(cluster),
            };
        }
    }

    /// Why a cluster cannot answer before an apply has repaired it.
    pub fn broken(&self, cluster: &str) -> Option<String> {
        self.broken.lock().ok()?.get(cluster).cloned()
    }

    /// Remembers where a cluster is that a configuration or state declares on
    /// Kubernetes. What `connections` or the environment say of how Kubernetes is
    /// reached goes before.
    pub fn learn_target(&self, cluster: &str, target: Target) -> Result<Target, Diagnostic> {
        let target = match self.remote(cluster)? {
            Some(Remote::Kubernetes(other)) => Target::new(other.access, target.namespace),
            _ => target,
        };
        if let Ok(mut targets) = self.targets.lock() {
            targets.insert(cluster.to_owned(), target.clone());
        }
        Ok(target)
    }

    /// Writes down for later runs of this user where a cluster is.
    pub fn write_target(&self, cluster: &str, target: &Target) {
        if let Attr::Known(data_dir) = &self.data_dir
            && let Err(error) = target.write(data_dir, cluster)
        {
            tracing::warn!(cluster, %error, "how the cluster is reached could not be written down");
        }
    }

    /// Forgets where a cluster was.
    pub fn forget_target(&self, cluster: &str) {
        if let Ok(mut targets) = self.targets.lock() {
            targets.remove(cluster);
        }
        if let Attr::Known(data_dir) = &self.data_dir {
            Target::forget(data_dir, cluster);
        }
    }

    /// Where a cluster is on Kubernetes, if it is known to be there.
    pub fn target(&self, cluster: &str) -> Result<Option<Target>, Diagnostic> {
        if let Some(remote) = self.remote(cluster)? {
            return Ok(match remote {
                Remote::Kubernetes(target) => Some(target),
                Remote::Address(_) => None,
            });
        }
        if let Some(target) = self.targets.lock().ok().and_then(|targets| targets.get(cluster).cloned()) {
            return Ok(Some(target));
        }
        let Attr::Known(data_dir) = &self.data_dir else { return Ok(None) };
        Target::read(data_dir, cluster).map_err(|error| {
            open::unreachable(
                cluster,
                format!("What was written down of it in {} cannot be read: {error}", data_dir.display()),
            )
        })
    }

    async fn open(&self, cluster: &str) -> Result<Connection, Diagnostic> {
        // The resource's own namespace goes before a guessed one.
        let learned = self.targets.lock().ok().and_then(|targets| targets.get(cluster).cloned());
        match (self.remote(cluster)?, learned) {
            (Some(Remote::Address(address)), _) => open::address(cluster, &address).await,
            (_, Some(target)) | (Some(Remote::Kubernetes(target)), None) => open::kubernetes(cluster, target).await,
            (None, None) => match self.target(cluster)? {
                Some(target) => open::kubernetes(cluster, target).await,
                None => self.open_local(cluster).await,
            },
        }
    }

    /// What the configuration or the environment says of a cluster elsewhere.
    fn remote(&self, cluster: &str) -> Result<Option<Remote>, Diagnostic> {
        if let Some(connection) = self.connections.known().and_then(|all| all.get(cluster)) {
            return connection.remote(cluster).map(Some);
        }
        Remote::from_environment(cluster)
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
        open::check(cluster, connection)
    }
}
