//! How the provider reaches a runtime, and the connections it has made.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use falaj_api::Call;
use falaj_api::client::{Client, ClientError};
use falaj_api::cluster::{GetRuntimeVersion, RuntimeVersion};
use falaj_api::local::SERVER_LOG;
use falaj_kube::Access;
use falaj_kube::portforward::Tunnel;
use serde::Deserialize;
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model};
use tokio::sync::Mutex;

use crate::attributes::access::KubernetesConnectionModel;
use crate::attributes::labels::Labels;
use crate::attributes::{ResidencyModel, want};
use crate::cluster::{KubernetesCluster, LocalCluster, Target};
use crate::errors::capital;
use crate::keys::Keys;

/// How long a control plane that is being replaced is waited for.
const KUBERNETES_START: Duration = Duration::from_secs(120);

/// How to reach a runtime that is not on this machine: at an address, or through Kubernetes.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct ConnectionModel {
    /// Where the cluster answers, such as `https://falaj.example.ae:4443`.
    #[attr(optional)]
    pub url: Attr<String>,
    /// File with the certificate (PEM) that the cluster's own is signed with.
    #[attr(optional)]
    pub ca_file: Attr<String>,
    /// File with the certificate (PEM) that the provider shows.
    #[attr(optional)]
    pub client_cert_file: Attr<String>,
    /// File with the private key (PEM) of `client_cert_file`.
    #[attr(optional)]
    pub client_key_file: Attr<String>,
    /// How the Kubernetes cluster is reached that the control plane runs on; in place of the other four.
    #[attr(optional)]
    pub kubernetes: Attr<KubernetesConnectionModel>,
}

/// A connection as it is written, each part of it known.
#[derive(Debug, Clone)]
enum Remote {
    Address(Address),
    Kubernetes(Target),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Address {
    url: String,
    ca_file: PathBuf,
    client_cert_file: PathBuf,
    client_key_file: PathBuf,
}

/// What `FALAJ_CONNECTION_<CLUSTER>` may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Variable {
    kubernetes: KubernetesVariable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KubernetesVariable {
    config_path: Option<PathBuf>,
    config_context: Option<String>,
    #[serde(default)]
    in_cluster: bool,
    namespace: Option<String>,
}

impl ConnectionModel {
    fn address(&self) -> [(&'static str, &Attr<String>); 4] {
        [
            ("url", &self.url),
            ("ca_file", &self.ca_file),
            ("client_cert_file", &self.client_cert_file),
            ("client_key_file", &self.client_key_file),
        ]
    }

    /// Holds what is written at `path` against itself; what is unknown passes.
    pub fn check(&self, path: &AttributePath) -> Diagnostics {
        let mut problems = Diagnostics::new();
        let written = self.address().iter().find(|(_, value)| !value.is_null()).map(|(name, _)| *name);
        match (&self.kubernetes, written) {
            (Attr::Null, _) => {
                for (name, _) in self.address().into_iter().filter(|(_, value)| value.is_null()) {
                    problems.error_at(
                        path.attribute(name),
                        "The connection is not complete",
                        format!("{name} is missing. Write url, ca_file, client_cert_file and client_key_file, or kubernetes in their place."),
                    );
                }
            }
            (_, Some(name)) => problems.error_at(
                path.attribute(name),
                "Two connections to one cluster",
                "Write either kubernetes, or url with its three files.",
            ),
            (kubernetes, None) => {
                if let Some(kubernetes) = kubernetes.known() {
                    problems.append(kubernetes.written().check(&path.attribute("kubernetes")));
                }
            }
        }
        problems
    }

    fn remote(&self, cluster: &str) -> Result<Remote, Diagnostic> {
        let path = AttributePath::root("connections").key(cluster);
        if let Some(kubernetes) = self.kubernetes.known() {
            let access = kubernetes.written().access(&path.attribute("kubernetes"))?;
            let namespace = kubernetes.namespace.known().cloned().unwrap_or_else(|| namespace(cluster));
            return Ok(Remote::Kubernetes(Target::new(access, namespace)));
        }
        let text = |name: &'static str, value: &Attr<String>| want(value, path.attribute(name)).cloned();
        Ok(Remote::Address(Address {
            url: text("url", &self.url)?,
            ca_file: text("ca_file", &self.ca_file)?.into(),
            client_cert_file: text("client_cert_file", &self.client_cert_file)?.into(),
            client_key_file: text("client_key_file", &self.client_key_file)?.into(),
        }))
    }
}

/// The namespace of a cluster that does not say another.
pub fn namespace(cluster: &str) -> String {
    format!("falaj-{cluster}")
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
    /// Where clusters declared in this run are on Kubernetes.
    targets: std::sync::Mutex<HashMap<String, Target>>,
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
            unreachable(
                cluster,
                format!("What was written down of it in {} cannot be read: {error}", data_dir.display()),
            )
        })
    }

    async fn open(&self, cluster: &str) -> Result<Connection, Diagnostic> {
        // The resource's own namespace goes before a guessed one.
        let learned = self.targets.lock().ok().and_then(|targets| targets.get(cluster).cloned());
        match (self.remote(cluster)?, learned) {
            (Some(Remote::Address(address)), _) => open_address(cluster, &address).await,
            (_, Some(target)) | (Some(Remote::Kubernetes(target)), None) => open_kubernetes(cluster, target).await,
            (None, None) => match self.target(cluster)? {
                Some(target) => open_kubernetes(cluster, target).await,
                None => self.open_local(cluster).await,
            },
        }
    }

    /// What the configuration or the environment says of a cluster elsewhere.
    fn remote(&self, cluster: &str) -> Result<Option<Remote>, Diagnostic> {
        if let Some(connection) = self.connections.known().and_then(|all| all.get(cluster)) {
            return connection.remote(cluster).map(Some);
        }
        let variable = variable(cluster);
        let Ok(text) = std::env::var(&variable) else { return Ok(None) };
        let wrong = |problem: String| {
            Diagnostic::error(format!("{variable} is not a connection")).detail(format!(
                "{problem}. Write a JSON object with url, ca_file, client_cert_file and client_key_file, or with kubernetes: an object with config_path, config_context and namespace, or in_cluster."
            ))
        };
        if !text.contains("\"kubernetes\"") {
            return serde_json::from_str(&text)
                .map(|address| Some(Remote::Address(address)))
                .map_err(|error| wrong(error.to_string()));
        }
        let Variable { kubernetes } = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let access = match (kubernetes.in_cluster, kubernetes.config_path, kubernetes.config_context) {
            (true, None, None) => Access::InCluster,
            (false, path, context) => Access::Kubeconfig { path, context },
            _ => return Err(wrong("in_cluster and a kubeconfig are two ways".to_owned())),
        };
        Ok(Some(Remote::Kubernetes(Target::new(access, kubernetes.namespace.unwrap_or_else(|| namespace(cluster))))))
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

async fn open_address(cluster: &str, address: &Address) -> Result<Connection, Diagnostic> {
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

async fn open_kubernetes(cluster: &str, target: Target) -> Result<Connection, Diagnostic> {
    let namespace = target.namespace.clone();
    let until = Instant::now() + KUBERNETES_START;
    let opened = async {
        let kubernetes = KubernetesCluster::open(cluster, target).await?;
        let Some(found) = kubernetes.find().await? else { return Ok(Err(kubernetes.server().to_owned())) };
        if found.deleting {
            return Ok(Err(kubernetes.server().to_owned()));
        }
        kubernetes.wait_until_ready(until).await?;
        kubernetes.connect(until).await.map(Ok)
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

fn unreachable(cluster: &str, detail: String) -> Diagnostic {
    Diagnostic::error(format!("The cluster {cluster:?} cannot be reached")).detail(format!("{detail}."))
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
