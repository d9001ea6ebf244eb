//! A pool of nodes with accelerators.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Kind;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuNodePool;

impl Kind for GpuNodePool {
    const NAME: &'static str = "gpu_node_pool";
    const PATH: &'static str = "/v1/gpu_node_pools/{name}";
    const LIST_PATH: &'static str = "/v1/gpu_node_pools";
    type Spec = GpuNodePoolSpec;
    type Status = GpuNodePoolStatus;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuNodePoolSpec {
    pub accelerator: Accelerator,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerator {
    /// As the driver names it, such as `NVIDIA H100 80GB HBM3`, or a part of it.
    pub product: String,
    pub count_per_node: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GpuNodePoolStatus {
    /// UUIDs of the devices that make up the pool of a local cluster.
    pub devices: Vec<String>,
}
