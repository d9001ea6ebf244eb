//! The cluster itself: one record, whose declaration the seed began with.

use std::sync::Arc;

use falaj_api::{
    Place, Problem,
    cluster::{Cluster, ClusterSpec, ClusterStatus, GetRuntimeVersion, RuntimeVersion},
};
use falaj_store::{Session, records};

use crate::{
    control::Control,
    http::Routes,
    noun::{self, Noun},
    scope::Scope,
    stored::store_problem,
};

impl Noun for Cluster {
    async fn admit(
        control: &Control,
        _: &Scope,
        name: &str,
        spec: &ClusterSpec,
        _: Option<&records::Record>,
    ) -> Result<ClusterStatus, Problem> {
        let here = &control.cluster;
        if name != here.name {
            return Err(Problem::not_found(format!("the cluster {name:?}: this is {:?}", here.name)));
        }
        if spec.region != here.spec.region || spec.kms_key != here.spec.kms_key {
            return Err(Problem::conflict(format!(
                "the cluster {name:?} was made in {} under {}; region and key cannot be changed in place",
                here.spec.region, here.spec.kms_key.uri
            )));
        }
        check_residency(spec)?;
        Ok(ClusterStatus {
            runtime_version: falaj_api::version().to_owned(),
            key_custody: here.key_custody.to_owned(),
            machine_id: here.machine_id.clone(),
        })
    }

    async fn removable(_: &Control, session: &mut Session, _: &Scope, _: &records::Record) -> Result<(), Problem> {
        let workspaces = records::list_kind(session, "workspace").await.map_err(store_problem)?;
        let pools = records::list_kind(session, "gpu_node_pool").await.map_err(store_problem)?;
        let left: Vec<String> = workspaces.iter().chain(&pools).map(|r| format!("{} {:?}", r.kind, r.name)).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(Problem::conflict(format!("the cluster is not empty: it holds {}; destroy these first", left.join(", "))))
    }
}

/// The rule against itself, and the cluster's region and key against the rule.
///
/// # Errors
/// The rule is wrong, or something lies outside of it.
pub fn check_residency(spec: &ClusterSpec) -> Result<(), Problem> {
    let key_region =
        spec.kms_key.effective_region().map_err(|error| Problem::invalid("/spec/kms_key/region", error))?;
    let Some(rule) = &spec.residency else { return Ok(()) };
    for (region, pointer) in [(&spec.region, "/spec/region"), (key_region, "/spec/kms_key")] {
        rule.permits(&Place::declared(region.clone())).map_err(|error| Problem {
            pointer: Some(pointer.to_owned()),
            ..Problem::refused("residency", error.to_string())
        })?;
    }
    Ok(())
}

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    let routes = noun::routes::<Cluster>(routes);
    routes.call::<GetRuntimeVersion, _, _>(|control: Arc<Control>, _, _| async move {
        Ok(RuntimeVersion {
            version: falaj_api::version().to_owned(),
            cluster: control.cluster.name.clone(),
            cluster_uid: control.cluster.uid.clone(),
            machine_id: control.cluster.machine_id.clone(),
        })
    })
}
