//! What runs on Kubernetes, on a real one. In one program, so that its tests share
//! a node: `falaj_tests::kubernetes::Node`.

mod cluster;
mod image;
mod network;
mod node;
mod serving;
mod simulated;
