//! A model: how it is trained, and the immutable versions that came of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Duration, Kind, Record, call::call, feature_store::DataType};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model;

impl Kind for Model {
    const NAME: &'static str = "model";
    const PATH: &'static str = "/v1/workspaces/{workspace}/models/{name}";
    const LIST_PATH: &'static str = "/v1/workspaces/{workspace}/models";
    type Spec = ModelSpec;
    type Status = ModelStatus;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    pub training: Training,
    #[serde(default)]
    pub gates: Gates,
    #[serde(default)]
    pub promotion: Option<Promotion>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Everything a training run depends on, but the data itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// By a name of the user's choice.
    pub features: BTreeMap<String, FeatureView>,
    pub label: Label,
    /// Features of the label's store whose groups are compared for fairness;
    /// never an input.
    #[serde(default)]
    pub protected: Vec<String>,
    #[serde(default)]
    pub purpose: Option<String>,
    #[serde(default)]
    pub window: Option<Window>,
    pub algorithm: Algorithm,
    pub evaluation: Evaluation,
    pub seed: i64,
    /// Any change here trains again.
    #[serde(default)]
    pub triggers: BTreeMap<String, String>,
}

/// Some features of one store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureView {
    /// Name of the feature store, in the same workspace.
    pub feature_store: String,
    pub names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Column of the feature store's source.
    pub column: String,
    pub feature_store: String,
}

/// Which rows of the label's source take part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Window {
    /// Ends when the run starts.
    Last(Duration),
    /// UTC, `until` exclusive.
    Between { from: Timestamp, until: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Algorithm {
    /// Least squares with a ridge penalty: regression.
    Linear(Ridge),
    /// Logistic regression with a ridge penalty: binary classification.
    Logistic(Ridge),
    /// Multilayer perceptron: binary classification of a label of 0 and 1,
    /// regression of any other.
    Mlp(Mlp),
}

impl Algorithm {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear",
            Self::Logistic(_) => "logistic",
            Self::Mlp(_) => "mlp",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ridge {
    /// Penalty on the squared weights, per row; the intercept is free.
    pub l2: f64,
    pub max_iterations: u32,
}

impl Default for Ridge {
    fn default() -> Self {
        Self { l2: 1e-4, max_iterations: 100 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mlp {
    /// Units of each hidden layer, ReLU.
    pub hidden_layers: Vec<u32>,
    pub epochs: u32,
    pub batch_size: u32,
    pub learning_rate: f64,
    pub dropout: f64,
    pub l2: f64,
}

impl Default for Mlp {
    fn default() -> Self {
        Self { hidden_layers: vec![32, 16], epochs: 20, batch_size: 256, learning_rate: 1e-3, dropout: 0.0, l2: 1e-5 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    pub split: Split,
    /// Share of the rows that are held out, over 0 and under 100.
    pub holdout_percent: f64,
}

impl Default for Evaluation {
    fn default() -> Self {
        Self { split: Split::Time, holdout_percent: 20.0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The latest rows are held out.
    Time,
    /// Rows drawn with the seed are held out.
    Random,
}

impl Split {
    pub const NAMES: [&'static str; 2] = ["time", "random"];
}

/// What a version must reach before it is promoted by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gates {
    /// By metric, such as `auc` or `rmse`.
    pub metrics: BTreeMap<String, Bound>,
    /// By protected feature.
    pub demographic_parity: BTreeMap<String, ParityGate>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bound {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParityGate {
    /// Largest difference between the groups' selection rates.
    pub max_gap: f64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    pub alias: String,
    pub when: PromoteWhen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromoteWhen {
    Gates,
    Approval,
    Manual,
}

impl PromoteWhen {
    pub const NAMES: [&'static str; 3] = ["gates", "approval", "manual"];
}

/// The alias of the newest version, whatever its gates say.
pub const CANDIDATE: &str = "candidate";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelStatus {
    /// The version that the declared training made.
    pub version: Option<u32>,
    /// Its held-out metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Why the last attempt at the declared training failed.
    pub failure: Option<String>,
}

/// A trained model, immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    pub model: String,
    pub version: u32,
    pub signature: Signature,
    /// Held-out: `auc`, `log_loss`, `accuracy`, `calibration_error`; or `rmse`,
    /// `mae`, `r2`; with `rows_trained` and `rows_held_out`.
    pub metrics: BTreeMap<String, f64>,
    /// By protected feature.
    pub fairness: BTreeMap<String, Parity>,
    pub gates: Vec<GateResult>,
    pub lineage: Lineage,
    /// By file name, SHA-256 in lower-case hexadecimal.
    pub artifacts: BTreeMap<String, String>,
    pub aliases: Vec<String>,
    pub created_at: Timestamp,
}

/// Demographic parity of one protected feature on the held-out rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// Largest difference between selection rates.
    pub gap: f64,
    /// Share of positive decisions by group.
    pub selection_rates: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateResult {
    /// `auc` or `demographic_parity.sex`.
    pub gate: String,
    pub value: Option<f64>,
    pub passed: bool,
    pub reason: String,
}

/// What came in to make this version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// SHA-256 of the training declaration.
    pub spec_digest: String,
    /// SHA-256 over the digests of the sources' bytes.
    pub data_digest: String,
    pub algorithm: String,
    pub seed: i64,
    pub runtime_version: String,
    /// Such as `x86_64 avx2`: the digest of a model holds for one of these.
    pub architecture: String,
}

/// Inputs and outputs of a model, as the Open Inference Protocol names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    pub inputs: Vec<TensorSpec>,
    pub outputs: Vec<TensorSpec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    pub name: String,
    /// Of the Open Inference Protocol: `FP64`, `INT64`, `BYTES`, `BOOL`, ...
    pub datatype: String,
    /// -1: any length.
    pub shape: Vec<i64>,
    /// The declared type of the feature, for inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_type: Option<DataType>,
}

call! {
    /// Reads a version by number or alias.
    Get "/v1/workspaces/{workspace}/models/{model}/versions/{version}" GetModelVersion { workspace: String, model: String, version: String } -> ModelVersion
}

call! {
    /// Lists a model's versions, newest first.
    Get "/v1/workspaces/{workspace}/models/{model}/versions" ListModelVersions { workspace: String, model: String } -> Vec<ModelVersion>
}

call! {
    /// Trains again on the data of now. The record names the operation to wait for.
    Post "/v1/workspaces/{workspace}/models/{model}/train" TrainModel { workspace: String, model: String } -> Record<Model>
}

call! {
    /// Points an alias to a version.
    Put "/v1/workspaces/{workspace}/models/{model}/aliases/{alias}" SetAlias { workspace: String, model: String, alias: String, version: u32 } -> ModelVersion
}
