//! The residency rule as a user writes it, and asking it with a path.

use std::collections::BTreeSet;

use falaj_api::residency::ResidencyError;
use falaj_api::{Place, Region, Residency};
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model, validate};

use super::rules;

/// Where data and work may be.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct ResidencyModel {
    /// Whose law holds: an ISO 3166-1 country code, or `EU`.
    #[attr(required, validate = [rules::jurisdiction()])]
    pub jurisdiction: Attr<String>,
    /// The regions allowed, each inside the jurisdiction, such as `aws:me-central-1` or `onprem:ae-du:dubai-1`.
    #[attr(required, validate = [validate::not_empty(), validate::each(rules::region())])]
    pub allowed_regions: Attr<BTreeSet<String>>,
}

/// The rule, once every part of it is known.
pub fn rule(attribute: &Attr<ResidencyModel>) -> Attr<Residency> {
    let model = match attribute {
        Attr::Known(model) => model,
        Attr::Null => return Attr::Null,
        Attr::Unknown(refinement) => return Attr::Unknown(refinement.clone()),
    };
    let regions = |names: &BTreeSet<String>| names.iter().map(|name| name.parse::<Region>().ok()).collect();
    match (&model.jurisdiction, model.allowed_regions.known().and_then(regions)) {
        (Attr::Known(jurisdiction), Some(allowed_regions)) => {
            Attr::Known(Residency { jurisdiction: jurisdiction.clone(), allowed_regions })
        }
        // A region that cannot be read was reported where it was validated.
        _ => Attr::unknown(),
    }
}

/// The rule as attributes.
pub fn model(rule: &Residency) -> ResidencyModel {
    ResidencyModel {
        jurisdiction: rule.jurisdiction.clone().into(),
        allowed_regions: Attr::Known(rule.allowed_regions.iter().map(ToString::to_string).collect()),
    }
}

/// Checks a rule, declared at `path`, against itself.
pub fn check(rule: &Attr<Residency>, path: &AttributePath) -> Diagnostics {
    let Some(Err(error)) = rule.known().map(Residency::check) else {
        return Diagnostics::new();
    };
    let part = match error {
        ResidencyError::Jurisdiction(_) => "jurisdiction",
        _ => "allowed_regions",
    };
    Diagnostic::error("The residency rule contradicts itself")
        .detail(format!("{}.", crate::errors::capital(&error.to_string())))
        .at(path.attribute(part))
        .into()
}

/// Checks that something declared at `path` may be in `region`.
pub fn check_region(rule: &Residency, region: &Region, path: AttributePath, what: &str) -> Diagnostics {
    match rule.permits(&Place::declared(region.clone())) {
        Err(ResidencyError::Outside { region, country, jurisdiction, allowed }) => {
            Diagnostic::error(format!("{what} would leave {jurisdiction}'s allowed regions"))
                .detail(format!(
                    "{region} is in {country}; the residency rule for {jurisdiction} allows {allowed}. Choose one of these, or have the rule changed."
                ))
                .at(path)
                .into()
        }
        // A rule that is wrong in itself is reported where it is declared.
        _ => Diagnostics::new(),
    }
}

/// Checks that a rule declared at `path` only narrows the one above it.
pub fn check_narrows(outer: &Residency, inner: &Residency, path: &AttributePath) -> Diagnostics {
    match outer.narrow(inner) {
        Err(error @ ResidencyError::Wider { .. }) => {
            Diagnostic::error("The residency rule is wider than the one above it")
                .detail(format!("{}.", crate::errors::capital(&error.to_string())))
                .at(path.attribute("allowed_regions"))
                .into()
        }
        _ => Diagnostics::new(),
    }
}
