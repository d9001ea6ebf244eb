//! `falaj_model`: how a model is trained, what it must reach, and the version
//! that came of it.

mod spec;
mod training;

use std::collections::BTreeMap;
use std::time::Duration;

use falaj_api::id::Prefix;
use falaj_api::model::{self as api, ModelSpec, ModelStatus, PromoteWhen};
use tfplugin::{
    Attr, AttributePath, Context, DefaultTimeouts, Diagnostics, Model as Attributes, Plan, Timeouts, validate,
};

use super::declared::{Declared, Finder};
use super::workspace::no_labels;
use crate::attributes::labels::Labels;
use crate::attributes::{PostureModel, object, rules};
use crate::connection::Shared;
use crate::place;
pub use training::TrainingModel;

/// A model: trained as declared, measured on rows it was not shown, promoted when it passes.
///
/// An apply trains and waits. A change of `training` makes a new version in place; a
/// declaration that was trained before points back to its version, without training.
/// A version that misses its gates is kept and not promoted. The same declaration on
/// the same data and the same kind of processor gives the same model, byte for byte.
#[derive(Attributes, Debug, Clone)]
pub struct ModelModel {
    /// `<region>/<cluster>/<workspace>/model/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the workspace it is in.
    #[attr(required, replace)]
    pub workspace_id: Attr<String>,
    /// Name, unique in the workspace: 2 to 63 lower-case letters, digits and hyphens.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// How it is trained: exactly one of `linear`, `logistic` and `mlp`.
    #[attr(required)]
    pub training: Attr<TrainingModel>,
    /// What a version must reach on the held-out rows before it is promoted.
    #[attr(optional)]
    pub gates: Attr<GatesModel>,
    /// How a version gets an alias. Unset: it gets none by itself.
    #[attr(optional)]
    pub promotion: Attr<PromotionModel>,
    /// Version that the declared training made.
    #[attr(computed, depends_on = ["training"])]
    pub version: Attr<u32>,
    /// Held-out metrics of that version, by name.
    #[attr(computed, depends_on = ["training"])]
    pub metrics: Attr<BTreeMap<String, f64>>,
    /// Labels; they win over the provider's.
    #[attr(default = no_labels())]
    pub labels: Attr<Labels>,
    /// These labels with the provider's.
    #[attr(computed)]
    pub effective_labels: Attr<Labels>,
    /// What a policy needs to know of it, at plan already wherever it can be known.
    #[attr(computed, local)]
    pub posture: Attr<PostureModel>,
    /// How long each operation may take, training included.
    #[attr(optional)]
    pub timeouts: Attr<Timeouts>,
}
object!(ModelModel);

/// Bounds on the held-out rows, by metric.
#[derive(Attributes, Debug, Clone)]
pub struct GatesModel {
    /// Area under the ROC curve; for classification.
    #[attr(optional)]
    pub auc: Attr<BoundModel>,
    /// Logarithmic loss; for classification.
    #[attr(optional)]
    pub log_loss: Attr<BoundModel>,
    /// Share of right answers, from 0 to 1; for classification.
    #[attr(optional)]
    pub accuracy: Attr<BoundModel>,
    /// Expected calibration error; for classification.
    #[attr(optional)]
    pub calibration_error: Attr<BoundModel>,
    /// Root mean squared error; for regression.
    #[attr(optional)]
    pub rmse: Attr<BoundModel>,
    /// Mean absolute error; for regression.
    #[attr(optional)]
    pub mae: Attr<BoundModel>,
    /// Coefficient of determination; for regression.
    #[attr(optional)]
    pub r2: Attr<BoundModel>,
    /// Largest difference between the groups' selection rates, by protected feature.
    #[attr(optional)]
    pub demographic_parity: Attr<BTreeMap<String, ParityModel>>,
}

impl GatesModel {
    /// The bounds by metric, as the runtime names it.
    fn metrics(&self) -> [(&'static str, &Attr<BoundModel>); 7] {
        [
            ("auc", &self.auc),
            ("log_loss", &self.log_loss),
            ("accuracy", &self.accuracy),
            ("calibration_error", &self.calibration_error),
            ("rmse", &self.rmse),
            ("mae", &self.mae),
            ("r2", &self.r2),
        ]
    }
}

/// A bound on a metric.
#[derive(Attributes, Debug, Clone)]
pub struct BoundModel {
    /// At least this.
    #[attr(optional)]
    pub min: Attr<f64>,
    /// At most this.
    #[attr(optional)]
    pub max: Attr<f64>,
}

/// A bound on demographic parity.
#[derive(Attributes, Debug, Clone)]
pub struct ParityModel {
    /// Largest difference between the groups' selection rates, from 0 to 1.
    #[attr(required, validate = [validate::range(0, 1)])]
    pub max_gap: Attr<f64>,
}

/// How a version gets an alias.
#[derive(Attributes, Debug, Clone)]
pub struct PromotionModel {
    /// Alias that the version gets.
    #[attr(default = "champion", validate = [rules::name()])]
    pub alias: Attr<String>,
    /// When: `gates` (it passes them), `approval` (someone approves, too) or `manual` (someone sets it).
    #[attr(default = "gates", validate = [validate::one_of(PromoteWhen::NAMES)])]
    pub when: Attr<String>,
}

/// `falaj_model`.
pub struct Model;

impl Declared for Model {
    type Kind = api::Model;
    type Model = ModelModel;
    const NAME: &'static str = "falaj_model";
    const PARENT: (&'static str, &'static str) = ("workspace_id", "workspace");

    fn timeouts() -> DefaultTimeouts {
        DefaultTimeouts::all(Duration::from_secs(7200))
    }

    fn parent(model: &ModelModel) -> &Attr<String> {
        &model.workspace_id
    }

    fn parent_mut(model: &mut ModelModel) -> &mut Attr<String> {
        &mut model.workspace_id
    }

    fn validate(config: &ModelModel) -> Diagnostics {
        let mut problems = Diagnostics::new();
        let path = AttributePath::root("training");
        if let Some(training) = config.training.known() {
            training.validate(&path, &mut problems);
        }
        let gates = AttributePath::root("gates");
        if let Some(model) = config.gates.known() {
            for (metric, bound) in model.metrics() {
                check_bound(bound, &gates.attribute(metric), &mut problems);
            }
            let protected = config.training.known().map_or_else(Attr::unknown, |training| training.protected.clone());
            check_parity(model, &protected, &gates, &mut problems);
        }
        problems
    }

    async fn plan(_: &Context<Shared>, place: Option<&Prefix>, plan: &mut Plan<ModelModel>) -> Diagnostics {
        let mut problems = Diagnostics::new();
        let path = AttributePath::root("training");
        for (id, path) in plan.planned.training.known().into_iter().flat_map(|training| training.stores(&path)) {
            if let Err(problem) = place::same_workspace(id, "feature_store", place, path) {
                problems.push(problem);
            }
        }
        problems
    }

    fn spec(model: &ModelModel, labels: Labels) -> Result<ModelSpec, Diagnostics> {
        spec::spec(model, labels)
    }

    fn labels(spec: &ModelSpec) -> &Labels {
        &spec.labels
    }

    async fn declare(model: &mut ModelModel, spec: &ModelSpec, finder: &Finder<'_>) -> Result<(), Diagnostics> {
        spec::declare(model, spec, finder).await
    }

    fn observe(model: &mut ModelModel, status: &ModelStatus) {
        model.version = status.version.into();
        model.metrics = status.metrics.clone().into();
    }

    fn expect(model: &mut ModelModel) {
        (model.version, model.metrics) = (Attr::unknown(), Attr::unknown());
    }
}

fn check_bound(bound: &Attr<BoundModel>, path: &AttributePath, problems: &mut Diagnostics) {
    let Some(bound) = bound.known() else { return };
    if bound.min.is_null() && bound.max.is_null() {
        problems.error_at(path.clone(), "A gate without a bound", "Write min, max, or both.");
    }
    if let (Some(min), Some(max)) = (bound.min.known(), bound.max.known())
        && min > max
    {
        problems.error_at(path.clone(), "A gate that nothing passes", format!("min ({min}) is above max ({max})."));
    }
}

/// Parity is measured for protected features only.
fn check_parity(
    gates: &GatesModel,
    protected: &Attr<std::collections::BTreeSet<String>>,
    path: &AttributePath,
    problems: &mut Diagnostics,
) {
    let none = std::collections::BTreeSet::new();
    let protected = match protected {
        Attr::Known(protected) => protected,
        Attr::Null => &none,
        Attr::Unknown(_) => return,
    };
    for name in gates.demographic_parity.known().into_iter().flat_map(BTreeMap::keys) {
        if !protected.contains(name) {
            problems.error_at(
                path.attribute("demographic_parity").key(name.clone()),
                "A fairness gate on what is not measured",
                format!("{name:?} is not among training.protected: add it there, so that its groups are compared."),
            );
        }
    }
}
