//! The life of a cluster on Kubernetes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use falaj_api::Id;
use falaj_api::local::Seed;
use falaj_kube::ControlPlane;
use tfplugin::{Attr, Context, Diagnostic, Diagnostics, Failure};

use super::kubernetes::{KubernetesModel, Surroundings};
use super::{ClusterModel, put, settle, spec, what};
use crate::attributes::want;
use crate::cluster::{KubernetesCluster, KubernetesError, Target};
use crate::connection::{Connection, Shared};
use crate::errors::capital;
use crate::resources::reach::given_up;

/// Time that an operation keeps for what follows a wait, of its timeout.
const AFTER: Duration = Duration::from_secs(10);

/// What a look at Kubernetes says of a cluster that a state has.
pub enum Sight {
    /// Kubernetes itself says that there is nothing left of it.
    Gone,
    /// It cannot answer before an apply or a destroy has gone on.
    AsItWas,
    There,
}

fn failed(name: &str, error: &KubernetesError) -> Diagnostic {
    Diagnostic::error(format!("The cluster {name:?} could not be brought up"))
        .detail(format!("{}.", capital(&error.to_string())))
}

fn deadline(ctx: &Context<Shared>) -> Instant {
    let now = Instant::now();
    ctx.deadline().checked_sub(AFTER).unwrap_or(now).max(now)
}

/// Where the cluster is, if it is on Kubernetes: by its state, or where that is
/// an import's, by what connections are known.
pub fn target(shared: &Shared, name: &str, state: &ClusterModel) -> Result<Option<Target>, Diagnostic> {
    match (&state.kubernetes, &state.local) {
        (Attr::Known(kubernetes), _) => shared.learn_target(name, kubernetes.target(name)?).map(Some),
        (_, Attr::Known(_)) => Ok(None),
        _ => shared.target(name),
    }
}

/// The control plane that is declared, with what only Kubernetes knows.
async fn plane(
    cluster: &KubernetesCluster,
    model: &ClusterModel,
    kubernetes: &KubernetesModel,
    uid: &str,
) -> Result<ControlPlane, Diagnostics> {
    let name = want(&model.name, "name")?.clone();
    let seed = Seed {
        name: name.clone(),
        uid: uid.to_owned(),
        spec: spec(model, model.effective_labels.clone().or_default())?,
    };
    let around = async {
        let (_, owns_namespace) = cluster.begun().await?;
        Ok(Surroundings {
            kubernetes_uid: cluster.kubernetes_uid().await?,
            api_server: cluster.api_server().await?,
            owns_namespace,
        })
    };
    let around = around.await.map_err(|error| failed(&name, &error))?;
    kubernetes.plane(seed, around)
}

async fn open(shared: &Shared, name: &str, kubernetes: &KubernetesModel) -> Result<KubernetesCluster, Diagnostic> {
    let target = shared.learn_target(name, kubernetes.target(name)?)?;
    KubernetesCluster::open(name, target).await.map_err(|error| failed(name, &error))
}

/// Makes the declared objects and waits for the control plane.
async fn raise(
    ctx: &Context<Shared>,
    cluster: &KubernetesCluster,
    name: &str,
    plane: &ControlPlane,
) -> Result<Arc<Connection>, Diagnostics> {
    let shared = ctx.shared()?;
    shared.write_target(name, cluster.target());
    let until = deadline(ctx);
    let raised = ctx.run(async {
        cluster.apply(plane).await?;
        cluster.wait_until_ready(until).await
    });
    raised.await.map_err(|reason| given_up(reason, &what(name)))?.map_err(|error| {
        let mut diagnostic = failed(name, &error);
        diagnostic
            .detail
            .push_str(&format!(" What was made is in the namespace {}; an apply takes it up.", cluster.namespace()));
        diagnostic
    })?;
    shared.set_broken(name, None);
    shared.forget(name).await;
    Ok(shared.connect(name).await?)
}

pub async fn create(ctx: &Context<Shared>, model: ClusterModel) -> Result<ClusterModel, Failure<ClusterModel>> {
    let name = want(&model.name, "name")?.clone();
    let shared = ctx.shared()?;
    let kubernetes = want(&model.kubernetes, "kubernetes")?.clone();
    let cluster = open(shared, &name, &kubernetes).await?;
    let found = cluster.find().await.map_err(|error| failed(&name, &error))?;
    if let Some(found) = &found {
        if found.deleting {
            return Err(Diagnostic::error(format!("The cluster {name:?} is half removed"))
                .detail(format!(
                    "A destroy of it was begun and not finished. Delete the namespace {} first: kubectl delete namespace {0}",
                    cluster.namespace()
                ))
                .into());
        }
        // Whether the cluster may be taken over, its runtime decides, before anything is changed.
        if found.lived {
            shared.write_target(&name, cluster.target());
            let connection = shared.connect(&name).await?;
            put(shared, &connection, &model, None).await?;
        }
    }
    let begun = || async { cluster.begun().await.map_err(|error| failed(&name, &error)) };
    let uid = match found {
        Some(found) => found.seed.uid,
        None => begun().await?.0.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
    };
    let mut plane = plane(&cluster, &model, &kubernetes, &uid).await?;
    let planted = cluster.plant(&plane).await.map_err(|error| failed(&name, &error))?;
    plane.seed.uid = planted.uid;
    let connection = raise(ctx, &cluster, &name, &plane).await?;
    let (id, record) = put(shared, &connection, &model, None).await?;
    settle(ctx, &connection, model, id, record).await
}

pub async fn update(ctx: &Context<Shared>, model: ClusterModel, id: Id) -> Result<ClusterModel, Failure<ClusterModel>> {
    let name = id.place.cluster.clone();
    let kubernetes = want(&model.kubernetes, "kubernetes")?.clone();
    let cluster = open(ctx.shared()?, &name, &kubernetes).await?;
    let uid = want(&model.uid, "uid")?.clone();
    let plane = plane(&cluster, &model, &kubernetes, &uid).await?;
    let connection = raise(ctx, &cluster, &name, &plane).await?;
    let (id, record) = put(ctx.shared()?, &connection, &model, Some(id.uid)).await?;
    settle(ctx, &connection, model, id, record).await
}

/// Whether a look at Kubernetes found something that an apply repairs.
pub fn differs(state: &ClusterModel) -> bool {
    let differences = state.kubernetes.known().and_then(|kubernetes| kubernetes.differences.known());
    differences.is_some_and(|differences| !differences.is_empty())
}

/// Holds what is in Kubernetes against the state, and notes in it what differs.
pub async fn look(
    ctx: &Context<Shared>,
    id: &Id,
    target: &Target,
    state: &mut ClusterModel,
) -> Result<Sight, Diagnostics> {
    let name = &id.place.cluster;
    let what = what(name);
    let unseen = |error: &KubernetesError| {
        Diagnostic::error(format!("The cluster {name:?} cannot be reached")).detail(format!(
            "{}. Nothing is taken for gone until its own Kubernetes says so.",
            capital(&error.to_string())
        ))
    };
    let looked = ctx.run(async {
        let cluster = KubernetesCluster::open(name, target.clone()).await?;
        let kubernetes_uid = cluster.kubernetes_uid().await?;
        let found = cluster.find().await?;
        let gone = found.is_none() && cluster.is_gone().await?;
        Ok((cluster, kubernetes_uid, found, gone))
    });
    let (cluster, kubernetes_uid, found, gone) =
        looked.await.map_err(|reason| given_up(reason, &what))?.map_err(|error: KubernetesError| unseen(&error))?;
    let lived_on = state.machine_id.known().filter(|machine| **machine != kubernetes_uid);
    if let Some(lived_on) = lived_on {
        return Err(Diagnostic::error(format!("Not the Kubernetes cluster of {what}"))
            .detail(format!(
                "It lives on the one whose namespace kube-system has the uid {lived_on}; at {} is another, {kubernetes_uid}. Check the context of the kubeconfig, or the cluster's entry in the provider's `connections`.",
                cluster.server()
            ))
            .into());
    }
    if gone {
        return Ok(Sight::Gone);
    }
    let uid = state.uid.known().cloned();
    if let Some(found) = &found {
        if uid.as_ref().is_some_and(|uid| *uid != found.seed.uid) {
            return Err(Diagnostic::error(format!("Another cluster of the name {name:?}"))
                .detail(format!(
                    "The namespace {} holds the one with the uid {}; this state is of the one with the uid {}.",
                    cluster.namespace(),
                    found.seed.uid,
                    uid.unwrap_or_default()
                ))
                .into());
        }
        if found.deleting {
            ctx.warn(
                format!("The cluster {name:?} is half removed"),
                "A destroy of it was begun and not finished. Destroy it again; it goes on where it stopped.",
            );
            return Ok(Sight::AsItWas);
        }
    }
    let Some(uid) = uid.filter(|_| state.kubernetes.is_known()) else {
        // An import: what is there is what is declared.
        let mut model = KubernetesModel::found(target, cluster.settings().await.ok().as_ref())?;
        model.differences = Attr::Known(Vec::new());
        state.kubernetes = Attr::Known(model);
        ctx.shared()?.write_target(name, target);
        return Ok(Sight::There);
    };
    let kubernetes = want(&state.kubernetes, "kubernetes")?;
    let compared = ctx.run(async {
        let plane = plane(&cluster, state, kubernetes, &uid).await?;
        cluster.differences(&plane).await.map_err(|error| Diagnostics::from(unseen(&error)))
    });
    let differences = compared.await.map_err(|reason| given_up(reason, &what))??;
    let broken = match differences.is_empty() {
        true => None,
        // What differs may be why it does not answer, and the apply makes it right.
        false => cluster.not_ready().await.map_err(|error| unseen(&error))?,
    };
    if let Attr::Known(kubernetes) = &mut state.kubernetes {
        kubernetes.differences = Attr::Known(differences);
    }
    let shared = ctx.shared()?;
    shared.write_target(name, target);
    shared.set_broken(name, broken.clone());
    let Some(reason) = broken else { return Ok(Sight::There) };
    ctx.warn(
        format!("The cluster {name:?} does not answer as it is"),
        format!(
            "{}. An apply makes it as it is declared; until then what it holds is taken as it was.",
            capital(&reason)
        ),
    );
    Ok(Sight::AsItWas)
}

async fn with_plane(
    ctx: &Context<Shared>,
    name: &str,
    state: &ClusterModel,
) -> Result<(KubernetesCluster, ControlPlane), Diagnostics> {
    let kubernetes = want(&state.kubernetes, "kubernetes")?;
    let cluster = open(ctx.shared()?, name, kubernetes).await?;
    let plane = plane(&cluster, state, kubernetes, want(&state.uid, "uid")?).await?;
    Ok((cluster, plane))
}

/// Makes right what keeps a control plane from saying whether it may be removed.
pub async fn repair(ctx: &Context<Shared>, name: &str, state: &ClusterModel) -> Result<(), Diagnostics> {
    let (cluster, plane) = with_plane(ctx, name, state).await?;
    raise(ctx, &cluster, name, &plane).await.map(|_| ())
}

/// Whether a destroy has begun that has taken the record already.
pub async fn is_half_removed(ctx: &Context<Shared>, name: &str, state: &ClusterModel) -> Result<bool, Diagnostics> {
    let kubernetes = want(&state.kubernetes, "kubernetes")?;
    let cluster = open(ctx.shared()?, name, kubernetes).await?;
    let found = cluster.find().await.map_err(|error| failed(name, &error))?;
    Ok(match found {
        Some(found) => found.deleting && state.uid.known() == Some(&found.seed.uid),
        None => cluster.is_gone().await.map_err(|error| failed(name, &error))?,
    })
}

/// Removes everything of a cluster whose record is deleted.
pub async fn remove(ctx: &Context<Shared>, name: &str, state: &ClusterModel) -> Result<(), Diagnostics> {
    let (cluster, plane) = with_plane(ctx, name, state).await?;
    let until = deadline(ctx);
    let removed = ctx.run(async {
        if cluster.find().await?.is_some_and(|found| !found.deleting) {
            cluster.mark_deleting(&plane).await?;
        }
        cluster.remove(&plane, until).await
    });
    let held = |detail: String| {
        Diagnostic::error(format!("The cluster {name:?} is deleted, but not all of it is removed"))
            .detail(format!("{detail} Destroy it again; it goes on where it stopped."))
    };
    removed
        .await
        .map_err(|reason| held(given_up(reason, &what(name)).summary))?
        .map_err(|error| held(format!("{}.", capital(&error.to_string()))))?;
    let shared = ctx.shared()?;
    shared.forget_target(name);
    shared.forget(name).await;
    Ok(())
}
