//! Where a cluster's control plane is on Kubernetes, and where that is written
//! down for later runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use falaj_kube::Access;
use serde::{Deserialize, Serialize};

use crate::cluster::runtime::{make_private_dir, write_whole};

/// Beside the data directories of local clusters, so that the names are one set.
const FILE: &str = "kubernetes.json";

/// A namespace of a Kubernetes cluster. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub access: Access,
    pub namespace: String,
}

impl Target {
    /// With paths that mean the same from every directory.
    pub fn new(access: Access, namespace: String) -> Self {
        let absolute = |path: PathBuf| match path.starts_with("~") {
            true => path,
            false => std::path::absolute(&path).unwrap_or(path),
        };
        let access = match access {
            Access::Kubeconfig { path, context } => Access::Kubeconfig { path: path.map(absolute), context },
            other => other,
        };
        Self { access, namespace }
    }

    /// What was written down of a cluster of this name; `None` if nothing was.
    pub fn read(data_dir: &Path, cluster: &str) -> io::Result<Option<Self>> {
        match fs::read(data_dir.join(cluster).join(FILE)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes it down for later runs of this user.
    pub fn write(&self, data_dir: &Path, cluster: &str) -> io::Result<()> {
        if Self::read(data_dir, cluster).ok().flatten().as_ref() == Some(self) {
            return Ok(());
        }
        let dir = data_dir.join(cluster);
        make_private_dir(&dir)?;
        write_whole(&dir.join(FILE), &serde_json::to_vec_pretty(self)?)
    }

    /// Forgets what was written down.
    pub fn forget(data_dir: &Path, cluster: &str) {
        let dir = data_dir.join(cluster);
        let _ = fs::remove_file(dir.join(FILE));
        // Left where something else lies in it.
        let _ = fs::remove_dir(dir);
    }
}

#[cfg(test)]
mod tests {
    use falaj_kube::Access;

    use super::Target;

    #[test]
    fn a_target_is_written_down_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let access = Access::Kubeconfig { path: Some("config".into()), context: None };
        let target = Target::new(access, "falaj-retail".into());
        assert!(matches!(&target.access, Access::Kubeconfig { path: Some(path), .. } if path.is_absolute()));
        assert_eq!(Target::read(dir.path(), "retail").unwrap(), None);
        target.write(dir.path(), "retail").unwrap();
        assert_eq!(Target::read(dir.path(), "retail").unwrap(), Some(target));
        Target::forget(dir.path(), "retail");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
