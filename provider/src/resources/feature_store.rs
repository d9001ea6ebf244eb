//! `falaj_feature_store`: named features of one entity, from one source.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use falaj_api::blob::GetBlobInfo;
use falaj_api::feature_store::{
    self as api, Classification, DataType, FeatureStoreSpec, Location, Retention, SourceFormat,
};
use falaj_api::id::Prefix;
use tfplugin::{Attr, AttributePath, Context, Diagnostic, Diagnostics, Model, Plan, Span, Timeouts, validate};

use super::declared::{Declared, Finder};
use super::workspace::no_labels;
use crate::attributes::labels::Labels;
use crate::attributes::posture::Declared as Facts;
use crate::attributes::{PostureModel, choice, chosen, duration, object, rules, span, want};
use crate::cluster::sha256;
use crate::connection::{Connection, Shared};
use crate::errors;

/// Named features of one entity, from one source, joined as of the time asked for.
#[derive(Model, Debug, Clone)]
pub struct FeatureStoreModel {
    /// `<region>/<cluster>/<workspace>/feature_store/<name>/<uid>`.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the workspace it is in.
    #[attr(required, replace)]
    pub workspace_id: Attr<String>,
    /// Its name, unique in the workspace.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// What the features describe.
    #[attr(required, replace)]
    pub entity: Attr<EntityModel>,
    /// Where the rows are: `parquet` or `csv`.
    #[attr(required)]
    pub source: Attr<SourceModel>,
    /// SHA-256 of the uploaded file; null where the runtime reads the source itself.
    #[attr(computed)]
    pub source_digest: Attr<String>,
    /// The features, by name.
    #[attr(required, validate = [validate::not_empty()])]
    pub features: Attr<BTreeMap<String, FeatureModel>>,
    /// Serves features by entity. Unset: offline only.
    #[attr(optional)]
    pub online: Attr<OnlineModel>,
    /// How long rows and captured requests are kept. Unset: what the environment says.
    #[attr(optional)]
    pub retention: Attr<RetentionModel>,
    /// Labels, over those of the provider.
    #[attr(default = no_labels())]
    pub labels: Attr<Labels>,
    /// Its labels with those of the provider.
    #[attr(computed)]
    pub effective_labels: Attr<Labels>,
    /// What a policy needs to know of it.
    #[attr(computed, local)]
    pub posture: Attr<PostureModel>,
    /// How long each operation may take; 10 minutes by default.
    #[attr(optional)]
    pub timeouts: Attr<Timeouts>,
}
object!(FeatureStoreModel);

/// The column of the source that identifies what the features describe.
#[derive(Model, Debug, Clone)]
pub struct EntityModel {
    /// The column.
    #[attr(required, validate = [validate::not_empty()])]
    pub name: Attr<String>,
    /// `int64`, `float64`, `string` or `bool`.
    #[attr(default = "string", validate = [validate::one_of(DataType::NAMES)])]
    pub r#type: Attr<String>,
}

/// Where the rows are: exactly one of these.
#[derive(Model, Debug, Clone)]
pub struct SourceModel {
    /// A Parquet file.
    #[attr(optional)]
    pub parquet: Attr<FileModel>,
    /// A CSV file with a header.
    #[attr(optional)]
    pub csv: Attr<FileModel>,
}

/// A file with an entity, times and values in each row: exactly one of `path` and `uri`.
#[derive(Model, Debug, Clone)]
pub struct FileModel {
    /// A file on the machine that runs Terraform, uploaded sealed.
    #[attr(optional, validate = [validate::not_empty()])]
    pub path: Attr<String>,
    /// What the runtime reads itself: an absolute `file:///` inside its allow-list.
    #[attr(optional, validate = [rules::source_uri()])]
    pub uri: Attr<String>,
    /// The column that says when a row became true.
    #[attr(required, validate = [validate::not_empty()])]
    pub event_time: Attr<String>,
    /// The column that says when a row became known, so that training sees only what was known.
    #[attr(optional, validate = [validate::not_empty()])]
    pub created_time: Attr<String>,
}

/// One feature.
#[derive(Model, Debug, Clone)]
pub struct FeatureModel {
    /// `int64`, `float64`, `string` (a category) or `bool`.
    #[attr(required, validate = [validate::one_of(DataType::NAMES)])]
    pub r#type: Attr<String>,
    /// The source's column; default the feature's name.
    #[attr(optional, validate = [validate::not_empty()])]
    pub column: Attr<String>,
    /// `internal`, `personal` or `special` (GDPR Art. 9).
    #[attr(default = "internal", validate = [validate::one_of(Classification::NAMES)])]
    pub classification: Attr<String>,
    /// What it may be used for. Unset: anything.
    #[attr(optional, validate = [validate::not_empty()])]
    pub purposes: Attr<BTreeSet<String>>,
}

/// Serving by entity.
#[derive(Model, Debug, Clone)]
pub struct OnlineModel {
    /// How old a value may be and still be served, or joined in training, such as `30d`.
    #[attr(optional, validate = [rules::duration()])]
    pub ttl: Attr<Span>,
}

/// How long things are kept.
#[derive(Model, Debug, Clone)]
pub struct RetentionModel {
    /// Rows of the source, such as `365d`.
    #[attr(optional, validate = [rules::duration()])]
    pub offline: Attr<Span>,
    /// Captured requests, such as `30d`.
    #[attr(optional, validate = [rules::duration()])]
    pub captures: Attr<Span>,
}

/// The one source that is declared, and its format.
fn declared(source: &Attr<SourceModel>) -> Option<(SourceFormat, &'static str, &FileModel)> {
    let source = source.known()?;
    let parquet = source.parquet.known().map(|file| (SourceFormat::Parquet, "parquet", file));
    parquet.or_else(|| source.csv.known().map(|file| (SourceFormat::Csv, "csv", file)))
}

fn declared_mut(source: &mut Attr<SourceModel>) -> Option<&mut FileModel> {
    let source = source.known_mut()?;
    match source.parquet.is_known() {
        true => source.parquet.known_mut(),
        false => source.csv.known_mut(),
    }
}

fn file_path(format: &'static str) -> AttributePath {
    AttributePath::root("source").attribute(format)
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
        let mut problems = Diagnostics::new();
        let Some(source) = config.source.known() else { return problems };
        let path = AttributePath::root("source");
        match (&source.parquet, &source.csv) {
            (Attr::Null, Attr::Null) => problems.error_at(
                path,
                "A source without a format",
                "Write exactly one of parquet = { ... } and csv = { ... }.",
            ),
            (Attr::Known(_), Attr::Known(_)) => {
                problems.error_at(path, "A source of two formats", "Keep one of `parquet` and `csv`.");
            }
            _ => {}
        }
        if let Some((_, format, file)) = declared(&config.source) {
            match (&file.path, &file.uri) {
                (Attr::Null, Attr::Null) => problems.error_at(
                    file_path(format),
                    "A source that is nowhere",
                    "Write exactly one of `path` (a file here, to be uploaded) and `uri` (what the runtime reads itself).",
                ),
                (Attr::Known(_), Attr::Known(_)) => {
                    problems.error_at(file_path(format), "A source in two places", "Keep one of `path` and `uri`.");
                }
                _ => {}
            }
        }
        problems
    }

    async fn plan(_: &Context<Shared>, _: Option<&Prefix>, plan: &mut Plan<FeatureStoreModel>) -> Diagnostics {
        let mut problems = Diagnostics::new();
        plan.planned.source_digest = match declared(&plan.planned.source) {
            Some((_, format, FileModel { path: Attr::Known(path), .. })) => match digest(path.clone(), format).await {
                Ok(digest) => digest.into(),
                Err(problem) => {
                    problems.push(problem);
                    Attr::unknown()
                }
            },
            Some((_, _, FileModel { uri: Attr::Known(_), .. })) => Attr::Null,
            _ => Attr::unknown(),
        };
        // The same bytes under another path are no change: a checkout elsewhere, a renamed file.
        if let Some(prior) = &plan.prior
            && prior.source_digest.is_known()
            && prior.source_digest == plan.planned.source_digest
            && let Some((_, _, FileModel { path: before @ Attr::Known(_), .. })) = declared(&prior.source)
            && let Some(file) = declared_mut(&mut plan.planned.source)
        {
            file.path = before.clone();
        }
        problems
    }

    async fn prepare(connection: &Connection, place: &Prefix, model: &FeatureStoreModel) -> Result<(), Diagnostics> {
        let Some((_, format, FileModel { path: Attr::Known(path), .. })) = declared(&model.source) else {
            return Ok(());
        };
        let digest = want(&model.source_digest, "source_digest")?.clone();
        let workspace = place.workspace.clone().unwrap_or_default();
        let what = format!("the source {path}");
        let info = connection.call(&GetBlobInfo { workspace: workspace.clone(), digest: digest.clone() }).await;
        if info.map_err(|error| errors::diagnostic(&error, &what, &[]))?.present {
            return Ok(());
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, format, &error))?;
        tracing::info!(path, bytes = bytes.len(), "uploading the source");
        connection.client.upload(&workspace, &digest, bytes).await.map_err(|error| {
            let diagnostic = errors::diagnostic(&error, &what, &[]);
            let hint = "If the file changed since the plan, plan again.";
            let detail = format!("{} {hint}", diagnostic.detail);
            diagnostic.detail(detail).at(file_path(format).attribute("path"))
        })?;
        Ok(())
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
            source: source(model)?,
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
        declare_source(model, &spec.source);
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

async fn digest(path: String, format: &'static str) -> Result<String, Diagnostic> {
    let file = PathBuf::from(&path);
    let hashed = tokio::task::spawn_blocking(move || sha256(&file)).await;
    match hashed {
        Ok(Ok(digest)) => Ok(digest),
        Ok(Err(error)) => Err(unreadable(&path, format, &error)),
        Err(_) => Err(Diagnostic::error("Reading the source was interrupted").at(file_path(format).attribute("path"))),
    }
}

fn unreadable(path: &str, format: &'static str, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error("The source cannot be read")
        .detail(format!(
            "{path}: {error}. `path` is a file on this machine, from where Terraform runs: write \"${{path.module}}/...\" for one beside the configuration."
        ))
        .at(file_path(format).attribute("path"))
}

fn source(model: &FeatureStoreModel) -> Result<api::Source, Diagnostics> {
    let missing = || Diagnostic::error("A source without a format").at("source");
    let (format, name, file) = declared(&model.source).ok_or_else(missing)?;
    let location = match (&file.uri, &model.source_digest) {
        (Attr::Known(uri), _) => Location::Uri { uri: uri.clone() },
        (_, digest) => Location::Upload { digest: want(digest, "source_digest")?.clone() },
    };
    Ok(api::Source {
        format,
        location,
        event_time: want(&file.event_time, file_path(name).attribute("event_time"))?.clone(),
        created_time: file.created_time.known().cloned(),
    })
}

fn retention(model: &RetentionModel) -> Result<Retention, Diagnostics> {
    let path = AttributePath::root("retention");
    let read = |span: &Attr<Span>, name: &'static str| -> Result<Option<falaj_api::Duration>, Diagnostic> {
        span.known().map(|span| duration(span, path.attribute(name))).transpose()
    };
    Ok(Retention { offline: read(&model.offline, "offline")?, captures: read(&model.captures, "captures")? })
}

/// The source on record. From where an uploaded file came, nobody remembers
/// but the state.
fn declare_source(model: &mut FeatureStoreModel, source: &api::Source) {
    let before = declared(&model.source).and_then(|(_, _, file)| file.path.known().cloned());
    let (path, uri, digest) = match &source.location {
        Location::Upload { digest } => (before, None, Some(digest.clone())),
        Location::Uri { uri } => (None, Some(uri.clone()), None),
    };
    let file = FileModel {
        path: path.into(),
        uri: uri.into(),
        event_time: source.event_time.clone().into(),
        created_time: source.created_time.clone().into(),
    };
    let (parquet, csv) = match source.format {
        SourceFormat::Parquet => (Attr::Known(file), Attr::Null),
        SourceFormat::Csv => (Attr::Null, Attr::Known(file)),
    };
    model.source = Attr::Known(SourceModel { parquet, csv });
    model.source_digest = digest.into();
}
