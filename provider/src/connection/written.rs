//! Connections as they are written: in the provider's configuration, or in the
//! environment.

use std::path::PathBuf;

use falaj_kube::Access;
use serde::Deserialize;
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model};

use crate::attributes::access::KubernetesConnectionModel;
use crate::attributes::want;
use crate::cluster::Target;

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
pub enum Remote {
    Address(Address),
    Kubernetes(Target),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    pub url: String,
    pub ca_file: PathBuf,
    pub client_cert_file: PathBuf,
    pub client_key_file: PathBuf,
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

    pub fn remote(&self, cluster: &str) -> Result<Remote, Diagnostic> {
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

impl Remote {
    /// What the environment says of a cluster.
    pub fn from_environment(cluster: &str) -> Result<Option<Self>, Diagnostic> {
        let variable = variable(cluster);
        let Ok(text) = std::env::var(&variable) else { return Ok(None) };
        Self::parse(cluster, &text).map(Some).map_err(|problem| {
            Diagnostic::error(format!("{variable} is not a connection")).detail(format!(
                "{problem}. Write a JSON object with url, ca_file, client_cert_file and client_key_file, or with kubernetes: an object with config_path, config_context and namespace, or in_cluster."
            ))
        })
    }

    fn parse(cluster: &str, text: &str) -> Result<Self, String> {
        let value: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if value.get("kubernetes").is_none() {
            return serde_json::from_value(value).map(Self::Address).map_err(|error| error.to_string());
        }
        let Variable { kubernetes } = serde_json::from_value(value).map_err(|error| error.to_string())?;
        let access = match (kubernetes.in_cluster, kubernetes.config_path, kubernetes.config_context) {
            (true, None, None) => Access::InCluster,
            (false, path, context) => Access::Kubeconfig { path, context },
            _ => return Err("in_cluster and a kubeconfig are two ways".to_owned()),
        };
        Ok(Self::Kubernetes(Target::new(access, kubernetes.namespace.unwrap_or_else(|| namespace(cluster)))))
    }
}

/// The environment variable that says how a cluster is reached.
pub fn variable(cluster: &str) -> String {
    format!("FALAJ_CONNECTION_{}", cluster.to_ascii_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use falaj_kube::Access;

    use super::{Remote, variable};

    #[test]
    fn the_variable_is_named_after_the_cluster() {
        assert_eq!(variable("credit-risk"), "FALAJ_CONNECTION_CREDIT_RISK");
    }

    #[test]
    fn the_environment_says_an_address_or_a_kubeconfig() {
        let address = r#"{"url": "https://f:4443", "ca_file": "a", "client_cert_file": "b", "client_key_file": "c"}"#;
        assert!(matches!(Remote::parse("retail", address), Ok(Remote::Address(_))));
        let Ok(Remote::Kubernetes(target)) = Remote::parse("retail", r#"{"kubernetes": {"config_context": "c"}}"#)
        else {
            panic!("a kubeconfig is a connection");
        };
        assert_eq!(target.namespace, "falaj-retail");
        assert_eq!(target.access, Access::Kubeconfig { path: None, context: Some("c".into()) });
        for wrong in
            ["{}", r#"{"url": "https://f"}"#, r#"{"kubernetes": {"in_cluster": true, "config_path": "/k"}}"#, "x"]
        {
            assert!(Remote::parse("retail", wrong).is_err(), "{wrong}");
        }
    }
}
