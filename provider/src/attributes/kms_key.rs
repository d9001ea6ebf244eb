//! The key that seals, as a user writes it.

use falaj_api::{KeyUri, KmsKey, Region};
use tfplugin::{Attr, AttributePath, Diagnostic, Diagnostics, Model};

use super::{parse, rules, wanted};

/// The key that everything is sealed under.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct KmsKeyModel {
    /// `aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID`, or for development `file:///absolute/path` of 32 random bytes that only their owner can read (mode 0600).
    #[attr(required, validate = [rules::key_uri()])]
    pub uri: Attr<String>,
    /// Region of the key, which the residency rule must allow. Needed for a file; an ARN carries it, and is checked against it.
    #[attr(optional, validate = [rules::region()])]
    pub region: Attr<String>,
}

impl KmsKeyModel {
    /// The key of the contract; every part must be known.
    pub fn key(&self, path: &AttributePath) -> Result<KmsKey, Diagnostic> {
        let uri: KeyUri = wanted(&self.uri, path.attribute("uri"))?;
        let region = self.region.as_deref().map(|text| parse::<Region>(text, path.attribute("region"))).transpose()?;
        Ok(KmsKey { uri, region })
    }

    /// The attributes of a key.
    pub fn of(key: &KmsKey) -> Self {
        Self { uri: key.uri.to_string().into(), region: key.region.as_ref().map(ToString::to_string).into() }
    }
}

/// Where the key declared at `path` is, once that is known, and what is wrong
/// with how it is declared.
pub fn effective_region(
    key: &Attr<KmsKeyModel>,
    path: &AttributePath,
) -> Result<Option<(Region, AttributePath)>, Diagnostics> {
    let Some(key) = key.known() else { return Ok(None) };
    if key.uri.is_unknown() || key.region.is_unknown() {
        return Ok(None);
    }
    let at = path.attribute(if key.region.is_null() { "uri" } else { "region" });
    let wrong = |problem: String| Diagnostic::error("It is not clear where the key is").detail(problem).at(at.clone());
    let region = key.key(path)?.effective_region().map_err(wrong)?.clone();
    Ok(Some((region, at)))
}
