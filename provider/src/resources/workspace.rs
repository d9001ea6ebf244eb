//! `falaj_workspace`: one business unit's part of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use falaj_api::id::Prefix;
use falaj_api::workspace::{self as api, Environment, OnExceeded, WorkspaceSpec};
use tfplugin::{Attr, AttributePath, Context, Diagnostics, Model, Plan, Timeouts, Value, validate};

use super::declared::{Declared, Finder};
use crate::attributes::labels::Labels;
use crate::attributes::posture::Facts;
use crate::attributes::{
    KmsKeyModel, PostureModel, ResidencyModel, choice, chosen, differs, kms_key, object, residency, rules, want,
};
use crate::connection::Shared;

/// A business unit's part of a cluster: its people, its data, its models.
///
/// Each workspace has keys of its own, under its own `kms_key` or the cluster's: what
/// is in one cannot be read with those of another.
#[derive(Model, Debug, Clone)]
pub struct WorkspaceModel {
    /// `<region>/<cluster>/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the cluster it is a part of.
    #[attr(required, replace)]
    pub cluster_id: Attr<String>,
    /// Name, unique in the cluster: 2 to 63 lower-case letters, digits and hyphens.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// `development`, `staging` or `production`. In `development` a key may be a file, and monitors write their reports where you can open them; elsewhere neither.
    #[attr(required, validate = [validate::one_of(Environment::NAMES)])]
    pub environment: Attr<String>,
    /// Who may do what, by role: sets of `user:NAME`, `group:NAME` or `service:NAME`. Recorded, and not yet enforced: whoever has the cluster's certificate may do everything.
    #[attr(default = no_access())]
    pub access: Attr<AccessModel>,
    /// What it may spend. Recorded, and not yet enforced.
    #[attr(optional)]
    pub budget: Attr<BudgetModel>,
    /// Key of its own. Unset: the cluster's.
    #[attr(optional)]
    pub kms_key: Attr<KmsKeyModel>,
    /// Where its data and work may be; can only narrow the cluster's rule. Unset: the cluster's.
    #[attr(optional)]
    pub residency: Attr<ResidencyModel>,
    /// Labels; they win over the provider's.
    #[attr(default = no_labels())]
    pub labels: Attr<Labels>,
    /// These labels with the provider's.
    #[attr(computed)]
    pub effective_labels: Attr<Labels>,
    /// What a policy needs to know of it, at plan already wherever it can be known.
    #[attr(computed, local)]
    pub posture: Attr<PostureModel>,
    /// How long each operation may take.
    #[attr(optional)]
    pub timeouts: Attr<Timeouts>,
}
object!(WorkspaceModel);

/// Principals by role: `user:NAME`, `group:NAME` or `service:NAME`.
#[derive(Model, Debug, Clone)]
pub struct AccessModel {
    /// Those who run the platform.
    #[attr(default = nobody(), validate = [validate::each(rules::principal())])]
    pub platform: Attr<BTreeSet<String>>,
    /// Those who build models.
    #[attr(default = nobody(), validate = [validate::each(rules::principal())])]
    pub engineer: Attr<BTreeSet<String>>,
    /// Those who may look.
    #[attr(default = nobody(), validate = [validate::each(rules::principal())])]
    pub viewer: Attr<BTreeSet<String>>,
    /// Those who approve promotions.
    #[attr(default = nobody(), validate = [validate::each(rules::principal())])]
    pub approver: Attr<BTreeSet<String>>,
    /// Those who read the audit trail.
    #[attr(default = nobody(), validate = [validate::each(rules::principal())])]
    pub auditor: Attr<BTreeSet<String>>,
}

/// A limit on spending.
#[derive(Model, Debug, Clone)]
pub struct BudgetModel {
    /// Limit of a calendar month, in `currency`.
    #[attr(required, validate = [rules::positive()])]
    pub monthly_limit: Attr<f64>,
    /// Currency of the limit, ISO 4217, such as `AED`.
    #[attr(required, validate = [rules::currency()])]
    pub currency: Attr<String>,
    /// What happens beyond it: `warn` or `stop_training`.
    #[attr(default = "warn", validate = [validate::one_of(OnExceeded::NAMES)])]
    pub on_exceeded: Attr<String>,
}

fn nobody() -> Value {
    Value::Set(Vec::new())
}

/// Where no labels are given.
pub fn no_labels() -> Value {
    Value::Map(BTreeMap::new())
}

fn no_access() -> Value {
    ["platform", "engineer", "viewer", "approver", "auditor"].into_iter().map(|role| (role, nobody())).collect()
}

/// `falaj_workspace`.
pub struct Workspace;

impl Declared for Workspace {
    type Kind = api::Workspace;
    type Model = WorkspaceModel;
    const NAME: &'static str = "falaj_workspace";
    const PARENT: (&'static str, &'static str) = ("cluster_id", "cluster");

    fn parent(model: &WorkspaceModel) -> &Attr<String> {
        &model.cluster_id
    }

    fn parent_mut(model: &mut WorkspaceModel) -> &mut Attr<String> {
        &mut model.cluster_id
    }

    fn facts(model: &WorkspaceModel) -> Facts {
        Facts { kms_key: model.kms_key.clone(), ..Facts::default() }
    }

    fn validate(config: &WorkspaceModel) -> Diagnostics {
        residency::check(&residency::rule(&config.residency), &AttributePath::root("residency"))
    }

    async fn plan(ctx: &Context<Shared>, place: Option<&Prefix>, plan: &mut Plan<WorkspaceModel>) -> Diagnostics {
        if !differs(plan.prior.as_ref(), &plan.planned) {
            return Diagnostics::new();
        }
        let mut problems = Diagnostics::new();
        let (rule_path, key_path) = (AttributePath::root("residency"), AttributePath::root("kms_key"));
        let outer = ctx.try_shared().map(|shared| residency::rule(&shared.residency)).unwrap_or_default();
        let own = residency::rule(&plan.planned.residency);
        if let (Some(outer), Some(own)) = (outer.known(), own.known()) {
            problems.append(residency::check_narrows(outer, own, &rule_path));
        }
        if let (Some(own), Some(place)) = (own.known(), place) {
            let path = rule_path.attribute("allowed_regions");
            problems.append(residency::check_region(own, &place.region, path, "The workspace's own cluster"));
        }
        match kms_key::effective_region(&plan.planned.kms_key, &key_path) {
            Ok(Some((region, path))) => {
                if let Some(rule) = own.known().or(outer.known()) {
                    problems.append(residency::check_region(rule, &region, path, "The key"));
                }
            }
            Ok(None) => {}
            Err(wrong) => problems.append(wrong),
        }
        problems
    }

    fn spec(model: &WorkspaceModel, labels: Labels) -> Result<WorkspaceSpec, Diagnostics> {
        let key_path = AttributePath::root("kms_key");
        let roles = model.access.known();
        let role = |pick: fn(&AccessModel) -> &Attr<BTreeSet<String>>| {
            roles.map(|roles| pick(roles).clone().or_default()).unwrap_or_default()
        };
        let budget = |budget: &BudgetModel| -> Result<api::Budget, Diagnostics> {
            let path = AttributePath::root("budget");
            Ok(api::Budget {
                monthly_limit: *want(&budget.monthly_limit, path.attribute("monthly_limit"))?,
                currency: want(&budget.currency, path.attribute("currency"))?.clone(),
                on_exceeded: choice(&budget.on_exceeded, path.attribute("on_exceeded"))?,
            })
        };
        Ok(WorkspaceSpec {
            environment: choice(&model.environment, "environment")?,
            access: api::Access {
                platform: role(|access| &access.platform),
                engineer: role(|access| &access.engineer),
                viewer: role(|access| &access.viewer),
                approver: role(|access| &access.approver),
                auditor: role(|access| &access.auditor),
            },
            budget: model.budget.known().map(budget).transpose()?,
            kms_key: model.kms_key.known().map(|key| key.key(&key_path)).transpose()?,
            residency: residency::rule(&model.residency).into_known(),
            labels,
        })
    }

    fn labels(spec: &WorkspaceSpec) -> &Labels {
        &spec.labels
    }

    async fn declare(model: &mut WorkspaceModel, spec: &WorkspaceSpec, _: &Finder<'_>) -> Result<(), Diagnostics> {
        let access = spec.access.clone();
        model.environment = chosen(&spec.environment);
        model.access = Attr::Known(AccessModel {
            platform: access.platform.into(),
            engineer: access.engineer.into(),
            viewer: access.viewer.into(),
            approver: access.approver.into(),
            auditor: access.auditor.into(),
        });
        let budget = spec.budget.as_ref().map(|budget| BudgetModel {
            monthly_limit: budget.monthly_limit.into(),
            currency: budget.currency.clone().into(),
            on_exceeded: chosen(&budget.on_exceeded),
        });
        model.budget = budget.into();
        model.kms_key = spec.kms_key.as_ref().map(KmsKeyModel::of).into();
        model.residency = spec.residency.as_ref().map(residency::model).into();
        Ok(())
    }
}
