//! What the control plane begins with, and the volume it keeps everything on.

use falaj_api::local::SEED_FILE;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use serde_json::json;

use super::{ControlPlane, object};
use crate::labels;
use crate::objects::Untyped;
use crate::settings::{DATA, SEED, SETTINGS_FILE};

impl ControlPlane {
    /// The seed and the settings. A Secret, since a seed names the key.
    #[must_use]
    pub fn seed_secret(&self) -> Untyped {
        let mut meta = self.meta(SEED);
        meta["labels"][labels::CLUSTER_UID] = self.seed.uid.clone().into();
        let bytes = |text: serde_json::Result<Vec<u8>>| ByteString(text.unwrap_or_default());
        object::<Secret>(json!({
            "metadata": meta,
            "type": "Opaque",
            "data": {
                SEED_FILE: bytes(serde_json::to_vec_pretty(&self.seed)),
                SETTINGS_FILE: bytes(serde_json::to_vec_pretty(&self.settings)),
            },
        }))
    }

    pub(super) fn claim(&self) -> Untyped {
        let mut spec = json!({
            "accessModes": ["ReadWriteOnce"],
            "resources": { "requests": { "storage": self.storage_size } },
        });
        if let Some(class) = &self.storage_class {
            spec["storageClassName"] = class.clone().into();
        }
        object::<PersistentVolumeClaim>(json!({ "metadata": self.meta(DATA), "spec": spec }))
    }
}
