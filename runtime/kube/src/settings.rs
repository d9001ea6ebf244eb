//! What the control plane must know of the Kubernetes cluster it lives in,
//! written by the provider beside the seed.

use std::collections::BTreeMap;

use falaj_api::{Evidence, Place, Region};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where the seed and the settings are mounted in the control plane's pod.
pub const MOUNT: &str = "/etc/falaj/cluster";
/// Name of the file with [`Settings`].
pub const SETTINGS_FILE: &str = "kubernetes.json";
/// Where keys of an existing Secret are mounted, and where the control plane
/// copies them to, with a mode that a key file must have.
pub const KEY_MOUNT: &str = "/etc/falaj/keys";
pub const KEY_DIR: &str = "/run/falaj/keys";
/// Port of the control plane, and of its probes.
pub const CONTROL_PORT: u16 = 4443;
pub const HEALTH_PORT: u16 = 8081;
/// Port on which pods answer predictions.
pub const SERVING_PORT: u16 = 8443;
/// Variables of the control plane's pod: the node it is on and its own name.
pub const NODE_NAME: &str = "FALAJ_NODE_NAME";
pub const POD_NAME: &str = "FALAJ_POD_NAME";

/// Names of the objects of a control plane in its namespace.
pub const SERVER: &str = "falaj-server";
pub const WORKLOAD: &str = "falaj-workload";
pub const SEED: &str = "falaj-seed";
pub const DATA: &str = "falaj-data";

/// Name of the Secret with the platform's certificate.
#[must_use]
pub fn admin_secret(cluster: &str) -> String {
    format!("{cluster}-admin")
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub namespace: String,
    /// Uid of the namespace `kube-system`, by which one Kubernetes cluster is
    /// told from another.
    pub kubernetes_uid: String,
    /// Image of every pod, by digest.
    pub image: String,
    pub image_pull_secrets: Vec<String>,
    /// Account of pods that train and serve; it may ask nothing of the API.
    pub workload_service_account: String,
    pub node_regions: NodeRegions,
}

/// How a node's labels say in which region it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeRegions {
    pub label: String,
    /// The label's value for a region, where it is not the region's own name.
    pub values: BTreeMap<Region, String>,
}

impl Default for NodeRegions {
    fn default() -> Self {
        Self { label: "topology.kubernetes.io/region".to_owned(), values: BTreeMap::new() }
    }
}

impl NodeRegions {
    /// The label's value on the nodes of a region: as it is declared, else the
    /// region's name without its cloud, such as `me-central-1` or `dubai-1`.
    #[must_use]
    pub fn value(&self, region: &Region) -> String {
        let name = region.as_str().rsplit(':').next().unwrap_or_default();
        self.values.get(region).cloned().unwrap_or_else(|| name.to_owned())
    }

    /// Where a node is by its labels: one of `regions`.
    ///
    /// # Errors
    /// A sentence, where the labels say nothing or another place.
    pub fn place<'a>(
        &self,
        labels: &BTreeMap<String, String>,
        regions: impl IntoIterator<Item = &'a Region>,
    ) -> Result<Place, String> {
        let regions: Vec<&Region> = regions.into_iter().collect();
        let wanted =
            regions.iter().map(|region| format!("{:?} ({region})", self.value(region))).collect::<Vec<_>>().join(", ");
        let Some(value) = labels.get(&self.label) else {
            return Err(format!("it has no label {}, so nothing says where it is; it should be {wanted}", self.label));
        };
        match regions.iter().find(|region| self.value(region) == *value) {
            Some(region) => Ok(Place { region: (*region).clone(), evidence: Evidence::Attested }),
            None => Err(format!("its label {} is {value:?}; it should be {wanted}", self.label)),
        }
    }

    /// The affinity of a pod that may only be in these regions.
    #[must_use]
    pub fn affinity<'a>(&self, regions: impl IntoIterator<Item = &'a Region>) -> Value {
        let mut values: Vec<String> = regions.into_iter().map(|region| self.value(region)).collect();
        values.sort();
        values.dedup();
        json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": [
            { "matchExpressions": [{ "key": self.label, "operator": "In", "values": values }] },
        ] } } })
    }
}

#[cfg(test)]
mod tests {
    use super::NodeRegions;

    #[test]
    fn a_node_says_where_it_is_by_its_label() {
        let dubai = "onprem:ae-du:dubai-1".parse().unwrap();
        let me = "aws:me-central-1".parse().unwrap();
        let regions = NodeRegions { label: "region".into(), values: [(me, "uae".to_owned())].into() };
        let me = "aws:me-central-1".parse().unwrap();
        let on = |value: &str| [("region".to_owned(), value.to_owned())].into();
        assert_eq!(regions.place(&on("dubai-1"), [&dubai, &me]).unwrap().region, dubai);
        assert_eq!(regions.place(&on("uae"), [&dubai, &me]).unwrap().region, me);
        assert!(regions.place(&on("me-central-1"), [&me]).unwrap_err().contains("\"uae\""));
        assert!(regions.place(&Default::default(), [&me]).unwrap_err().contains("no label region"));
    }
}
