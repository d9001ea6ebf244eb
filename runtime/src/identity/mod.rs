//! Who is calling: certificates made at provisioning, read back as principals.

mod authority;
mod tls;

pub use authority::{Authority, Leaf};
pub use tls::Acceptor;

use std::fmt;

/// The holder of a client certificate, from its one URI name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// `spiffe://<cluster uid>/role/platform`: may do everything.
    Platform,
    /// `spiffe://<cluster uid>/workspace/<workspace>/invoker/<application>`:
    /// may call the endpoints that name it, and nothing else.
    Invoker { workspace: String, application: String },
    /// `spiffe://<cluster uid>/workspace/<workspace>/replica/<endpoint>`: a pod
    /// that serves this endpoint; hears from the server what to serve.
    Replica { workspace: String, endpoint: String },
    /// `spiffe://<cluster uid>/operation/<id>/attempt/<number>`: a pod that
    /// does this attempt of a training run.
    Trainer { operation: String, attempt: i64 },
}

impl Principal {
    /// The URI of the certificate, in the trust domain of a cluster.
    #[must_use]
    pub fn uri(&self, cluster_uid: &str) -> String {
        match self {
            Self::Platform => format!("spiffe://{cluster_uid}/role/platform"),
            Self::Invoker { workspace, application } => {
                format!("spiffe://{cluster_uid}/workspace/{workspace}/invoker/{application}")
            }
            Self::Replica { workspace, endpoint } => {
                format!("spiffe://{cluster_uid}/workspace/{workspace}/replica/{endpoint}")
            }
            Self::Trainer { operation, attempt } => {
                format!("spiffe://{cluster_uid}/operation/{operation}/attempt/{attempt}")
            }
        }
    }

    /// Reads a URI of the cluster's own trust domain.
    #[must_use]
    pub fn from_uri(uri: &str, cluster_uid: &str) -> Option<Self> {
        let path = uri.strip_prefix("spiffe://")?.strip_prefix(cluster_uid)?.strip_prefix('/')?;
        match path.split('/').collect::<Vec<_>>().as_slice() {
            ["role", "platform"] => Some(Self::Platform),
            ["workspace", workspace, "invoker", application] => {
                Some(Self::Invoker { workspace: (*workspace).to_owned(), application: (*application).to_owned() })
            }
            ["workspace", workspace, "replica", endpoint] => {
                Some(Self::Replica { workspace: (*workspace).to_owned(), endpoint: (*endpoint).to_owned() })
            }
            ["operation", operation, "attempt", attempt] => {
                Some(Self::Trainer { operation: (*operation).to_owned(), attempt: attempt.parse().ok()? })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => f.write_str("role:platform"),
            Self::Invoker { workspace, application } => write!(f, "invoker:{workspace}/{application}"),
            Self::Replica { workspace, endpoint } => write!(f, "replica:{workspace}/{endpoint}"),
            Self::Trainer { operation, attempt } => write!(f, "trainer:{operation}/{attempt}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Principal;

    #[test]
    fn a_principal_reads_back_from_its_uri_only_in_its_own_cluster() {
        let invoker = Principal::Invoker { workspace: "people".into(), application: "employed".into() };
        let replica = Principal::Replica { workspace: "people".into(), endpoint: "employed".into() };
        let trainer = Principal::Trainer { operation: "018f".into(), attempt: 2 };
        for principal in [Principal::Platform, invoker, replica, trainer] {
            let uri = principal.uri("u1");
            assert_eq!(Principal::from_uri(&uri, "u1"), Some(principal));
            assert_eq!(Principal::from_uri(&uri, "u2"), None);
        }
        assert_eq!(Principal::from_uri("spiffe://u1/role/platform/x", "u1"), None);
    }
}
