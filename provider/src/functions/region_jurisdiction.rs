//! `provider::falaj::region_jurisdiction`.

use falaj_api::Region;
use tfplugin::{Function, FunctionError, Model};

/// The country that a region is in.
pub struct RegionJurisdiction;

/// The parameters.
#[derive(Model, Debug, Clone)]
pub struct Params {
    /// A region such as `aws:me-central-1` or `onprem:ae-du:dubai-1`.
    pub region: String,
}

impl Function for RegionJurisdiction {
    type Params = Params;
    type Output = String;
    const NAME: &'static str = "region_jurisdiction";
    const SUMMARY: &'static str = "The country that a region is in, ISO 3166-1";
    const DESCRIPTION: &'static str = "`region_jurisdiction(\"gcp:me-central1\")` is `QA`, while `region_jurisdiction(\"aws:me-central-1\")` is `AE`.";

    fn call(&self, params: Params) -> Result<String, FunctionError> {
        let region: Region = params.region.parse().map_err(|problem: String| FunctionError::argument(0, problem))?;
        Ok(region.jurisdiction().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use tfplugin::Function;

    use super::{Params, RegionJurisdiction};

    #[test]
    fn the_country_follows_from_the_regions_name() {
        let call = |region: &str| RegionJurisdiction.call(Params { region: region.to_owned() });
        assert_eq!(call("onprem:ae-du:dubai-1").as_deref(), Ok("AE"));
        assert_eq!(call("me-central-1").unwrap_err().argument, Some(0));
    }
}
