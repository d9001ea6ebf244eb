//! The control plane as a pod: what it takes from Kubernetes at start, and the
//! certificate it leaves there for the provider.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use falaj_api::{
    local::{ADMIN_DIR, CA_FILE, CERT_FILE, KEY_FILE, SEED_FILE, Seed},
    residency::ResidencyError,
};
use falaj_kube::{
    Kube, Settings, labels,
    settings::{self, CONTROL_PORT, KEY_DIR, KEY_MOUNT, MOUNT, NODE_NAME, SERVER, SETTINGS_FILE, admin_secret},
    workload::Site,
};
use k8s_openapi::{
    ByteString,
    api::core::v1::{Node, Secret, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    data_dir::{DataDir, private_dir, write_private},
    placement::{Placement, Pods},
};

/// The Kubernetes cluster that this control plane is a pod of.
pub struct InCluster {
    pub kube: Kube,
    pub settings: Settings,
    seed: Seed,
    /// Names and addresses at which pods reach this control plane.
    places: Vec<String>,
}

impl InCluster {
    /// Reads what the provider left, makes the data directory, and holds the
    /// node that this pod is on against the residency rule.
    ///
    /// # Errors
    /// Something is missing, or the node is outside of the rule.
    pub async fn prepare(data_dir: &Path) -> Result<Self> {
        let mount = Path::new(MOUNT);
        let seed: Seed = read(&mount.join(SEED_FILE))?;
        let settings: Settings = read(&mount.join(SETTINGS_FILE))?;
        private_dir(data_dir).with_context(|| format!("the data directory {}", data_dir.display()))?;
        copy_keys(Path::new(KEY_MOUNT), Path::new(KEY_DIR))?;
        let kube = Kube::in_cluster().await?;
        check_node(&kube, &seed, &settings).await?;
        let service: Service = kube
            .get(Some(&settings.namespace), SERVER)
            .await?
            .with_context(|| format!("there is no Service {}/{SERVER}", settings.namespace))?;
        let addresses = service.spec.and_then(|spec| spec.cluster_ips).unwrap_or_default();
        let mut places: Vec<String> = addresses.into_iter().filter(|address| address != "None").collect();
        let name = format!("{SERVER}.{}.svc", settings.namespace);
        places.extend([format!("{name}.cluster.local"), name, format!("{SERVER}.{}", settings.namespace)]);
        Ok(Self { kube, settings, seed, places })
    }

    /// Lays the seed down where a local cluster has it. Once a control plane has
    /// lived there, it stays what the cluster began with.
    ///
    /// # Errors
    /// Another cluster lives in the data directory.
    pub fn plant(&self, data: &DataDir) -> Result<Seed> {
        let path = data.root().join(SEED_FILE);
        let lived = path.exists() && data.root().join(ADMIN_DIR).exists();
        if !lived {
            write_private(&path, &serde_json::to_vec_pretty(&self.seed)?)?;
        }
        let planted = data.seed()?;
        if planted.uid != self.seed.uid {
            bail!(
                "the volume holds the cluster {:?} with the uid {}, but this is to be {:?} with the uid {}: give this one a volume of its own",
                planted.name,
                planted.uid,
                self.seed.name,
                self.seed.uid
            );
        }
        Ok(planted)
    }

    /// What stands for the machine of a local cluster.
    #[must_use]
    pub fn machine_id(&self) -> &str {
        &self.settings.kubernetes_uid
    }

    /// Names and addresses for the control plane's certificate.
    #[must_use]
    pub fn places(&self) -> &[String] {
        &self.places
    }

    /// Where pods reach the control plane, `HOST:PORT`: by its address, which
    /// needs no name service.
    #[must_use]
    pub fn control_address(&self) -> String {
        let host = self.places.first().map_or(SERVER, String::as_str);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{host}:{CONTROL_PORT}")
    }

    /// Pods on the nodes of the cluster's region, in its own image.
    #[must_use]
    pub fn placement(&self) -> Placement {
        let regions = &self.settings.node_regions;
        let region = regions.value(&self.seed.spec.region);
        let nodes = self.seed.spec.residency.as_ref().map(|_| (regions.label.clone(), vec![region]));
        let site = Site {
            cluster: self.seed.name.clone(),
            namespace: self.settings.namespace.clone(),
            image: self.settings.image.clone(),
            image_pull_secrets: self.settings.image_pull_secrets.clone(),
            service_account: self.settings.workload_service_account.clone(),
            control: self.control_address(),
            nodes: nodes.into_iter().collect(),
        };
        Placement::Pods(Box::new(Pods { kube: self.kube.clone(), site }))
    }

    /// Writes the platform's certificate where the provider finds it.
    ///
    /// # Errors
    /// Kubernetes refuses.
    pub async fn publish_admin(&self, ca_pem: &str, certificate_pem: &str, key_pem: &str) -> Result<()> {
        let mut wanted = labels::of(&self.seed.name, labels::COMPONENT_SERVER);
        wanted.insert(labels::CLUSTER_UID.to_owned(), self.seed.uid.clone());
        let data: BTreeMap<String, ByteString> = [(CA_FILE, ca_pem), (CERT_FILE, certificate_pem), (KEY_FILE, key_pem)]
            .map(|(name, text)| (name.to_owned(), ByteString(text.as_bytes().to_vec())))
            .into();
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(admin_secret(&self.seed.name)),
                namespace: Some(self.settings.namespace.clone()),
                labels: Some(wanted),
                ..ObjectMeta::default()
            },
            data: Some(data),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        self.kube.take(&secret).await?;
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not what the provider writes", path.display()))
}

/// Copies the mounted keys to memory, with the mode that a key file must have:
/// a mounted Secret belongs to root and is read by its group.
fn copy_keys(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        // Beside the keys lie the directories by which Kubernetes swaps them at once.
        if entry.file_name().as_encoded_bytes().starts_with(b"..") {
            continue;
        }
        let target: PathBuf = to.join(entry.file_name());
        let key = zeroize::Zeroizing::new(fs::read(entry.path())?);
        write_private(&target, &key).with_context(|| format!("the key {}", target.display()))?;
    }
    Ok(())
}

/// A declared region is no proof: the node says where it is.
async fn check_node(kube: &Kube, seed: &Seed, settings: &settings::Settings) -> Result<()> {
    let Some(rule) = &seed.spec.residency else { return Ok(()) };
    let name = std::env::var(NODE_NAME).with_context(|| format!("{NODE_NAME} does not name the node of this pod"))?;
    let node: Node = kube.get(None, &name).await?.with_context(|| format!("there is no node {name}"))?;
    let region = &seed.spec.region;
    let place = settings
        .node_regions
        .place(&node.metadata.labels.unwrap_or_default(), [region])
        .map_err(|problem| anyhow::anyhow!("the node {name} is not known to be in {region}: {problem}"))?;
    rule.permits(&place).map_err(|error: ResidencyError| anyhow::anyhow!("the node {name}: {error}"))?;
    tracing::info!(node = name, region = %place.region, "the node is where the cluster is declared to be");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::copy_keys;

    #[test]
    fn mounted_keys_become_private_files() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(from.path().join("..data")).unwrap();
        std::fs::write(from.path().join("root"), [7; 32]).unwrap();
        std::fs::set_permissions(from.path().join("root"), std::fs::Permissions::from_mode(0o440)).unwrap();
        copy_keys(from.path(), to.path()).unwrap();
        let copied = to.path().join("root");
        assert_eq!(std::fs::metadata(&copied).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read(&copied).unwrap(), [7; 32]);
        assert_eq!(std::fs::read_dir(to.path()).unwrap().count(), 1);
        assert!(copy_keys(&from.path().join("none"), to.path()).is_ok());
    }
}
