//! What must hold of a cluster before anything is done, with the attribute at fault.

use falaj_api::Region;
use tfplugin::{Attr, AttributePath, Context, Diagnostics, Plan};

use super::{ClusterModel, service_of};
use crate::attributes::{kms_key, residency};
use crate::cluster::{Service, service};
use crate::connection::{Shared, release};

/// The release that the plan asks for, held against what runs and what this
/// provider brings.
pub fn version(ctx: &Context<Shared>, plan: &Plan<ClusterModel>, problems: &mut Diagnostics) {
    // On Kubernetes the image says the release.
    if !plan.planned.kubernetes.is_null() {
        return;
    }
    let runs = plan.prior.as_ref().and_then(|prior| prior.runtime_version.as_deref());
    let Some(asked) = plan.config.runtime_version.as_deref() else {
        if let Some(runs) =
            runs.filter(|runs| plan.config.runtime_version.is_null() && release(runs) < release(falaj_api::version()))
        {
            ctx.warn(
                "The cluster runs an older release",
                format!("It runs {runs}; this provider brings {ours}. Set runtime_version = \"{ours}\" to upgrade it in place.", ours = falaj_api::version()),
            );
        }
        return;
    };
    if Some(asked) == runs {
        return;
    }
    if runs.is_some_and(|runs| release(asked) < release(runs)) {
        problems.error_at(
            "runtime_version",
            "There is no way back to an older release",
            format!("The cluster runs {}; its data is not readable to {asked}. Leave runtime_version out to keep what runs.", runs.unwrap_or_default()),
        );
    } else if asked != falaj_api::version() {
        problems.error_at(
            "runtime_version",
            "This provider does not bring that release",
            format!(
                "It brings {}. Use the provider of release {asked}, or leave runtime_version out to keep what runs.",
                falaj_api::version()
            ),
        );
    }
}

/// What must hold of where the cluster, its key and its rule are.
pub fn places(shared: &Shared, plan: &Plan<ClusterModel>, problems: &mut Diagnostics) {
    let planned = &plan.planned;
    let rule_path = AttributePath::root("residency");
    let provided = residency::rule(&shared.residency);
    let rule = residency::rule(&planned.residency);
    if planned.residency.is_null() && provided.is_null() && !shared.allow_no_residency {
        problems.error_at(
            rule_path,
            "No residency rule is known",
            "Say where data and work may be, here or in the provider: residency = { jurisdiction = \"AE\", allowed_regions = [\"onprem:ae-du:dubai-1\"] }. Where really nothing is to be ruled, write allow_no_residency = true in the provider.",
        );
    }
    let region = planned.region.known().and_then(|text| text.parse::<Region>().ok());
    let key = match kms_key::effective_region(&planned.kms_key, &AttributePath::root("kms_key")) {
        Ok(key) => key,
        Err(wrong) => {
            problems.append(wrong);
            None
        }
    };
    let mut rules: Vec<_> = rule.known().into_iter().chain(provided.known()).collect();
    rules.dedup();
    for rule in rules {
        if let Some(region) = &region {
            problems.append(residency::check_region(rule, region, "region".into(), "The cluster"));
        }
        if let Some((region, path)) = &key {
            problems.append(residency::check_region(rule, region, path.clone(), "The key"));
        }
    }
}

pub fn key_is_kept(plan: &Plan<ClusterModel>, problems: &mut Diagnostics) {
    let Some(prior) = &plan.prior else { return };
    let kept = match (&prior.kms_key, &plan.planned.kms_key) {
        (Attr::Known(before), Attr::Known(now)) => before == now || now.uri.is_unknown() || now.region.is_unknown(),
        _ => true,
    };
    let replaced = prior.name != plan.planned.name || prior.region != plan.planned.region;
    if !kept && !replaced {
        problems.error_at(
            "kms_key",
            "The key of a cluster cannot be changed in place",
            "Everything the cluster holds is sealed under it. Restore the key; to use another, make another cluster.",
        );
    }
}

/// A service needs a systemd that answers.
pub async fn service(ctx: &Context<Shared>, plan: &Plan<ClusterModel>, problems: &mut Diagnostics) {
    let changes = plan.prior.as_ref().is_none_or(|prior| service_of(prior) != Service::Systemd);
    if !changes || service_of(&plan.planned) != Service::Systemd {
        return;
    }
    let path = AttributePath::root("local").attribute("service");
    if let Err(reason) = service::available().await {
        problems.error_at(
            path,
            "No systemd can keep this cluster running",
            format!("Here {reason}. Write service = \"none\" and let what supervises this machine run the cluster (the provider also starts it whenever it needs it), or apply this where systemd runs."),
        );
        return;
    }
    let local = ctx.try_shared().zip(plan.planned.name.known()).and_then(|(shared, name)| shared.local(name).ok());
    if let Some(Err(taken)) = local.map(|local| local.check_unit_is_free()) {
        problems.error_at(path, "The unit of this name is taken", format!("{taken}."));
    } else if service::ends_at_logout() {
        ctx.warn(
            "The cluster ends when its user logs out",
            "systemd keeps the services of a user only while somebody is logged in. Run `loginctl enable-linger` once to keep them from the start of the machine on.",
        );
    }
}
