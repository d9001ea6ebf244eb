//! Endpoints: what may be declared; [`crate::serving`] makes it so.

use std::{collections::BTreeMap, sync::Arc};

use falaj_api::{
    Problem,
    endpoint::{Endpoint, EndpointSpec, EndpointStatus, GetServing, Serving},
    model::Model,
    record::State,
};
use falaj_store::{Session, Tx, records};

use crate::{
    control::Control,
    http::Routes,
    identity::Principal,
    model::resolve,
    noun::{self, Noun},
    placement::Placement,
    scope::{Scope, find, scope},
    serving::capture_key,
    stored::{from_json, store_problem},
};

impl Noun for Endpoint {
    async fn admit(
        control: &Control,
        scope: &Scope,
        _: &str,
        spec: &EndpointSpec,
        prior: Option<&records::Record>,
    ) -> Result<EndpointStatus, Problem> {
        control.permit(scope.workspace.as_ref(), &control.cluster.spec.region, "/spec").await?;
        check_weights(spec)?;
        if spec.replicas == 0 {
            return Err(Problem::invalid("/spec/replicas", "an endpoint has at least one replica"));
        }
        if spec.replicas > 1 && matches!(control.host.placement, Placement::Processes) {
            return Err(Problem::invalid("/spec/replicas", "a cluster on one machine serves with one process: use 1"));
        }
        if let Some(capture) = &spec.capture
            && !(0.0..=100.0).contains(&capture.sampling_percent)
        {
            return Err(Problem::invalid("/spec/capture/sampling_percent", "use a share from 0 to 100"));
        }
        for name in &spec.invokers {
            falaj_api::name::check(name).map_err(|error| Problem::invalid("/spec/invokers", error))?;
        }
        let mut session = control.store.read().await.map_err(store_problem)?;
        for (name, variant) in &spec.variants {
            let pointer = format!("/spec/variants/{name}");
            let (model, _) = find::<Model>(&mut session, scope, &variant.model, &pointer).await?;
            let wanted = match (&variant.version, &variant.alias) {
                (Some(version), None) => version.to_string(),
                (None, Some(alias)) => alias.clone(),
                _ => {
                    return Err(Problem::invalid(&pointer, "a variant follows a version or an alias: set exactly one"));
                }
            };
            if resolve(&mut session, &model.uid, &wanted).await?.is_none() && !variant.shadow {
                return Err(Problem::invalid(&pointer, not_set(&variant.model, &wanted)));
            }
        }
        prior.map_or_else(|| Ok(EndpointStatus::default()), |prior| from_json(prior.status.clone()))
    }

    async fn declared(_: &Control, _: &mut Tx, _: &Scope, record: &records::Record) -> Result<State, Problem> {
        Ok(if record.generation == 1 { State::Creating } else { State::Updating })
    }

    async fn removable(
        _: &Control,
        session: &mut Session,
        scope: &Scope,
        record: &records::Record,
    ) -> Result<(), Problem> {
        for monitor in records::list(session, "monitor", scope.parent()).await.map_err(store_problem)? {
            let spec: falaj_api::monitor::MonitorSpec = from_json(monitor.spec)?;
            if spec.endpoint == record.name {
                return Err(Problem::conflict(format!(
                    "the monitor {:?} watches the endpoint {:?}; destroy the monitor first",
                    monitor.name, record.name
                )));
            }
        }
        Ok(())
    }

    /// Without its key nothing that was captured can be read again.
    async fn removed(tx: &mut Tx, record: &records::Record) -> Result<(), Problem> {
        tx.erase_key(&capture_key(&record.workspace, &record.uid)).await.map_err(store_problem)?;
        Ok(())
    }

    fn wake(control: &Control) {
        control.serving.wake();
        control.deleted.notify_one();
    }
}

fn not_set(model: &str, wanted: &str) -> String {
    match wanted.parse::<u32>() {
        Ok(version) => format!("the model {model:?} has no version {version}"),
        Err(_) => format!(
            "the alias {wanted:?} of the model {model:?} is not set: its gates did not pass, or nothing promoted a version yet; \
             see the model's gates, follow \"candidate\", or make the variant a shadow, which waits"
        ),
    }
}

fn check_weights(spec: &EndpointSpec) -> Result<(), Problem> {
    let weighted: Vec<_> = spec.variants.iter().filter(|(_, variant)| !variant.shadow).collect();
    if weighted.is_empty() {
        return Err(Problem::invalid("/spec/variants", "declare at least one variant that is no shadow"));
    }
    if let Some((name, _)) = spec.variants.iter().find(|(_, variant)| variant.shadow && variant.weight.is_some()) {
        return Err(Problem::invalid(
            &format!("/spec/variants/{name}/weight"),
            "a shadow has no weight: it sees all traffic",
        ));
    }
    let sum: u64 = match weighted.as_slice() {
        [(_, only)] => u64::from(only.weight.unwrap_or(100)),
        several => several.iter().map(|(_, variant)| u64::from(variant.weight.unwrap_or(0))).sum(),
    };
    if sum != 100 {
        return Err(Problem::invalid(
            "/spec/variants",
            format!("the weights add up to {sum}: make them add up to 100"),
        ));
    }
    Ok(())
}

async fn serving(control: Arc<Control>, _: Principal, call: GetServing) -> Result<Serving, Problem> {
    let (endpoint, status, workspace) = {
        let mut session = control.store.read().await.map_err(store_problem)?;
        let scope = scope(&mut session, Some(&call.workspace)).await?;
        let (record, _) = find::<Endpoint>(&mut session, &scope, &call.endpoint, "/endpoint").await?;
        let status: EndpointStatus = from_json(record.status)?;
        (record.name, status, scope.workspace()?.uid.clone())
    };
    let (versions, waiting) = match control.serving.versions(&workspace, &endpoint).await {
        Ok(versions) => (versions, None),
        Err(waiting) => (BTreeMap::new(), Some(waiting)),
    };
    let reason = status.failure.or(waiting);
    Ok(Serving { ready: reason.is_none(), versions, reason })
}

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    noun::routes::<Endpoint>(routes).call::<GetServing, _, _>(serving)
}

#[cfg(test)]
mod tests {
    use falaj_api::endpoint::{EndpointSpec, Variant};

    fn spec(weights: &[(Option<u32>, bool)]) -> EndpointSpec {
        let variant = |(index, (weight, shadow)): (usize, &(Option<u32>, bool))| {
            let variant = Variant {
                model: "m".into(),
                version: None,
                alias: Some("champion".into()),
                weight: *weight,
                shadow: *shadow,
            };
            (format!("v{index}"), variant)
        };
        EndpointSpec {
            variants: weights.iter().enumerate().map(variant).collect(),
            replicas: 1,
            capture: None,
            invokers: Default::default(),
            labels: Default::default(),
        }
    }

    #[test]
    fn the_weights_of_those_that_are_no_shadow_add_up_to_100() {
        for good in [&[(None, false)][..], &[(Some(100), false), (None, true)], &[(Some(60), false), (Some(40), false)]]
        {
            assert!(super::check_weights(&spec(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &[][..],
            &[(None, true)],
            &[(Some(90), false)],
            &[(None, false), (None, false)],
            &[(Some(100), false), (Some(5), true)],
        ] {
            assert!(super::check_weights(&spec(bad)).is_err(), "{bad:?}");
        }
    }
}
