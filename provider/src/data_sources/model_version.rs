//! `data.falaj_model_version`: one immutable version of a model.

use std::collections::{BTreeMap, BTreeSet};

use falaj_api::model::{GateResult, GetModelVersion, Lineage, Parity, TensorSpec};
use tfplugin::{Attr, Context, DataSource, Diagnostic, Diagnostics, Model};

use super::{failed, identify};
use crate::attributes::chosen;
use crate::connection::Shared;

/// A version of a model, by its number or by an alias: what it is made of, and how good it is.
///
/// An alias is read as it is now, so promotions and retrainings show here, not in the
/// resource.
#[derive(Model, Debug, Clone)]
pub struct ModelVersionModel {
    /// Id of the model.
    #[attr(required)]
    pub model_id: Attr<String>,
    /// Number of the version. Give this or `alias`.
    #[attr(optional, computed)]
    pub version: Attr<u32>,
    /// Alias that points to it, such as `champion`. Give this or `version`.
    #[attr(optional)]
    pub alias: Attr<String>,
    /// Every alias that points to it.
    #[attr(computed)]
    pub aliases: Attr<BTreeSet<String>>,
    /// Metrics on the held-out rows, by name.
    #[attr(computed)]
    pub metrics: Attr<BTreeMap<String, f64>>,
    /// Demographic parity on the held-out rows, by protected feature.
    #[attr(computed)]
    pub fairness: Attr<BTreeMap<String, ParityModel>>,
    /// What became of each gate, by name.
    #[attr(computed)]
    pub gates: Attr<BTreeMap<String, GateModel>>,
    /// What it takes and gives, in the words of the Open Inference Protocol.
    #[attr(computed)]
    pub signature: Attr<SignatureModel>,
    /// What it was made from.
    #[attr(computed)]
    pub lineage: Attr<LineageModel>,
    /// SHA-256 of each of its files, by name.
    #[attr(computed)]
    pub artifacts: Attr<BTreeMap<String, String>>,
    /// When it was made, UTC.
    #[attr(computed)]
    pub created_at: Attr<String>,
}

/// Demographic parity of one protected feature.
#[derive(Model, Debug, Clone)]
pub struct ParityModel {
    /// Largest difference between selection rates.
    #[attr(computed)]
    pub gap: Attr<f64>,
    /// Share of positive decisions, by group.
    #[attr(computed)]
    pub selection_rates: Attr<BTreeMap<String, f64>>,
}

/// What became of a gate.
#[derive(Model, Debug, Clone)]
pub struct GateModel {
    /// What was measured.
    #[attr(computed)]
    pub value: Attr<f64>,
    /// Whether the gate is passed.
    #[attr(computed)]
    pub passed: Attr<bool>,
    /// Why, in words.
    #[attr(computed)]
    pub reason: Attr<String>,
}

/// Inputs and outputs.
#[derive(Model, Debug, Clone)]
pub struct SignatureModel {
    /// Inputs, in order.
    #[attr(computed)]
    pub inputs: Attr<Vec<TensorModel>>,
    /// Outputs, in order.
    #[attr(computed)]
    pub outputs: Attr<Vec<TensorModel>>,
}

/// One input or output.
#[derive(Model, Debug, Clone)]
pub struct TensorModel {
    /// Name of the input or output.
    #[attr(computed)]
    pub name: Attr<String>,
    /// Type on the wire: `FP64`, `INT64`, `BYTES` or `BOOL`.
    #[attr(computed)]
    pub datatype: Attr<String>,
    /// Length of each dimension; -1 is any.
    #[attr(computed)]
    pub shape: Attr<Vec<i64>>,
    /// Declared type of the feature, for an input.
    #[attr(computed)]
    pub feature_type: Attr<String>,
}

/// What came in to make a version.
#[derive(Model, Debug, Clone)]
pub struct LineageModel {
    /// SHA-256 of the declared training.
    #[attr(computed)]
    pub spec_digest: Attr<String>,
    /// SHA-256 over the digests of the sources.
    #[attr(computed)]
    pub data_digest: Attr<String>,
    /// Algorithm, such as `mlp`.
    #[attr(computed)]
    pub algorithm: Attr<String>,
    /// Seed of everything random.
    #[attr(computed)]
    pub seed: Attr<i64>,
    /// Release of the runtime that trained it.
    #[attr(computed)]
    pub runtime_version: Attr<String>,
    /// Processor that trained it, such as `x86_64 avx2`: digests hold for one of these.
    #[attr(computed)]
    pub architecture: Attr<String>,
}

impl From<Parity> for ParityModel {
    fn from(parity: Parity) -> Self {
        Self { gap: parity.gap.into(), selection_rates: parity.selection_rates.into() }
    }
}

impl From<GateResult> for GateModel {
    fn from(result: GateResult) -> Self {
        Self { value: result.value.into(), passed: result.passed.into(), reason: result.reason.into() }
    }
}

impl From<TensorSpec> for TensorModel {
    fn from(tensor: TensorSpec) -> Self {
        Self {
            name: tensor.name.into(),
            datatype: tensor.datatype.into(),
            shape: tensor.shape.into(),
            feature_type: tensor.feature_type.as_ref().map_or(Attr::Null, chosen),
        }
    }
}

impl From<Lineage> for LineageModel {
    fn from(lineage: Lineage) -> Self {
        Self {
            spec_digest: lineage.spec_digest.into(),
            data_digest: lineage.data_digest.into(),
            algorithm: lineage.algorithm.into(),
            seed: lineage.seed.into(),
            runtime_version: lineage.runtime_version.into(),
            architecture: lineage.architecture.into(),
        }
    }
}

/// `data.falaj_model_version`.
pub struct ModelVersionSource;

impl DataSource for ModelVersionSource {
    type Shared = Shared;
    type Model = ModelVersionModel;
    const NAME: &'static str = "falaj_model_version";

    async fn validate(&self, _: &Context<Shared>, config: &ModelVersionModel) -> Result<(), Diagnostics> {
        let wrong =
            |problem: &str| Err(Diagnostic::error("Which version is meant?").detail(problem).at("version").into());
        match (&config.version, &config.alias) {
            (Attr::Known(_), Attr::Known(_)) => wrong("Both version and alias are set: keep one."),
            (Attr::Null, Attr::Null) => {
                wrong("Neither version nor alias is set: write alias = \"champion\", or a number.")
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, ctx: &Context<Shared>, config: ModelVersionModel) -> Result<ModelVersionModel, Diagnostics> {
        let (id, workspace) = identify(&config.model_id, "model", "model_id")?;
        let model = id.place.name().to_owned();
        let number = config.version.known().map(u32::to_string);
        let version = number.or_else(|| config.alias.known().cloned()).unwrap_or_default();
        let what = format!("version {version:?} of the model {model:?}");
        let connection = ctx.shared()?.connect(&id.place.cluster).await?;
        let found = connection.call(&GetModelVersion { workspace, model, version }).await;
        let found = found.map_err(|error| failed(&error, &what))?;
        let tensors = |tensors: Vec<TensorSpec>| Attr::Known(tensors.into_iter().map(TensorModel::from).collect());
        let gates = found.gates.into_iter().map(|result| (result.gate.clone(), GateModel::from(result)));
        let fairness = found.fairness.into_iter().map(|(name, parity)| (name, ParityModel::from(parity)));
        Ok(ModelVersionModel {
            model_id: config.model_id,
            version: found.version.into(),
            alias: config.alias,
            aliases: Attr::Known(found.aliases.into_iter().collect()),
            metrics: found.metrics.into(),
            fairness: Attr::Known(fairness.collect()),
            gates: Attr::Known(gates.collect()),
            signature: Attr::Known(SignatureModel {
                inputs: tensors(found.signature.inputs),
                outputs: tensors(found.signature.outputs),
            }),
            lineage: Attr::Known(found.lineage.into()),
            artifacts: found.artifacts.into(),
            created_at: found.created_at.to_string().into(),
        })
    }
}
