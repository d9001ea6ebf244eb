//! `falaj_endpoint`: variants of models behind one address.

use std::collections::{BTreeMap, BTreeSet};

use falaj_api::endpoint::{self as api, EndpointSpec, EndpointStatus};
use falaj_api::id::Prefix;
use falaj_api::model::Model as ModelKind;
use tfplugin::{Attr, AttributePath, Context, Diagnostics, Model, Plan, Timeouts, Value, validate};

use super::declared::{Declared, Finder, known_ids};
use super::workspace::no_labels;
use crate::attributes::labels::Labels;
use crate::attributes::{PostureModel, object, rules, want, wanted};
use crate::connection::Shared;
use crate::place;

/// Models behind one address, which speaks the Open Inference Protocol over mutual TLS.
///
/// Each variant follows an alias, and with it every promotion, or stays at a version.
/// Only applications with a certificate for this endpoint can call it. Private keys are
/// files on the cluster's machine and never in the state.
#[derive(Model, Debug, Clone)]
pub struct EndpointModel {
    /// `<region>/<cluster>/<workspace>/endpoint/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Id of the workspace it is in.
    #[attr(required, replace)]
    pub workspace_id: Attr<String>,
    /// Name, unique in the workspace: 2 to 63 lower-case letters, digits and hyphens. The first application that may call it has the same name.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// Models, by a name of your choice. The weights of those that are not shadows add up to 100.
    #[attr(required, validate = [validate::not_empty()])]
    pub variants: Attr<BTreeMap<String, VariantModel>>,
    /// Pods that answer, each with all variants; 1 on a local cluster, which serves with one process.
    #[attr(default = 1, validate = [rules::at_least(1)])]
    pub replicas: Attr<u32>,
    /// Further applications that may call it; each gets a certificate of its own.
    #[attr(default = no_invokers(), validate = [validate::each(rules::name())])]
    pub invokers: Attr<BTreeSet<String>>,
    /// Which requests and answers are kept, sealed, for the monitor. Unset: none.
    #[attr(optional)]
    pub capture: Attr<CaptureModel>,
    /// Base address; `/v2/models/<name>/infer` lies below it.
    #[attr(computed)]
    pub url: Attr<String>,
    /// File with the certificate (PEM) that the endpoint's own is signed with; on a local cluster.
    #[attr(computed)]
    pub ca_file: Attr<String>,
    /// File with the certificate (PEM) of the application named after the endpoint, which may call it and nothing else; on a local cluster.
    #[attr(computed)]
    pub client_cert_file: Attr<String>,
    /// File with that application's private key (PEM); on a local cluster.
    #[attr(computed)]
    pub client_key_file: Attr<String>,
    /// `<namespace>/<name>` of the Secret that holds the same three as `ca.crt`, `tls.crt` and `tls.key`; on Kubernetes.
    #[attr(computed)]
    pub client_secret: Attr<String>,
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
object!(EndpointModel);

/// One model behind the endpoint. It follows a version or an alias.
#[derive(Model, Debug, Clone)]
pub struct VariantModel {
    /// Id of the model, in the same workspace.
    #[attr(required)]
    pub model_id: Attr<String>,
    /// Version it stays at. Give this or `alias`.
    #[attr(optional, validate = [rules::at_least(1)])]
    pub version: Attr<u32>,
    /// Alias it follows: that of the model's `promotion`, or `candidate` for the newest version. Give this or `version`.
    #[attr(optional, validate = [rules::name()])]
    pub alias: Attr<String>,
    /// Its share of the traffic, in percent; none for a shadow.
    #[attr(optional, validate = [validate::range(0, 100)])]
    pub weight: Attr<u32>,
    /// Sees the traffic and answers none of it: its answers go to the capture only.
    #[attr(default = false)]
    pub shadow: Attr<bool>,
}

/// What is kept of the traffic.
#[derive(Model, Debug, Clone)]
pub struct CaptureModel {
    /// Share of the requests that are kept, in percent.
    #[attr(required, validate = [validate::range(0, 100)])]
    pub sampling_percent: Attr<f64>,
}

fn no_invokers() -> Value {
    Value::Set(Vec::new())
}

fn variants_path() -> AttributePath {
    AttributePath::root("variants")
}

/// `falaj_endpoint`.
pub struct Endpoint;

impl Declared for Endpoint {
    type Kind = api::Endpoint;
    type Model = EndpointModel;
    const NAME: &'static str = "falaj_endpoint";
    const PARENT: (&'static str, &'static str) = ("workspace_id", "workspace");

    fn parent(model: &EndpointModel) -> &Attr<String> {
        &model.workspace_id
    }

    fn parent_mut(model: &mut EndpointModel) -> &mut Attr<String> {
        &mut model.workspace_id
    }

    fn validate(config: &EndpointModel) -> Diagnostics {
        let mut problems = Diagnostics::new();
        let Some(variants) = config.variants.known() else { return problems };
        for (name, variant) in variants {
            check_variant(variant, &variants_path().key(name.clone()), &mut problems);
        }
        check_weights(variants, &mut problems);
        problems
    }

    async fn plan(_: &Context<Shared>, place: Option<&Prefix>, plan: &mut Plan<EndpointModel>) -> Diagnostics {
        let mut problems = Diagnostics::new();
        for (name, variant) in plan.planned.variants.known().into_iter().flatten() {
            let path = variants_path().key(name.clone()).attribute("model_id");
            if let Err(problem) = place::same_workspace(&variant.model_id, "model", place, path) {
                problems.push(problem);
            }
        }
        problems
    }

    fn spec(model: &EndpointModel, labels: Labels) -> Result<EndpointSpec, Diagnostics> {
        let variants = want(&model.variants, "variants")?.iter().map(|(name, variant)| {
            let id: falaj_api::Id = wanted(&variant.model_id, variants_path().key(name.clone()).attribute("model_id"))?;
            let variant = api::Variant {
                model: id.place.name().to_owned(),
                version: variant.version.known().copied(),
                alias: variant.alias.known().cloned(),
                weight: variant.weight.known().copied(),
                shadow: variant.shadow.clone().or_default(),
            };
            Ok((name.clone(), variant))
        });
        let capture = |capture: &CaptureModel| {
            let path = AttributePath::root("capture").attribute("sampling_percent");
            Ok::<_, Diagnostics>(api::Capture { sampling_percent: *want(&capture.sampling_percent, path)? })
        };
        Ok(EndpointSpec {
            variants: variants.collect::<Result<_, Diagnostics>>()?,
            replicas: *want(&model.replicas, "replicas")?,
            capture: model.capture.known().map(capture).transpose()?,
            invokers: model.invokers.clone().or_default(),
            labels,
        })
    }

    fn labels(spec: &EndpointSpec) -> &Labels {
        &spec.labels
    }

    async fn declare(model: &mut EndpointModel, spec: &EndpointSpec, finder: &Finder<'_>) -> Result<(), Diagnostics> {
        let mut ids = known_ids(model.variants.known().into_iter().flatten().map(|(_, variant)| &variant.model_id));
        let mut variants = BTreeMap::new();
        for (name, variant) in &spec.variants {
            let id = match ids.get(&variant.model) {
                Some(id) => id.clone(),
                None => finder.id::<ModelKind>(&variant.model).await?,
            };
            ids.insert(variant.model.clone(), id.clone());
            let variant = VariantModel {
                model_id: id.into(),
                version: variant.version.into(),
                alias: variant.alias.clone().into(),
                weight: variant.weight.into(),
                shadow: variant.shadow.into(),
            };
            variants.insert(name.clone(), variant);
        }
        model.variants = variants.into();
        model.replicas = spec.replicas.into();
        model.invokers = spec.invokers.clone().into();
        let capture = spec.capture.as_ref();
        model.capture = capture.map(|c| CaptureModel { sampling_percent: c.sampling_percent.into() }).into();
        Ok(())
    }

    fn observe(model: &mut EndpointModel, status: &EndpointStatus) {
        let places =
            [&status.url, &status.ca_file, &status.client_cert_file, &status.client_key_file, &status.client_secret];
        for (attribute, place) in places_of(model).into_iter().zip(places) {
            *attribute = Some(place).filter(|place| !place.is_empty()).cloned().into();
        }
    }

    fn expect(model: &mut EndpointModel) {
        for attribute in places_of(model) {
            *attribute = Attr::unknown();
        }
    }
}

/// Where it is and what a caller needs.
fn places_of(model: &mut EndpointModel) -> [&mut Attr<String>; 5] {
    [
        &mut model.url,
        &mut model.ca_file,
        &mut model.client_cert_file,
        &mut model.client_key_file,
        &mut model.client_secret,
    ]
}

fn check_variant(variant: &VariantModel, path: &AttributePath, problems: &mut Diagnostics) {
    if variant.version.is_known() && variant.alias.is_known() {
        problems.error_at(
            path.attribute("version"),
            "A variant follows a version or an alias",
            "Both are set: keep `alias` to follow promotions, or `version` to stay where it is.",
        );
    }
    if variant.version.is_null() && variant.alias.is_null() {
        problems.error_at(
            path.clone(),
            "A variant follows a version or an alias",
            "Neither is set: write alias = \"champion\" to follow promotions, or version = 1 to stay there.",
        );
    }
    let shadow = variant.shadow.known() == Some(&true);
    if shadow && variant.weight.known().is_some_and(|weight| *weight > 0) {
        problems.error_at(
            path.attribute("weight"),
            "A shadow has no share of the traffic",
            "A shadow sees the traffic and answers none of it: leave out `weight`, or `shadow`.",
        );
    }
}

/// Once all is known that counts, the shares make a whole.
fn check_weights(variants: &BTreeMap<String, VariantModel>, problems: &mut Diagnostics) {
    if variants.values().any(|variant| variant.weight.is_unknown() || variant.shadow.is_unknown()) {
        return;
    }
    let answering = || variants.iter().filter(|(_, variant)| variant.shadow.known() != Some(&true));
    let total: u64 = answering().map(|(_, variant)| u64::from(variant.weight.clone().or_default())).sum();
    if total == 100 {
        return;
    }
    let list: Vec<String> = answering()
        .map(|(name, variant)| format!("{name} {}", variant.weight.known().map_or("unset".to_owned(), u32::to_string)))
        .collect();
    let given = if list.is_empty() { "no variant answers: all are shadows".to_owned() } else { list.join(", ") };
    problems.error_at(
        variants_path(),
        "The weights do not add up to 100",
        format!("They add up to {total} ({given}). The weights of the variants that are not shadows are shares of the traffic in percent."),
    );
}
