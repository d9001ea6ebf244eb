//! A feature store: named features of one entity, from one source.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Duration, Kind};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureStore;

impl Kind for FeatureStore {
    const NAME: &'static str = "feature_store";
    const PATH: &'static str = "/v1/workspaces/{workspace}/feature_stores/{name}";
    const LIST_PATH: &'static str = "/v1/workspaces/{workspace}/feature_stores";
    type Spec = FeatureStoreSpec;
    type Status = FeatureStoreStatus;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureStoreSpec {
    pub entity: Entity,
    pub source: Source,
    pub features: BTreeMap<String, Feature>,
    #[serde(default)]
    pub online: Option<Online>,
    #[serde(default)]
    pub retention: Retention,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What the features describe: the source's column of this name identifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: DataType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataType {
    Int64,
    Float64,
    /// A category: one-hot encoded inside the model, whatever its column holds.
    String,
    Bool,
}

impl DataType {
    pub const NAMES: [&'static str; 4] = ["int64", "float64", "string", "bool"];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceFormat {
    Parquet,
    Csv,
}

/// Rows with an entity, times and values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub format: SourceFormat,
    pub location: Location,
    /// Column that says when the row became true.
    pub event_time: String,
    /// Column that says when the row became known: a training run sees only
    /// what was known at the time it asks about.
    #[serde(default)]
    pub created_time: Option<String>,
}

/// Where the rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Location {
    /// Uploaded: SHA-256 of the file, lower-case hexadecimal.
    Upload { digest: String },
    /// Read by the runtime itself: `file:///...` inside its allow-list.
    Uri { uri: String },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Classification {
    #[default]
    Internal,
    Personal,
    /// GDPR Art. 9, PDPL sensitive personal data.
    Special,
}

impl Classification {
    pub const NAMES: [&'static str; 3] = ["internal", "personal", "special"];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Personal => "personal",
            Self::Special => "special",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// Column of the source; default the feature's name.
    #[serde(default)]
    pub column: Option<String>,
    #[serde(default)]
    pub classification: Classification,
    /// What the feature may be used for; empty: anything.
    #[serde(default)]
    pub purposes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Online {
    /// How old a value may be and still be served, or joined in training.
    #[serde(default)]
    pub ttl: Option<Duration>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    pub offline: Option<Duration>,
    pub captures: Option<Duration>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureStoreStatus {
    /// Rows of the source as it was when it was declared.
    pub rows: u64,
}
