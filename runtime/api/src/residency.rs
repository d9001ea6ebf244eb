//! Where data and work may be: one pure rule, asked at plan and again at every
//! write, key use and egress.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::region::{Region, check_jurisdiction, is_within};

/// The regions the law, or the customer, allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residency {
    /// ISO 3166-1 alpha-2 code, or `EU`.
    pub jurisdiction: String,
    pub allowed_regions: BTreeSet<Region>,
}

/// How it is known that something is in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Somebody wrote it down.
    Declared,
    /// A key service, node or certificate proves it.
    Attested,
}

/// A region, with how it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub region: Region,
    pub evidence: Evidence,
}

impl Place {
    #[must_use]
    pub fn declared(region: Region) -> Self {
        Self { region, evidence: Evidence::Declared }
    }
}

/// Why a residency rule is wrong, or a place outside of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResidencyError {
    #[error("{0}")]
    Jurisdiction(String),
    #[error("the rule allows no region: name at least one in allowed_regions")]
    Empty,
    #[error(
        "the rule is for {jurisdiction} but allows {region}, which is in {country}: take it out of allowed_regions or change the jurisdiction"
    )]
    LeavesJurisdiction { jurisdiction: String, region: Region, country: &'static str },
    #[error("{region} ({country}) is outside the allowed regions of {jurisdiction}: {allowed}")]
    Outside { region: Region, country: &'static str, jurisdiction: String, allowed: String },
    #[error("a narrower rule cannot allow {region}, which the rule above it does not allow: {allowed}")]
    Wider { region: Region, allowed: String },
}

impl Residency {
    /// Checks the rule against itself.
    ///
    /// # Errors
    /// The jurisdiction is unknown, or an allowed region lies outside of it.
    pub fn check(&self) -> Result<(), ResidencyError> {
        check_jurisdiction(&self.jurisdiction).map_err(ResidencyError::Jurisdiction)?;
        if self.allowed_regions.is_empty() {
            return Err(ResidencyError::Empty);
        }
        match self.allowed_regions.iter().find(|region| !is_within(region.jurisdiction(), &self.jurisdiction)) {
            Some(region) => Err(ResidencyError::LeavesJurisdiction {
                jurisdiction: self.jurisdiction.clone(),
                region: region.clone(),
                country: region.jurisdiction(),
            }),
            None => Ok(()),
        }
    }

    /// Whether something may be at `place`.
    ///
    /// # Errors
    /// The rule is wrong in itself, or the place is outside of it.
    pub fn permits(&self, place: &Place) -> Result<(), ResidencyError> {
        self.check()?;
        if self.allowed_regions.contains(&place.region) {
            return Ok(());
        }
        Err(ResidencyError::Outside {
            region: place.region.clone(),
            country: place.region.jurisdiction(),
            jurisdiction: self.jurisdiction.clone(),
            allowed: self.list(),
        })
    }

    /// The rule that holds where `inner` is declared below this one.
    ///
    /// # Errors
    /// `inner` allows a region that this rule does not.
    pub fn narrow(&self, inner: &Self) -> Result<Self, ResidencyError> {
        inner.check()?;
        match inner.allowed_regions.difference(&self.allowed_regions).next() {
            Some(region) => Err(ResidencyError::Wider { region: region.clone(), allowed: self.list() }),
            None => Ok(inner.clone()),
        }
    }

    fn list(&self) -> String {
        self.allowed_regions.iter().map(Region::as_str).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Residency, ResidencyError};

    fn rule(jurisdiction: &str, regions: &[&str]) -> Residency {
        Residency {
            jurisdiction: jurisdiction.into(),
            allowed_regions: regions.iter().map(|region| region.parse().unwrap()).collect(),
        }
    }

    fn place(region: &str) -> Place {
        Place::declared(region.parse().unwrap())
    }

    #[test]
    fn only_listed_regions_are_permitted_even_inside_the_jurisdiction() {
        let rule = rule("AE", &["aws:me-central-1"]);
        assert_eq!(rule.permits(&place("aws:me-central-1")), Ok(()));
        assert!(matches!(rule.permits(&place("onprem:ae-du:dubai-1")), Err(ResidencyError::Outside { .. })));
        assert!(matches!(rule.permits(&place("gcp:me-central1")), Err(ResidencyError::Outside { country: "QA", .. })));
    }

    #[test]
    fn a_rule_that_leaves_its_own_jurisdiction_is_an_error() {
        let rule = rule("AE", &["aws:me-central-1", "aws:eu-west-1"]);
        let error = rule.check().unwrap_err().to_string();
        assert!(error.contains("aws:eu-west-1") && error.contains("IE"), "{error}");
        assert_eq!(rule.permits(&place("aws:me-central-1")).unwrap_err(), rule.check().unwrap_err());
    }

    #[test]
    fn a_rule_below_can_only_narrow() {
        let outer = rule("AE", &["aws:me-central-1", "onprem:ae-du:dubai-1"]);
        let inner = rule("AE", &["aws:me-central-1"]);
        assert_eq!(outer.narrow(&inner), Ok(inner.clone()));
        assert!(matches!(inner.narrow(&outer), Err(ResidencyError::Wider { .. })));
    }
}
