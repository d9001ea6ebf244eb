//! How Kubernetes is reached: a kubeconfig, the pod's own account, or an
//! address with credentials.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{
    AuthInfo, Cluster, Context, ExecConfig, ExecInteractiveMode, KubeConfigOptions, Kubeconfig, NamedAuthInfo,
    NamedCluster, NamedContext,
};
use kube::{Client, Config};
use serde::{Deserialize, Serialize};

use crate::error::{KubeError, chain};

/// What the provider applies with.
pub const PROVIDER: &str = "falaj";
/// What the control plane applies with.
pub const SERVER: &str = "falaj-server";

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How a Kubernetes cluster is reached. Written down it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Access {
    /// A kubeconfig; without a path `KUBECONFIG` or `~/.kube/config`.
    Kubeconfig { path: Option<PathBuf>, context: Option<String> },
    /// As the pod that asks.
    InCluster,
    /// An address, whose certificate is signed by `ca_certificate` (PEM) or,
    /// without one, by an authority that the system trusts.
    Host { host: String, ca_certificate: Option<String>, credentials: Credentials },
}

/// What an API server is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Credentials {
    /// A program that prints credentials (`client.authentication.k8s.io`).
    Exec { api_version: String, command: String, args: Vec<String>, env: std::collections::BTreeMap<String, String> },
    #[serde(skip)]
    Token(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exec { command, args, .. } => {
                f.debug_struct("Exec").field("command", command).field("args", args).finish()
            }
            Self::Token(_) => f.write_str("Token"),
        }
    }
}

/// A connection to an API server, and who writes through it.
#[derive(Clone)]
pub struct Kube {
    pub(crate) client: Client,
    pub(crate) manager: &'static str,
    server: String,
}

impl std::fmt::Debug for Kube {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kube").field("server", &self.server).field("manager", &self.manager).finish()
    }
}

impl Access {
    /// What is meant, for an error.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Kubeconfig { path: Some(path), context: Some(context) } => {
                format!("the context {context:?} of {}", path.display())
            }
            Self::Kubeconfig { path: Some(path), context: None } => path.display().to_string(),
            Self::Kubeconfig { path: None, context: Some(context) } => {
                format!("the context {context:?} of the default kubeconfig")
            }
            Self::Kubeconfig { path: None, context: None } => "the default kubeconfig".to_owned(),
            Self::InCluster => "this pod's service account".to_owned(),
            Self::Host { host, .. } => host.clone(),
        }
    }

    async fn config(&self) -> Result<Config, KubeError> {
        let wrong = |error: &dyn std::error::Error| KubeError::Access { place: self.place(), reason: chain(error) };
        match self {
            Self::Kubeconfig { path, context } => {
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                match path {
                    Some(path) => {
                        let read = Kubeconfig::read_from(expand(path)).map_err(|error| wrong(&error))?;
                        Config::from_custom_kubeconfig(read, &options).await.map_err(|error| wrong(&error))
                    }
                    None => Config::from_kubeconfig(&options).await.map_err(|error| wrong(&error)),
                }
            }
            Self::InCluster => Config::incluster().map_err(|error| wrong(&error)),
            Self::Host { host, ca_certificate, credentials } => {
                let made = kubeconfig(host, ca_certificate.as_deref(), credentials);
                Config::from_custom_kubeconfig(made, &KubeConfigOptions::default()).await.map_err(|error| wrong(&error))
            }
        }
    }
}

/// A path as a user writes it, `~` at its beginning.
fn expand(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.to_owned(),
    }
}

fn kubeconfig(host: &str, ca_certificate: Option<&str>, credentials: &Credentials) -> Kubeconfig {
    let name = "falaj".to_owned();
    let auth_info = match credentials {
        Credentials::Token(token) => AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() },
        Credentials::Exec { api_version, command, args, env } => {
            let pair = |(name, value): (&String, &String)| {
                HashMap::from([("name".to_owned(), name.clone()), ("value".to_owned(), value.clone())])
            };
            let exec = ExecConfig {
                api_version: Some(api_version.clone()),
                command: Some(command.clone()),
                args: Some(args.clone()),
                env: Some(env.iter().map(pair).collect()),
                drop_env: None,
                install_hint: None,
                interactive_mode: Some(ExecInteractiveMode::Never),
                provide_cluster_info: false,
                cluster: None,
                other: Default::default(),
            };
            AuthInfo { exec: Some(exec), ..AuthInfo::default() }
        }
    };
    let cluster = Cluster {
        server: Some(host.to_owned()),
        certificate_authority_data: ca_certificate.map(base64),
        ..Cluster::default()
    };
    Kubeconfig {
        clusters: vec![NamedCluster { name: name.clone(), cluster: Some(cluster), ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo { name: name.clone(), auth_info: Some(auth_info), ..NamedAuthInfo::default() }],
        contexts: vec![NamedContext {
            name: name.clone(),
            context: Some(Context { cluster: name.clone(), user: Some(name.clone()), ..Context::default() }),
            ..NamedContext::default()
        }],
        current_context: Some(name),
        ..Kubeconfig::default()
    }
}

/// Bytes as a kubeconfig holds them.
fn base64(text: &str) -> String {
    let encoded = serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap_or_default();
    encoded.as_str().unwrap_or_default().to_owned()
}

impl Kube {
    /// Connects as the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// The kubeconfig, account or credentials cannot be used.
    pub async fn connect(access: &Access) -> Result<Self, KubeError> {
        Self::open(access, PROVIDER).await
    }

    /// Connects as the control plane, with its pod's own account.
    ///
    /// # Errors
    /// This is no pod, or its account has no token.
    pub async fn in_cluster() -> Result<Self, KubeError> {
        Self::open(&Access::InCluster, SERVER).await
    }

    async fn open(access: &Access, manager: &'static str) -> Result<Self, KubeError> {
        let mut config = access.config().await?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config)
            .map_err(|error| KubeError::Access { place: access.place(), reason: chain(&error) })?;
        Ok(Self { client, manager, server })
    }

    /// Address of the API server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The client itself, for watches.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}
