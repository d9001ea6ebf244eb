//! `falaj_feature_store`: named features of one entity, from one source.

mod source;

use std::collections::{BTreeMap, BTreeSet};

use falaj_api::feature_store::{self as api, Classification, DataType, FeatureStoreSpec, Retention};
use falaj_api::id::Prefix;
use tfplugin::{Attr, AttributePath, Context, Diagnostic, Diagnostics, Model, Plan, Span, Timeouts, validate};

use super::declared::{Declared, Finder};
use super::workspace::no_labels;
use crate::attributes::labels::Labels;
use crate::attributes::posture::Facts;
use crate::attributes::{PostureModel, choice, chosen, duration, object, rules, span, want};
use crate::connection::{Connection, Shared};
pub use source::SourceModel;

/// Named features of one entity, from one source.
///
/// Training joins them as of the time of each row: a value that became true or known
/// later does not leak into it. A feature that is bound to `purposes` can be used only
/// by a model that declares one of them.
#[derive(Model, Debug, Clone)]
pub struct FeatureStoreModel {
    /// `<region>/<cluster>/<workspace>/feature_store/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the workspace it is in.
    #[attr(required, replace)]
    pub workspace_id: Attr<String>,
    /// Name, unique in the workspace: 2 to 63 lower-case letters, digits and hyphens.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// What the features describe, as a column of the source.
    #[attr(required, replace)]
    pub entity: Attr<EntityModel>,
    /// Where the rows are: exactly one of `parquet` and `csv`.
    #[attr(required)]
    pub source: Attr<SourceModel>,
    /// SHA-256 of the uploaded file; null where the runtime reads the source itself. The same bytes under another path are no change.
    #[attr(computed)]
    pub source_digest: Attr<String>,
    /// The features, by name.
    #[attr(required, validate = [validate::not_empty()])]
    pub features: Attr<BTreeMap<String, FeatureModel>>,
    /// How fresh values must be. Features are not served by entity yet.
    #[attr(optional)]
    pub online: Attr<OnlineModel>,
    /// How long rows and captured requests are kept.
    #[attr(optional)]
    pub retention: Attr<RetentionModel>,
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
object!(FeatureStoreModel);

/// The column of the source that identifies what the features describe.
#[derive(Model, Debug, Clone)]
pub struct EntityModel {
    /// Name of the column.
    #[attr(required, validate = [validate::not_empty()])]
    pub name: Attr<String>,
    /// Type of the column: `int64`, `float64`, `string` or `bool`.
    #[attr(default = "string", validate = [validate::one_of(DataType::NAMES)])]
    pub r#type: Attr<String>,
}

/// One feature.
#[derive(Model, Debug, Clone)]
pub struct FeatureModel {
    /// Type: `int64`, `float64`, `string` (a category) or `bool`.
    #[attr(required, validate = [validate::one_of(DataType::NAMES)])]
    pub r#type: Attr<String>,
    /// Column of the source. Unset: the feature's name.
    #[attr(optional, validate = [validate::not_empty()])]
    pub column: Attr<String>,
    /// How sensitive it is: `internal`, `personal` or `special` (a special category of GDPR Art. 9).
    #[attr(default = "internal", validate = [validate::one_of(Classification::NAMES)])]
    pub classification: Attr<String>,
    /// What it may be used for: a model needs one of them as its `purpose`. Unset: anything.
    #[attr(optional, validate = [validate::not_empty()])]
    pub purposes: Attr<BTreeSet<String>>,
}

/// Serving by entity.
#[derive(Model, Debug, Clone)]
pub struct OnlineModel {
    /// How old a value may be and still be joined in training, such as `30d`.
    #[attr(optional, validate = [rules::duration()])]
    pub ttl: Attr<Span>,
}

/// How long things are kept.
#[derive(Model, Debug, Clone)]
pub struct RetentionModel {
    /// Rows of the source, such as `365d`. It shows in `posture`; no rows are deleted yet.
    #[attr(optional, validate = [rules::duration()])]
    pub offline: Attr<Span>,
    /// Captured requests, such as `30d`; the shortest in the workspace holds. Unset: 30 days.
    #[attr(optional, validate = [rules::duration()])]
    pub captures: Attr<Span>,
}

/// `falaj_feature_store`.
pub struct FeatureStore;

impl Declared for FeatureStore {
    type Kind = api::FeatureStore;
    type Model = FeatureStoreModel;
    const NAME: &'static str = "falaj_feature_store";
    const PARENT: (&'static str, &'static str) = ("workspace_id", "workspace");

    fn parent(model: &FeatureStoreModel) -> &Attr<String> {
        &model.workspace_id
    }

    fn parent_mut(model: &mut FeatureStoreModel) -> &mut Attr<String> {
        &mut model.workspace_id
    }

    fn facts(model: &FeatureStoreModel) -> Facts {
        let retention = match &model.retention {
            Attr::Known(retention) => retention.offline.clone(),
            Attr::Null => Attr::Null,
            Attr::Unknown(_) => Attr::unknown(),
        };
        Facts {
            classification: classification(&model.features),
            retention: match retention {
                Attr::Known(span) => span.as_str().parse().ok().into(),
                Attr::Null => Attr::Null,
                Attr::Unknown(_) => Attr::unknown(),
            },
            ..Facts::default()
        }
    }

    fn validate(config: &FeatureStoreModel) -> Diagnostics {
        source::check(&config.source)
    }

    async fn plan(_: &Context<Shared>, _: Option<&Prefix>, plan: &mut Plan<FeatureStoreModel>) -> Diagnostics {
        let before = plan.prior.as_ref().map(|prior| (&prior.source, &prior.source_digest));
        match source::plan(before, &mut plan.planned.source).await {
            Ok(digest) => plan.planned.source_digest = digest,
            Err(problem) => {
                plan.planned.source_digest = Attr::unknown();
                return problem.into();
            }
        }
        Diagnostics::new()
    }

    async fn prepare(
        ctx: &Context<Shared>,
        connection: &Connection,
        place: &Prefix,
        model: &FeatureStoreModel,
    ) -> Result<(), Diagnostics> {
        let workspace = place.workspace.as_deref().unwrap_or_default();
        source::upload(ctx.shared()?, connection, workspace, &model.source, &model.source_digest).await
    }

    fn spec(model: &FeatureStoreModel, labels: Labels) -> Result<FeatureStoreSpec, Diagnostics> {
        let entity = want(&model.entity, "entity")?;
        let entity_path = AttributePath::root("entity");
        let features = want(&model.features, "features")?.iter().map(|(name, feature)| {
            let path = AttributePath::root("features").key(name.clone());
            let feature = api::Feature {
                data_type: choice(&feature.r#type, path.attribute("type"))?,
                column: feature.column.known().cloned(),
                classification: choice(&feature.classification, path.attribute("classification"))?,
                purposes: feature.purposes.clone().or_default().into_iter().collect(),
            };
            Ok((name.clone(), feature))
        });
        let ttl = |online: &OnlineModel| -> Result<api::Online, Diagnostics> {
            let path = AttributePath::root("online").attribute("ttl");
            Ok(api::Online { ttl: online.ttl.known().map(|ttl| duration(ttl, path)).transpose()? })
        };
        Ok(FeatureStoreSpec {
            entity: api::Entity {
                name: want(&entity.name, entity_path.attribute("name"))?.clone(),
                data_type: choice(&entity.r#type, entity_path.attribute("type"))?,
            },
            source: source::spec(&model.source, &model.source_digest)?,
            features: features.collect::<Result<_, Diagnostics>>()?,
            online: model.online.known().map(ttl).transpose()?,
            retention: model.retention.known().map(retention).transpose()?.unwrap_or_default(),
            labels,
        })
    }

    fn labels(spec: &FeatureStoreSpec) -> &Labels {
        &spec.labels
    }

    async fn declare(
        model: &mut FeatureStoreModel,
        spec: &FeatureStoreSpec,
        _: &Finder<'_>,
    ) -> Result<(), Diagnostics> {
        model.entity =
            Attr::Known(EntityModel { name: spec.entity.name.clone().into(), r#type: chosen(&spec.entity.data_type) });
        (model.source, model.source_digest) = source::declare(&model.source, &spec.source);
        let features = spec.features.iter().map(|(name, feature)| {
            let purposes: BTreeSet<String> = feature.purposes.iter().cloned().collect();
            let model = FeatureModel {
                r#type: chosen(&feature.data_type),
                column: feature.column.clone().into(),
                classification: chosen(&feature.classification),
                purposes: (!purposes.is_empty()).then_some(purposes).into(),
            };
            (name.clone(), model)
        });
        model.features = Attr::Known(features.collect());
        let online = spec.online.as_ref();
        model.online = online.map(|online| OnlineModel { ttl: optional_span(online.ttl) }).into();
        let retention = (spec.retention != Retention::default()).then(|| RetentionModel {
            offline: optional_span(spec.retention.offline),
            captures: optional_span(spec.retention.captures),
        });
        model.retention = retention.into();
        Ok(())
    }
}

fn optional_span(duration: Option<falaj_api::Duration>) -> Attr<Span> {
    duration.map_or(Attr::Null, span)
}

/// The highest classification among the features, once all are known.
fn classification(features: &Attr<BTreeMap<String, FeatureModel>>) -> Attr<Classification> {
    let Some(features) = features.known() else { return Attr::unknown() };
    let mut highest = None;
    for feature in features.values() {
        match choice::<Classification>(&feature.classification, "features") {
            Ok(class) => highest = highest.max(Some(class)),
            Err(_) => return Attr::unknown(),
        }
    }
    highest.into()
}

fn retention(model: &RetentionModel) -> Result<Retention, Diagnostics> {
    let path = AttributePath::root("retention");
    let read = |span: &Attr<Span>, name: &'static str| -> Result<Option<falaj_api::Duration>, Diagnostic> {
        span.known().map(|span| duration(span, path.attribute(name))).transpose()
    };
    Ok(Retention { offline: read(&model.offline, "offline")?, captures: read(&model.captures, "captures")? })
}
