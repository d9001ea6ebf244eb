//! The resources, one file each. All but the cluster live the same life:
//! [`managed`].

mod cluster;
mod declared;
mod endpoint;
mod feature_store;
mod gpu_node_pool;
mod inherited_key;
mod managed;
mod memory;
mod model;
mod monitor;
mod operation;
#[cfg(test)]
mod plan_tests;
mod reach;
mod workspace;

use tfplugin::Registry;

use crate::connection::Shared;
use managed::Managed;

pub fn register(registry: &mut Registry<Shared>) {
    registry
        .resource(cluster::ClusterResource)
        .resource(Managed(workspace::Workspace))
        .resource(Managed(feature_store::FeatureStore))
        .resource(Managed(model::Model))
        .resource(Managed(endpoint::Endpoint))
        .resource(Managed(monitor::Monitor))
        .resource(Managed(gpu_node_pool::GpuNodePool));
}
