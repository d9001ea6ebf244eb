//! The Open Inference Protocol over REST, with its binary tensor data
//! extension: what the bytes of a request mean, and the bytes of a reply.
//!
//! Nothing here knows of connections, callers or models. The specification is
//! kserve/open-inference-protocol `inference_rest.md`; the extension is
//! Triton's `extension_binary_data.md`.

mod datatype;
mod error;
mod metadata;
mod outcomes;
mod request;
mod response;
mod values;

pub use datatype::Datatype;
pub use error::Error;
pub use metadata::{ModelMetadata, ServerMetadata, TensorMetadata};
pub use outcomes::{Label, Outcome};
pub use request::{InferRequest, InputSpec, RequestedOutput};
pub use response::{InferReply, OutputFormat};

/// Header that says how much of a body is JSON; the rest is binary tensor data.
pub const HEADER_LENGTH: &str = "inference-header-content-length";
