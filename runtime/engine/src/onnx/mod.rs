//! Writing models as ONNX.
//!
//! The graph takes one named input of shape `[N, 1]` per feature, the raw
//! feature as it is, and holds the encoding itself, so that any ONNX Runtime
//! gives the scores that ours does. All arithmetic is in double precision.

mod graph;
mod proto;

pub use graph::to_onnx;
