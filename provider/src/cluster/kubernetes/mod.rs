//! A cluster whose control plane runs on Kubernetes: brought up with a
//! kubeconfig, reached through the API server, removed again.

mod remove;
mod target;
mod wait;

use std::time::{Duration, Instant};

use falaj_api::client::{Client, ClientError};
use falaj_api::local::{CA_FILE, CERT_FILE, KEY_FILE, SEED_FILE, Seed};
use falaj_kube::portforward::{self, Tunnel};
use falaj_kube::settings::{CONTROL_PORT, DATA, SEED, SERVER, SETTINGS_FILE, Settings, admin_secret};
use falaj_kube::{Cause, ControlPlane, Kube, KubeError, Untyped, labels};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Namespace, PersistentVolumeClaim, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

pub use target::Target;

use crate::connection::Connection;

const POLL: Duration = Duration::from_millis(500);
/// Set on the seed when everything else is about to be deleted.
const DELETING: &str = "falaj.dev/deleting";

/// A control plane on Kubernetes, whether it is there or not.
#[derive(Debug)]
pub struct KubernetesCluster {
    name: String,
    target: Target,
    kube: Kube,
}

/// What a namespace holds of a cluster.
#[derive(Debug)]
pub struct Found {
    pub seed: Seed,
    /// A destroy has begun.
    pub deleting: bool,
    /// A control plane has come to life.
    pub lived: bool,
}

/// Why a cluster on Kubernetes is not there.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    #[error(transparent)]
    Kube(#[from] KubeError),
    #[error("{0}")]
    Cause(Cause),
    #[error("the control plane was not ready within {seconds} s: {reason}")]
    Late { seconds: u64, reason: String },
    #[error(
        "{object} is there and does not belong to the cluster {cluster:?}: remove it, or give the cluster a namespace of its own"
    )]
    Foreign { object: String, cluster: String },
    #[error("the namespace {namespace} holds the cluster {found:?}; each cluster needs a namespace of its own")]
    Taken { namespace: String, found: String },
    #[error("{object} is not what the provider writes: {reason}")]
    Malformed { object: String, reason: String },
    #[error("{what} is not gone after {seconds} s: {reason}")]
    Held { what: String, seconds: u64, reason: String },
    #[error("the API server's tunnel has no port: {0}")]
    Tunnel(std::io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl KubernetesCluster {
    /// # Errors
    /// The kubeconfig, account or credentials cannot be used.
    pub async fn open(name: &str, target: Target) -> Result<Self, KubernetesError> {
        let kube = Kube::connect(&target.access).await?;
        Ok(Self { name: name.to_owned(), target, kube })
    }

    pub fn namespace(&self) -> &str {
        &self.target.namespace
    }

    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The API server's address.
    pub fn server(&self) -> &str {
        self.kube.server()
    }

    /// What tells this Kubernetes cluster from every other.
    pub async fn kubernetes_uid(&self) -> Result<String, KubernetesError> {
        let what = "Namespace kube-system".to_owned();
        let namespace: Option<Namespace> = self.kube.get(None, "kube-system").await?;
        namespace.and_then(|found| found.metadata.uid).ok_or(KubeError::NotFound { object: what }.into())
    }

    /// Where the API server answers, as pods see it.
    pub async fn api_server(&self) -> Result<Vec<(std::net::IpAddr, u16)>, KubernetesError> {
        let mut found = Vec::new();
        let service: Option<Service> = self.kube.get(Some("default"), "kubernetes").await?;
        let spec = service.and_then(|service| service.spec).unwrap_or_default();
        let port = |number: i32| u16::try_from(number).ok();
        for address in spec.cluster_ips.unwrap_or_default() {
            let ports = spec.ports.iter().flatten().filter_map(|each| port(each.port));
            found.extend(address.parse().ok().into_iter().flat_map(|ip| ports.clone().map(move |port| (ip, port))));
        }
        let slices: Vec<EndpointSlice> =
            self.kube.list(Some("default"), "kubernetes.io/service-name=kubernetes").await?;
        for slice in slices {
            let ports: Vec<u16> = slice.ports.iter().flatten().filter_map(|each| each.port.and_then(port)).collect();
            let addresses = slice.endpoints.iter().flat_map(|endpoint| endpoint.addresses.iter());
            for ip in addresses.filter_map(|address| address.parse().ok()) {
                found.extend(ports.iter().map(|port| (ip, *port)));
            }
        }
        Ok(found)
    }

    /// The cluster in the namespace; `None` if there is none.
    pub async fn find(&self) -> Result<Option<Found>, KubernetesError> {
        let Some(secret) = self.kube.get::<Secret>(Some(self.namespace()), SEED).await? else { return Ok(None) };
        let object = format!("Secret {}/{SEED}", self.namespace());
        let bytes = secret.data.as_ref().and_then(|data| data.get(SEED_FILE)).map(|bytes| bytes.0.as_slice());
        let seed: Seed = serde_json::from_slice(bytes.unwrap_or_default())
            .map_err(|error| KubernetesError::Malformed { object, reason: error.to_string() })?;
        if seed.name != self.name {
            return Err(KubernetesError::Taken { namespace: self.namespace().to_owned(), found: seed.name });
        }
        let deleting = secret.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(DELETING));
        let lived = self.kube.get::<Secret>(Some(self.namespace()), &admin_secret(&self.name)).await?.is_some();
        Ok(Some(Found { seed, deleting, lived }))
    }

    /// The settings that the control plane was given.
    pub async fn settings(&self) -> Result<Settings, KubernetesError> {
        let object = format!("Secret {}/{SEED}", self.namespace());
        let secret: Option<Secret> = self.kube.get(Some(self.namespace()), SEED).await?;
        let data = secret.and_then(|secret| secret.data).unwrap_or_default();
        let bytes = data.get(SETTINGS_FILE).map(|bytes| bytes.0.as_slice()).unwrap_or_default();
        serde_json::from_slice(bytes).map_err(|error| KubernetesError::Malformed { object, reason: error.to_string() })
    }

    /// Whether the namespace holds neither control plane nor its volume.
    pub async fn is_gone(&self) -> Result<bool, KubernetesError> {
        let set = self.kube.get::<StatefulSet>(Some(self.namespace()), SERVER).await?;
        let claim = self.kube.get::<PersistentVolumeClaim>(Some(self.namespace()), DATA).await?;
        Ok(set.is_none() && claim.is_none())
    }

    /// The uid of a cluster of this name that was only begun here, and whether
    /// the namespace is Falaj's own: one that does not exist will be.
    pub async fn begun(&self) -> Result<(Option<String>, bool), KubernetesError> {
        let Some(namespace) = self.kube.get::<Namespace>(None, self.namespace()).await? else {
            return Ok((None, true));
        };
        let all = namespace.metadata.labels.unwrap_or_default();
        let uid = all.get(labels::CLUSTER_UID).cloned();
        let ours = uid.is_some() && all.get(labels::INSTANCE) == Some(&self.name);
        Ok((uid.filter(|_| ours), ours))
    }

    /// Lays down the seed, so that every later create is of the same cluster.
    /// Another run may have been faster: the seed returned is the one that holds.
    pub async fn plant(&self, plane: &ControlPlane) -> Result<Seed, KubernetesError> {
        if plane.owns_namespace {
            self.write(&plane.namespace_object()).await?;
        }
        let untyped = plane.seed_secret();
        let secret: Secret = untyped.object.try_parse().map_err(|error| KubernetesError::Malformed {
            object: format!("Secret {}/{SEED}", self.namespace()),
            reason: error.to_string(),
        })?;
        match self.kube.create(&secret).await {
            Ok(_) => Ok(plane.seed.clone()),
            Err(KubeError::Exists { .. }) => {
                let object = format!("Secret {}/{SEED}", self.namespace());
                self.find().await?.map(|found| found.seed).ok_or(KubeError::NotFound { object }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes every object as it is declared.
    pub async fn apply(&self, plane: &ControlPlane) -> Result<(), KubernetesError> {
        for object in plane.objects() {
            self.write(&object).await?;
        }
        Ok(())
    }

    /// Writes one object; what is there of its name must be Falaj's.
    async fn write(&self, object: &Untyped) -> Result<(), KubernetesError> {
        if let Some(found) = self.kube.get_untyped(object).await? {
            self.check_ours(object, found.metadata.labels.as_ref())?;
        }
        self.kube.apply_untyped(object, true).await?;
        Ok(())
    }

    fn check_ours(
        &self,
        object: &Untyped,
        found: Option<&std::collections::BTreeMap<String, String>>,
    ) -> Result<(), KubernetesError> {
        let is = |label: &str, value: &str| found.and_then(|all| all.get(label)).is_some_and(|found| found == value);
        if is(labels::MANAGED_BY, labels::FALAJ) && is(labels::INSTANCE, &self.name) {
            return Ok(());
        }
        // Somebody took a label away: what else is ours says so.
        let wanted = object.object.metadata.labels.as_ref();
        let uid = wanted.and_then(|all| all.get(labels::CLUSTER_UID));
        if uid.is_some_and(|uid| is(labels::CLUSTER_UID, uid)) || is(labels::INSTANCE, &self.name) {
            return Ok(());
        }
        Err(KubernetesError::Foreign { object: object.describe(), cluster: self.name.clone() })
    }

    /// What is not as it is declared, as `KIND NAME: fields`.
    pub async fn differences(&self, plane: &ControlPlane) -> Result<Vec<String>, KubernetesError> {
        Ok(self.kube.differences(&plane.objects()).await?)
    }

    /// A connection through the API server to a control plane that is ready.
    pub async fn connect(&self, until: Instant) -> Result<Connection, KubernetesError> {
        loop {
            match self.try_connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() + POLL > until => return Err(error),
                // A pod that was just replaced; a certificate that is just being written.
                Err(KubernetesError::Client(_) | KubernetesError::Kube(KubeError::NotFound { .. })) => {
                    tokio::time::sleep(POLL).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_connect(&self) -> Result<Connection, KubernetesError> {
        let name = admin_secret(&self.name);
        let object = format!("Secret {}/{name}", self.namespace());
        let secret: Secret = self
            .kube
            .get(Some(self.namespace()), &name)
            .await?
            .ok_or_else(|| KubeError::NotFound { object: object.clone() })?;
        let data = secret.data.unwrap_or_default();
        let file = |name: &str| {
            data.get(name).map(|bytes| bytes.0.as_slice()).ok_or_else(|| KubernetesError::Malformed {
                object: object.clone(),
                reason: format!("it has no {name}"),
            })
        };
        let target = portforward::Target {
            namespace: self.namespace().to_owned(),
            selector: labels::selector(&self.name, labels::COMPONENT_SERVER),
            port: CONTROL_PORT,
        };
        let tunnel = Tunnel::open(self.kube.clone(), target).await.map_err(KubernetesError::Tunnel)?;
        let url = format!("https://{}", tunnel.address());
        let client = Client::from_pem(&url, &object, file(CA_FILE)?, file(CERT_FILE)?, file(KEY_FILE)?)?;
        Ok(Connection::open(client).await?.through(tunnel))
    }
}
