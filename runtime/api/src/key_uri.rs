//! Where an encryption key is.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Region;

/// A key service's URI: `file:///absolute/path` (development only) or
/// `aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyUri {
    /// A 32-byte key in a file that only its owner can read.
    File { path: PathBuf },
    /// A key in AWS KMS, by the ARN of the key or of an alias.
    AwsKms { arn: String, region: Region },
}

impl KeyUri {
    /// The region, where the URI carries it.
    #[must_use]
    pub fn region(&self) -> Option<&Region> {
        match self {
            Self::File { .. } => None,
            Self::AwsKms { region, .. } => Some(region),
        }
    }
}

impl FromStr for KeyUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{text:?} is not a key URI: {why}; write \"aws-kms://arn:aws:kms:REGION:ACCOUNT:key/ID\", \
                 or \"file:///absolute/path\" in a development workspace"
            )
        };
        if let Some(path) = text.strip_prefix("file://") {
            let path = PathBuf::from(path);
            let plain = path.components().all(|part| !matches!(part, std::path::Component::ParentDir));
            if !path.is_absolute() || !plain {
                return Err(wrong("the path must be absolute, without \"..\""));
            }
            return Ok(Self::File { path });
        }
        let Some(arn) = text.strip_prefix("aws-kms://") else {
            return Err(wrong("its scheme is neither aws-kms nor file"));
        };
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", "aws", "kms", region, account, resource] = parts.as_slice() else {
            return Err(wrong("it holds no ARN of a key in the aws partition"));
        };
        if account.len() != 12 || !account.chars().all(|c| c.is_ascii_digit()) {
            return Err(wrong("the account is not 12 digits"));
        }
        let id = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"));
        let plain = |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c));
        if !id.is_some_and(plain) {
            return Err(wrong("the ARN does not end in key/ID or alias/NAME"));
        }
        let region: Region = format!("aws:{region}").parse().map_err(|_| wrong("the ARN's region is unknown"))?;
        Ok(Self::AwsKms { arn: arn.to_owned(), region })
    }
}

impl fmt::Display for KeyUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => write!(f, "file://{}", path.display()),
            Self::AwsKms { arn, .. } => write!(f, "aws-kms://{arn}"),
        }
    }
}

impl Serialize for KeyUri {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyUri {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A key and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsKey {
    pub uri: KeyUri,
    /// May be left out only where the URI carries the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

impl KmsKey {
    /// The region of the key, declared or carried by its URI.
    ///
    /// # Errors
    /// Neither says it, or they disagree.
    pub fn effective_region(&self) -> Result<&Region, String> {
        match (self.uri.region(), self.region.as_ref()) {
            (Some(carried), Some(declared)) if carried != declared => {
                Err(format!("the key's URI says {carried} but region says {declared}: leave region out, or correct it"))
            }
            (Some(region), _) | (None, Some(region)) => Ok(region),
            (None, None) => Err(format!("{} does not say where the key is: set kms_key.region", self.uri)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyUri, KmsKey};

    #[test]
    fn an_aws_arn_carries_its_region() {
        let uri: KeyUri = "aws-kms://arn:aws:kms:me-central-1:111122223333:key/1234-ab".parse().unwrap();
        assert_eq!(uri.region().unwrap().as_str(), "aws:me-central-1");
        assert_eq!(uri.to_string(), "aws-kms://arn:aws:kms:me-central-1:111122223333:key/1234-ab");
    }

    #[test]
    fn a_malformed_uri_is_refused_with_the_right_form() {
        for bad in [
            "",
            "key",
            "file://relative",
            "file:///a/../b",
            "aws-kms://key/1",
            "vault://x",
            "aws-kms://arn:aws:kms:moon-1:111122223333:key/1",
            "aws-kms://arn:aws:kms:me-central-1:1:key/1",
            "aws-kms://arn:aws-cn:kms:me-central-1:111122223333:key/1",
            "aws-kms://arn:aws:kms:me-central-1:111122223333:key/",
            "aws-kms://arn:aws:kms:me-central-1:111122223333:key/a\nb",
        ] {
            assert!(bad.parse::<KeyUri>().unwrap_err().contains("aws-kms://arn:aws:kms"), "{bad}");
        }
    }

    #[test]
    fn a_declared_region_must_agree_with_the_uri() {
        let key = |uri: &str, region: Option<&str>| KmsKey {
            uri: uri.parse().unwrap(),
            region: region.map(|r| r.parse().unwrap()),
        };
        let arn = "aws-kms://arn:aws:kms:me-central-1:111122223333:key/1";
        assert!(key(arn, None).effective_region().is_ok());
        assert!(key(arn, Some("aws:eu-west-1")).effective_region().is_err());
        assert!(key("file:///k", None).effective_region().is_err());
        assert!(key("file:///k", Some("onprem:ae-du:dubai-1")).effective_region().is_ok());
    }
}
