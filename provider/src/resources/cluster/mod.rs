//! `falaj_cluster`: a runtime in one region, under one key, brought to life here.

mod checks;
mod kubernetes;
#[cfg(test)]
mod kubernetes_tests;
mod on_kubernetes;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use falaj_api::cluster::{self as api, ClusterSpec};
use falaj_api::id::Prefix;
use falaj_api::record::{Delete, Put};
use falaj_api::{Id, Kind, Record, Region};
use tfplugin::{
    Attr, AttributePath, Context, DefaultTimeouts, Diagnostic, Diagnostics, Failure, Import, Model, Plan, Resource,
    Timeouts, validate,
};

use super::managed::{get, imported_id};
use super::operation::{Unfinished, wait};
use super::reach::{Owner, Unreachable, given_up, known_id, reach};
use super::workspace::no_labels;
use crate::attributes::labels::{self, Labels};
use crate::attributes::posture::{self, Facts};
use crate::attributes::{
    KmsKeyModel, PostureModel, ResidencyModel, blank, differs, object, residency, rules, want, wanted,
};
use crate::cluster::{LocalCluster, LocalError, Service};
use crate::connection::{Connection, Shared};
use crate::{errors, place};
use kubernetes::KubernetesModel;

/// A runtime in one region, under one key and one residency rule.
///
/// Everything declared in a cluster inherits these three and can only narrow them. A
/// region or a key that the rule does not allow is an error at plan. On one machine
/// the cluster runs beside Terraform, in a directory of its own; the guide *A cluster
/// on one machine* says what runs, where its files are and how to back it up. The
/// guide *A cluster on Kubernetes* says the same of `kubernetes`.
#[derive(Model, Debug, Clone)]
pub struct ClusterModel {
    /// `<region>/<name>/<uid>`; all but the uid is known at plan.
    #[attr(computed, not_null)]
    pub id: Attr<String>,
    /// Name of the cluster: 2 to 63 lower-case letters, digits and hyphens.
    #[attr(required, replace, validate = [rules::name()])]
    pub name: Attr<String>,
    /// Where it is: a cloud and its region, such as `aws:me-central-1`, or a place of one's own with its ISO 3166-2 code, such as `onprem:ae-du:dubai-1`. The jurisdiction follows from it.
    #[attr(required, replace, validate = [rules::region()])]
    pub region: Attr<String>,
    /// The key that everything is sealed under.
    #[attr(required)]
    pub kms_key: Attr<KmsKeyModel>,
    /// Where data and work may be. Unset: the provider's rule.
    #[attr(optional, computed)]
    pub residency: Attr<ResidencyModel>,
    /// Runs it on the machine that runs Terraform; `{}` is enough. Exactly one of `local` and `kubernetes`.
    #[attr(optional)]
    pub local: Attr<LocalModel>,
    /// Runs it on Kubernetes.
    #[attr(optional)]
    pub kubernetes: Attr<KubernetesModel>,
    /// Release of the runtime. Unset: what runs is kept. A newer one upgrades in place; an older one is an error.
    #[attr(optional, computed, not_null)]
    pub runtime_version: Attr<String>,
    /// Tells this cluster from every other, one of the same name too.
    #[attr(computed, not_null)]
    pub uid: Attr<String>,
    /// Machine that it lives on.
    #[attr(computed, not_null)]
    pub machine_id: Attr<String>,
    /// Who holds the key: `host` (a file on the machine) or `service` (a key service).
    #[attr(computed, not_null)]
    pub key_custody: Attr<String>,
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
object!(ClusterModel);

/// A cluster of one machine, in a directory below the provider's `data_dir`.
#[derive(Model, Debug, Clone)]
pub struct LocalModel {
    /// What keeps it running: `none` (the provider starts it whenever it needs it) or `systemd` (it starts with the machine, and again whenever it ends).
    #[attr(default = "none", validate = [validate::one_of(["none", "systemd"])])]
    pub service: Attr<String>,
}

/// `falaj_cluster`.
pub struct ClusterResource;

type Kinded = api::Cluster;

fn place(model: &ClusterModel) -> Option<Prefix> {
    let region: Region = model.region.known()?.parse().ok()?;
    Some(Prefix::cluster(region, model.name.known()?))
}

fn complete_posture(shared: Option<&Arc<Shared>>, model: &mut ClusterModel) {
    let place = place(model);
    if let (Some(shared), Some(place)) = (shared, &place) {
        shared.keys.learn(place, model.kms_key.clone());
    }
    let facts = Facts { kms_key: model.kms_key.clone(), ..Facts::default() };
    model.posture = posture::of(place.map(|place| place.region).as_ref(), &facts).into();
}

fn spec(model: &ClusterModel, labels: Labels) -> Result<ClusterSpec, Diagnostics> {
    let path = AttributePath::root("kms_key");
    Ok(ClusterSpec {
        region: wanted(&model.region, "region")?,
        residency: residency::rule(&model.residency).into_known(),
        kms_key: want(&model.kms_key, path.clone())?.key(&path)?,
        labels,
    })
}

fn local_error(error: &LocalError, name: &str) -> Diagnostic {
    Diagnostic::error(format!("The cluster {name:?} could not be brought up"))
        .detail(format!("{}.", errors::capital(&error.to_string())))
}

/// The cluster on this machine, brought up if it was not there.
async fn bring_up(shared: &Shared, name: &str, spec: &ClusterSpec) -> Result<Arc<Connection>, Diagnostics> {
    let local = shared.local(name)?;
    let planted = local.plant(spec).map_err(|error| local_error(&error, name))?;
    match shared.connect(name).await {
        Ok(connection) if connection.runtime.cluster_uid == planted.seed.uid => Ok(connection),
        Ok(connection) => Err(Diagnostic::error(format!("Another cluster of the name {name:?}"))
            .detail(format!(
                "The runtime that answers has the uid {}, the data directory {} belongs to {}.",
                connection.runtime.cluster_uid,
                local.dir().display(),
                planted.seed.uid
            ))
            .into()),
        Err(error) => {
            // Nothing is lost with a directory in which no runtime ever came to life.
            if planted.fresh
                && let Err(error) = local.remove().await
            {
                tracing::warn!(%error, "the new data directory could not be removed");
            }
            Err(Diagnostic::error(format!("The cluster {name:?} could not be brought up")).detail(error.detail).into())
        }
    }
}

/// The cluster's runtime, of the release and under the service that are planned.
async fn arranged(
    shared: &Shared,
    name: &str,
    model: &ClusterModel,
    prior: Option<&ClusterModel>,
) -> Result<Arc<Connection>, Diagnostics> {
    let connection = shared.connect(name).await?;
    let runs = &connection.runtime.version;
    let mut arranged = false;
    if let Some(asked) = model.runtime_version.known().filter(|asked| *asked != runs) {
        tracing::info!(cluster = name, from = runs, to = asked, "upgrading the runtime");
        shared.local(name)?.upgrade().await.map_err(|error| local_error(&error, name))?;
        arranged = true;
    }
    let service = service_of(model);
    match kept_here(shared, name, &connection.runtime.cluster_uid) {
        Some(local) => arranged |= local.keep_by(service).await.map_err(|error| local_error(&error, name))?,
        None if prior.is_some_and(|prior| service_of(prior) != service) => {
            return Err(Diagnostic::error(format!("The cluster {name:?} is not on this machine"))
                .detail(
                    "What keeps a cluster running can only be changed where its data directory is. Apply this there.",
                )
                .at(AttributePath::root("local").attribute("service"))
                .into());
        }
        None => {}
    }
    if !arranged {
        return Ok(connection);
    }
    shared.forget(name).await;
    Ok(shared.connect(name).await?)
}

/// The cluster, if its data directory is on this machine.
fn kept_here(shared: &Shared, name: &str, uid: &str) -> Option<LocalCluster> {
    let local = shared.local(name).ok()?;
    let seed = local.seed().ok()??;
    (seed.uid == uid).then_some(local)
}

/// What is to keep the server running.
fn service_of(model: &ClusterModel) -> Service {
    Service::of(model.local.known().and_then(|local| local.service.as_deref()).unwrap_or_default())
}

async fn put(
    shared: &Shared,
    connection: &Connection,
    model: &ClusterModel,
    uid: Option<String>,
) -> Result<(Id, Record<Kinded>), Diagnostics> {
    let spec = spec(model, model.effective_labels.clone().or_default())?;
    let name = want(&model.name, "name")?.clone();
    let put = Put::<Kinded> { workspace: None, name: name.clone(), uid, spec };
    let record = shared.call(connection, &put).await.map_err(|error| refused(&error, &name))?;
    let id =
        record.id.parse().map_err(|problem: String| Diagnostic::error("The runtime gave no id").detail(problem))?;
    Ok((id, record))
}

fn refused(error: &falaj_api::client::ClientError, name: &str) -> Diagnostic {
    errors::diagnostic(error, &what(name), &ClusterModel::attributes())
}

async fn settle(
    ctx: &Context<Shared>,
    connection: &Connection,
    mut model: ClusterModel,
    id: Id,
    record: Record<Kinded>,
) -> Result<ClusterModel, Failure<ClusterModel>> {
    model.id = record.id.clone().into();
    model.uid = connection.runtime.cluster_uid.clone().into();
    model.machine_id = connection.runtime.machine_id.clone().into();
    model.runtime_version = connection.runtime.version.clone().into();
    model.key_custody = record.status.key_custody.clone().into();
    complete_posture(ctx.try_shared(), &mut model);
    let unfinished = match wait(ctx, &id, record).await {
        Ok(_) => return Ok(model),
        Err(unfinished) => unfinished,
    };
    let stopped = matches!(unfinished, Unfinished::Stopped);
    let diagnostic = unfinished.diagnostic(&what(&id.place.cluster), ctx.timeout());
    if stopped {
        ctx.diagnose(diagnostic);
        return Ok(model);
    }
    Err(Failure::partial(model, diagnostic))
}

fn what(name: &str) -> String {
    format!("the cluster {name:?}")
}

/// A connection to the cluster of this state and no other.
async fn reach_own(ctx: &Context<Shared>, id: &Id, state: &ClusterModel) -> Result<Arc<Connection>, Unreachable> {
    let owner =
        Owner { cluster_uid: state.uid.clone().or_default(), machine_id: state.machine_id.clone().or_default() };
    reach(ctx, &id.place.cluster, owner, &what(&id.place.cluster)).await
}

impl Resource for ClusterResource {
    type Shared = Shared;
    type Model = ClusterModel;
    const NAME: &'static str = "falaj_cluster";

    fn default_timeouts(&self) -> DefaultTimeouts {
        DefaultTimeouts::all(Duration::from_secs(600))
    }

    async fn validate(&self, _: &Context<Shared>, config: &ClusterModel) -> Result<(), Diagnostics> {
        let mut problems = residency::check(&residency::rule(&config.residency), &AttributePath::root("residency"));
        problems.append(kubernetes::check(config));
        problems.into_result().map(|_| ())
    }

    async fn plan(&self, ctx: &Context<Shared>, plan: &mut Plan<ClusterModel>) -> Result<(), Diagnostics> {
        let mut problems = Diagnostics::new();
        if plan.is_create() {
            plan.planned.id = place::planned_id(place(&plan.planned).as_ref());
        }
        let shared = ctx.try_shared();
        if plan.config.residency.is_null() {
            plan.planned.residency = shared.map_or_else(Attr::unknown, |shared| shared.residency.clone());
        }
        let provided = shared.map_or_else(Attr::unknown, |shared| shared.labels.clone());
        plan.planned.effective_labels = labels::merge(&provided, &plan.planned.labels);
        complete_posture(shared, &mut plan.planned);
        kubernetes::plan(plan, &mut problems);
        checks::version(ctx, plan, &mut problems);
        checks::service(ctx, plan, &mut problems).await;
        checks::key_is_kept(plan, &mut problems);
        if let Some(shared) = shared
            && differs(plan.prior.as_ref(), &plan.planned)
        {
            checks::places(shared, plan, &mut problems);
        }
        problems.into_result().map(|warnings| ctx.diagnose(warnings))
    }

    async fn create(
        &self,
        ctx: &Context<Shared>,
        plan: Plan<ClusterModel>,
    ) -> Result<ClusterModel, Failure<ClusterModel>> {
        let model = plan.planned;
        let name = want(&model.name, "name")?.clone();
        let shared = ctx.shared()?;
        if model.kubernetes.is_known() {
            return on_kubernetes::create(ctx, model).await;
        }
        let spec = spec(&model, model.effective_labels.clone().or_default())?;
        // Given up half-way, what is laid down is taken up by the next create.
        ctx.run(bring_up(shared, &name, &spec)).await.map_err(|reason| given_up(reason, &what(&name)))??;
        let connection = arranged(shared, &name, &model, None).await?;
        let (id, record) = put(shared, &connection, &model, None).await?;
        settle(ctx, &connection, model, id, record).await
    }

    async fn read(&self, ctx: &Context<Shared>, state: ClusterModel) -> Result<Option<ClusterModel>, Diagnostics> {
        let id = known_id(&state.id)?;
        let what = what(&id.place.cluster);
        let mut state = state;
        if let Some(target) = on_kubernetes::target(ctx.shared()?, &id.place.cluster, &state)? {
            match on_kubernetes::look(ctx, &id, &target, &mut state).await? {
                on_kubernetes::Sight::Gone => return Ok(None),
                on_kubernetes::Sight::AsItWas => return Ok(Some(state)),
                on_kubernetes::Sight::There => {}
            }
        }
        let connection = match ctx.run(reach_own(ctx, &id, &state)).await.map_err(|reason| given_up(reason, &what))? {
            Ok(connection) => connection,
            Err(Unreachable { abandoned: true, problem, .. }) => {
                ctx.warn("The cluster is taken as it was", problem.detail);
                return Ok(Some(state));
            }
            Err(unreachable) => return Err(unreachable.problem.into()),
        };
        let answer = ctx
            .run(ctx.shared()?.call(&connection, &get::<Kinded>(&id)))
            .await
            .map_err(|reason| given_up(reason, &what))?;
        let record = match answer {
            Ok(record) => record,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(refused(&error, &id.place.cluster).into()),
        };
        let mut model = state;
        let found = record.spec.labels.clone();
        if spec(&model, found.clone()).ok().as_ref() != Some(&record.spec) {
            model.name = record.name.into();
            model.region = record.spec.region.to_string().into();
            model.kms_key = Attr::Known(KmsKeyModel::of(&record.spec.kms_key));
            model.residency = record.spec.residency.as_ref().map(residency::model).into();
        }
        match kept_here(ctx.shared()?, &id.place.cluster, &connection.runtime.cluster_uid) {
            _ if model.kubernetes.is_known() => {}
            Some(local) => model.local = Attr::Known(LocalModel { service: local.service().to_string().into() }),
            None if model.local.is_null() => {
                model.local = Attr::Known(LocalModel { service: Service::None.to_string().into() });
            }
            None => {}
        }
        model.labels = Attr::Known(labels::own(&ctx.shared()?.labels, &model.labels, &found));
        model.effective_labels = Attr::Known(found);
        model.uid = connection.runtime.cluster_uid.clone().into();
        model.machine_id = connection.runtime.machine_id.clone().into();
        model.runtime_version = connection.runtime.version.clone().into();
        model.key_custody = record.status.key_custody.into();
        complete_posture(ctx.try_shared(), &mut model);
        Ok(Some(model))
    }

    async fn update(
        &self,
        ctx: &Context<Shared>,
        plan: Plan<ClusterModel>,
    ) -> Result<ClusterModel, Failure<ClusterModel>> {
        let model = plan.planned;
        let id = known_id(plan.prior.as_ref().map_or(&model.id, |prior| &prior.id))?;
        if model.kubernetes.is_known() {
            return on_kubernetes::update(ctx, model, id).await;
        }
        let connection = arranged(ctx.shared()?, &id.place.cluster, &model, plan.prior.as_ref()).await?;
        let (id, record) = put(ctx.shared()?, &connection, &model, Some(id.uid)).await?;
        settle(ctx, &connection, model, id, record).await
    }

    async fn delete(&self, ctx: &Context<Shared>, state: ClusterModel) -> Result<(), Diagnostics> {
        let id = known_id(&state.id)?;
        let name = id.place.cluster.clone();
        let on_kubernetes = on_kubernetes::target(ctx.shared()?, &name, &state)?.is_some();
        if on_kubernetes && on_kubernetes::is_half_removed(ctx, &name, &state).await? {
            return on_kubernetes::remove(ctx, &name, &state).await;
        }
        if on_kubernetes && on_kubernetes::differs(&state) {
            on_kubernetes::repair(ctx, &name, &state).await?;
        }
        let connection = match reach_own(ctx, &id, &state).await {
            Ok(connection) => connection,
            Err(Unreachable { abandoned: true, problem, .. }) => {
                ctx.warn("The cluster is forgotten, not destroyed", problem.detail);
                return Ok(());
            }
            Err(unreachable) => return Err(unreachable.problem.into()),
        };
        let delete = Delete::<Kinded> { workspace: None, name: name.clone(), uid: id.uid, kind: PhantomData };
        match ctx.shared()?.call(&connection, &delete).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(refused(&error, &name).into()),
        }
        let shared = ctx.shared()?;
        if on_kubernetes {
            return on_kubernetes::remove(ctx, &name, &state).await;
        }
        shared.local(&name)?.remove().await.map_err(|error| {
            Diagnostic::error(format!("The cluster {name:?} is deleted, but not all of it is removed"))
                .detail(format!("{}. Destroy it again.", errors::capital(&error.to_string())))
        })?;
        shared.forget(&name).await;
        Ok(())
    }

    async fn import(&self, _: &Context<Shared>, import: Import) -> Result<ClusterModel, Diagnostics> {
        let id = imported_id(&import, Kinded::NAME)?;
        Ok(ClusterModel { id: id.to_string().into(), ..blank()? })
    }
}
