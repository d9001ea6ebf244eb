//! This machine, as the processes of the runtime need it.

use std::path::PathBuf;

use crate::{data_dir::DataDir, identity::Authority, in_cluster::InCluster, placement::Placement};

pub struct Host {
    pub data: DataDir,
    /// This program, for the processes it starts.
    pub program: PathBuf,
    /// The ONNX Runtime library; without it models are served natively.
    pub onnxruntime: Option<PathBuf>,
    pub authority: Authority,
    /// What runs the processes that serve and train.
    pub placement: Placement,
    /// Where the control plane is a pod.
    pub kubernetes: Option<InCluster>,
}
