//! How a Kubernetes cluster is reached, as a user writes it: the words are those
//! of the provider `hashicorp/kubernetes`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use falaj_kube::{Access, Credentials};
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model};

use super::{kubernetes_rules, want};

/// A program that prints credentials for an API server.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct ExecModel {
    /// Version of what it prints, such as `client.authentication.k8s.io/v1`.
    #[attr(required)]
    pub api_version: Attr<String>,
    /// Program, such as `aws`.
    #[attr(required)]
    pub command: Attr<String>,
    /// Its arguments.
    #[attr(optional)]
    pub args: Attr<Vec<String>>,
    /// Variables for it, besides the provider's own.
    #[attr(optional)]
    pub env: Attr<BTreeMap<String, String>>,
}

/// How one cluster is reached from this run alone.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct KubernetesConnectionModel {
    /// Kubeconfig. Unset, with everything else that says how: the variable `KUBECONFIG`, else `~/.kube/config`.
    #[attr(optional)]
    pub config_path: Attr<String>,
    /// Context of the kubeconfig. Unset: its current one.
    #[attr(optional)]
    pub config_context: Attr<String>,
    /// Uses the account of the pod that Terraform runs in.
    #[attr(optional)]
    pub in_cluster: Attr<bool>,
    /// Address of the API server, such as `https://10.0.0.1:6443`.
    #[attr(optional, validate = [kubernetes_rules::host()])]
    pub host: Attr<String>,
    /// Certificates (PEM) that the API server's own is signed with. Unset: those that the system trusts.
    #[attr(optional, validate = [kubernetes_rules::certificate()])]
    pub cluster_ca_certificate: Attr<String>,
    /// Token for `host`.
    #[attr(optional, sensitive)]
    pub token: Attr<String>,
    /// Program that prints credentials for `host`.
    #[attr(optional)]
    pub exec: Attr<ExecModel>,
    /// Namespace of the control plane. Unset: `falaj-` and the cluster's name.
    #[attr(optional, validate = [kubernetes_rules::namespace()])]
    pub namespace: Attr<String>,
}

/// The attributes that say how, of either model.
pub struct Written<'a> {
    pub config_path: &'a Attr<String>,
    pub config_context: &'a Attr<String>,
    pub in_cluster: &'a Attr<bool>,
    pub host: &'a Attr<String>,
    pub cluster_ca_certificate: &'a Attr<String>,
    pub token: &'a Attr<String>,
    pub exec: &'a Attr<ExecModel>,
}

impl KubernetesConnectionModel {
    pub fn written(&self) -> Written<'_> {
        Written {
            config_path: &self.config_path,
            config_context: &self.config_context,
            in_cluster: &self.in_cluster,
            host: &self.host,
            cluster_ca_certificate: &self.cluster_ca_certificate,
            token: &self.token,
            exec: &self.exec,
        }
    }
}

impl Written<'_> {
    /// Holds what is written at `path` against itself; what is unknown passes.
    pub fn check(&self, path: &AttributePath) -> Diagnostics {
        let mut problems = Diagnostics::new();
        let in_cluster = self.in_cluster.known() == Some(&true);
        let kubeconfig = !self.config_path.is_null() || !self.config_context.is_null();
        let ways: Vec<&str> = [("config_path", kubeconfig), ("in_cluster", in_cluster), ("host", !self.host.is_null())]
            .into_iter()
            .filter_map(|(name, written)| written.then_some(name))
            .collect();
        if let [_, second, ..] = ways.as_slice() {
            problems.error_at(
                path.attribute((*second).to_owned()),
                "More than one way to Kubernetes",
                format!(
                    "Write one of config_path (with config_context), in_cluster and host; here are {}.",
                    ways.join(" and ")
                ),
            );
        }
        let credentials = [("exec", !self.exec.is_null()), ("token", !self.token.is_null())];
        let given: Vec<&str> = credentials.iter().filter_map(|(name, written)| written.then_some(*name)).collect();
        match (self.host.is_null(), given.as_slice()) {
            (true, [first, ..]) => problems.error_at(
                path.attribute((*first).to_owned()),
                "Credentials without an address",
                "They are for the API server at `host`: write its address too, or use a kubeconfig.",
            ),
            (true, []) if !self.cluster_ca_certificate.is_null() => problems.error_at(
                path.attribute("cluster_ca_certificate"),
                "A certificate without an address",
                "It is for the API server at `host`: write its address too, or use a kubeconfig.",
            ),
            (false, []) => problems.error_at(
                path.attribute("host"),
                "An address without credentials",
                "Say with `exec` which program prints credentials for it, or use a kubeconfig. A token goes into the provider's `connections`, which no state keeps.",
            ),
            (false, [_, second, ..]) => problems.error_at(
                path.attribute((*second).to_owned()),
                "Two kinds of credentials",
                "Write either exec or token.",
            ),
            _ => {}
        }
        problems
    }

    /// How Kubernetes is reached; every part must be known.
    pub fn access(&self, path: &AttributePath) -> Result<Access, Diagnostic> {
        if self.in_cluster.known() == Some(&true) {
            return Ok(Access::InCluster);
        }
        if self.host.is_null() {
            let config = |attribute: &Attr<String>, name: &'static str| match attribute {
                Attr::Null => Ok(None),
                other => want(other, path.attribute(name)).map(|text| Some(text.clone())),
            };
            return Ok(Access::Kubeconfig {
                path: config(self.config_path, "config_path")?.map(PathBuf::from),
                context: config(self.config_context, "config_context")?,
            });
        }
        let credentials = match (self.token, self.exec) {
            (Attr::Null, exec) => {
                let at = path.attribute("exec");
                let exec = want(exec, at.clone())?;
                Credentials::Exec {
                    api_version: want(&exec.api_version, at.attribute("api_version"))?.clone(),
                    command: want(&exec.command, at.attribute("command"))?.clone(),
                    args: exec.args.clone().or_default(),
                    env: exec.env.clone().or_default(),
                }
            }
            (token, _) => Credentials::Token(want(token, path.attribute("token"))?.clone()),
        };
        Ok(Access::Host {
            host: want(self.host, path.attribute("host"))?.clone(),
            ca_certificate: self.cluster_ca_certificate.known().cloned(),
            credentials,
        })
    }
}
