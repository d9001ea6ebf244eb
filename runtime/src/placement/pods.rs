//! The pods of a cluster on Kubernetes: where they may be, and whether the one
//! that dials is there.

use std::{collections::BTreeMap, net::IpAddr};

use anyhow::{Context, Result, bail};
use falaj_kube::{Kube, labels, workload::Site};
use k8s_openapi::api::core::v1::{Node, Pod};

#[derive(Clone)]
pub struct Pods {
    pub kube: Kube,
    pub site: Site,
}

impl Pods {
    /// Checks a pod that says it is this one: that it is among those selected,
    /// that it calls from its own address, and that its node is where it may be.
    ///
    /// # Errors
    /// Why it gets nothing.
    pub async fn attest(&self, name: &str, peer: IpAddr, selector: &BTreeMap<String, String>) -> Result<()> {
        let pods: Vec<Pod> = self.kube.list(Some(&self.site.namespace), &labels::query(selector)).await?;
        let pod = pods.into_iter().find(|pod| pod.metadata.name.as_deref() == Some(name));
        let pod = pod.with_context(|| format!("no pod {name:?} was started for this"))?;
        let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).unwrap_or_default();
        if address != peer.to_canonical().to_string() {
            bail!("the pod {name:?} has the address {address:?}, and the call came from {peer}");
        }
        let node = pod.spec.and_then(|spec| spec.node_name).context("it is on no node")?;
        self.check_node(&node).await
    }

    /// Whether a node has the labels of the regions that are allowed.
    ///
    /// # Errors
    /// It has not.
    pub async fn check_node(&self, name: &str) -> Result<()> {
        let node: Option<Node> = self.kube.get(None, name).await?;
        let found = node.and_then(|node| node.metadata.labels).unwrap_or_default();
        outside(&self.site.nodes, &found).map_or(Ok(()), |reason| bail!("the node {name:?} is outside: {reason}"))
    }
}

/// Why labels are not those that are allowed.
fn outside(allowed: &BTreeMap<String, Vec<String>>, found: &BTreeMap<String, String>) -> Option<String> {
    allowed.iter().find_map(|(label, values)| match found.get(label) {
        Some(value) if values.contains(value) => None,
        Some(value) => Some(format!("its label {label} is {value:?}, and {} is allowed", values.join(" or "))),
        None => Some(format!("it has no label {label}; {} is allowed", values.join(" or "))),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::outside;

    #[test]
    fn a_node_without_the_label_or_with_another_value_is_outside() {
        let allowed: BTreeMap<_, _> = [("region".to_owned(), vec!["dubai-1".to_owned(), "dubai-2".to_owned()])].into();
        let labels = |value: &str| BTreeMap::from([("region".to_owned(), value.to_owned())]);
        assert_eq!(outside(&allowed, &labels("dubai-2")), None);
        assert!(outside(&allowed, &labels("frankfurt-1")).unwrap().contains("frankfurt-1"));
        assert!(outside(&allowed, &BTreeMap::new()).unwrap().contains("no label"));
        assert_eq!(outside(&BTreeMap::new(), &BTreeMap::new()), None);
    }
}
