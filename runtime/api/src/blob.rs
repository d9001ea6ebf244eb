//! Uploads: bytes by their SHA-256.

use serde::{Deserialize, Serialize};

use crate::call::call;

/// Where bytes are uploaded: a raw `PUT` body, refused when its SHA-256 is not
/// `{digest}`. Uploading what is there already does nothing.
pub const UPLOAD_PATH: &str = "/v1/workspaces/{workspace}/blobs/{digest}";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInfo {
    pub present: bool,
}

call! {
    /// Asks whether bytes are there already.
    Get "/v1/workspaces/{workspace}/blobs/{digest}" GetBlobInfo { workspace: String, digest: String } -> BlobInfo
}
