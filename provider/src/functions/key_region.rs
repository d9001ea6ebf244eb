//! `provider::falaj::key_region`.

use falaj_api::KeyUri;
use tfplugin::{Function, FunctionError, Model};

/// The region that a key's URI carries.
pub struct KeyRegion;

/// The parameters.
#[derive(Model, Debug, Clone)]
pub struct Params {
    /// A key's URI such as `aws-kms://arn:aws:kms:me-central-1:111122223333:key/ID`.
    pub uri: String,
}

impl Function for KeyRegion {
    type Params = Params;
    type Output = Option<String>;
    const NAME: &'static str = "key_region";
    const SUMMARY: &'static str = "The region that a key's URI carries";
    const DESCRIPTION: &'static str = "Null where the URI does not carry one, as for `file:///...`.";

    fn call(&self, params: Params) -> Result<Option<String>, FunctionError> {
        let uri: KeyUri = params.uri.parse().map_err(|problem: String| FunctionError::argument(0, problem))?;
        Ok(uri.region().map(ToString::to_string))
    }
}

#[cfg(test)]
mod tests {
    use tfplugin::Function;

    use super::{KeyRegion, Params};

    #[test]
    fn an_arn_carries_its_region_and_a_file_none() {
        let call = |uri: &str| KeyRegion.call(Params { uri: uri.to_owned() });
        let arn = "aws-kms://arn:aws:kms:me-central-1:111122223333:key/1";
        assert_eq!(call(arn), Ok(Some("aws:me-central-1".to_owned())));
        assert_eq!(call("file:///k"), Ok(None));
        assert!(call("k").is_err());
    }
}
