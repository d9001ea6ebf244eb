//! Keys in AWS KMS.
//!
//! The client speaks only to the region in the ARN; nothing in the environment can send it to
//! another one. `AWS_ENDPOINT_URL_KMS` is the one way to name another address (a test server, a
//! VPC endpoint), and it must be `https` unless it is on this machine.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region as AwsRegion};
use aws_sdk_kms::Client;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyMetadata, KeyState as AwsKeyState};
use falaj_api::KeyUri;
use zeroize::Zeroizing;

use crate::{Context, Custody, DATA_KEY_LEN, DataKey, Description, KeyState, Kms, KmsError, Problem};

const ENDPOINT_ENV: &str = "AWS_ENDPOINT_URL_KMS";

/// A symmetric key in AWS KMS.
pub struct AwsKms {
    uri: String,
    /// The ARN of the key itself. An alias is resolved once, when it is opened: moving the alias
    /// later does not move what this process writes, so that a wrapped key never depends on where
    /// an alias points.
    key_arn: String,
    region: String,
    client: Client,
}

impl fmt::Debug for AwsKms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKms").field("key_arn", &self.key_arn).finish_non_exhaustive()
    }
}

impl AwsKms {
    /// Prepares to use the key. An alias costs one DescribeKey; a key's own ARN costs no request.
    ///
    /// # Errors
    /// The URI is not an AWS one, the endpoint override is not acceptable, or the alias does not
    /// lead to a key in the same region.
    pub async fn open(uri: &KeyUri) -> Result<Self, KmsError> {
        let text = uri.to_string();
        let KeyUri::AwsKms { arn, region } = uri else {
            return Err(KmsError::new(&text, "open the key", Problem::BadUri));
        };
        let name = region.as_str().strip_prefix("aws:").unwrap_or(region.as_str());
        let endpoint = std::env::var(ENDPOINT_ENV).ok().filter(|e| !e.is_empty());
        if let Some(endpoint) = &endpoint {
            check_endpoint(&text, endpoint)?;
        }
        let shared =
            aws_config::defaults(BehaviorVersion::latest()).region(AwsRegion::new(name.to_owned())).load().await;
        // Set explicitly, also when it is absent: AWS_ENDPOINT_URL and profiles must not decide
        // where key material is sent.
        let mut config = aws_sdk_kms::config::Builder::from(&shared);
        config.set_endpoint_url(endpoint);
        let mut kms = Self {
            key_arn: arn.clone(),
            region: region.as_str().to_owned(),
            uri: text,
            client: Client::from_conf(config.build()),
        };
        if arn.contains(":alias/") {
            kms.key_arn = kms.resolve_alias(arn).await?;
        }
        Ok(kms)
    }

    async fn resolve_alias(&self, alias: &str) -> Result<String, KmsError> {
        let action = "find the key of the alias";
        let metadata = self.metadata(alias, action).await?;
        let arn = metadata.arn().unwrap_or_default();
        let here = region_of(alias);
        if here.is_none() || region_of(arn) != here {
            return Err(KmsError::new(&self.uri, action, Problem::BadUri)
                .detail(format!("it leads to {arn:?}, which is not a key in the alias's own region")));
        }
        Ok(arn.to_owned())
    }

    async fn metadata(&self, key: &str, action: &'static str) -> Result<KeyMetadata, KmsError> {
        self.client
            .describe_key()
            .key_id(key)
            .send()
            .await
            .map_err(|e| self.explain(action, e))?
            .key_metadata
            .ok_or_else(|| self.odd_reply(action))
    }

    fn odd_reply(&self, action: &'static str) -> KmsError {
        KmsError::new(&self.uri, action, Problem::Other).detail("the reply lacks what was asked for")
    }

    fn explain<E>(&self, action: &'static str, error: SdkError<E>) -> KmsError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let code = error.code().map(str::to_owned);
        let message = error.message().unwrap_or_default().to_owned();
        let problem = match &error {
            SdkError::ServiceError(_) => classify(code.as_deref().unwrap_or_default(), &message),
            SdkError::ConstructionFailure(_) => Problem::AccessDenied,
            _ => Problem::Unavailable,
        };
        let detail = match code {
            Some(code) if message.is_empty() => code,
            Some(code) => format!("{code}: {message}"),
            None => DisplayErrorContext(&error).to_string(),
        };
        KmsError::new(&self.uri, action, problem).detail(detail).caused_by(error)
    }
}

#[async_trait]
impl Kms for AwsKms {
    async fn generate_data_key(&self, context: &Context) -> Result<DataKey, KmsError> {
        let action = "generate a data key";
        let reply = self
            .client
            .generate_data_key()
            .key_id(&self.key_arn)
            .key_spec(DataKeySpec::Aes256)
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| self.explain(action, e))?;
        let plaintext = reply.plaintext.map(|b| Zeroizing::new(b.into_inner()));
        let (Some(bytes), Some(wrapped)) = (plaintext, reply.ciphertext_blob) else {
            return Err(self.odd_reply(action));
        };
        let mut plaintext = Zeroizing::new([0u8; DATA_KEY_LEN]);
        if bytes.len() != DATA_KEY_LEN {
            return Err(self.odd_reply(action));
        }
        plaintext.copy_from_slice(&bytes);
        Ok(DataKey { plaintext, wrapped: wrapped.into_inner() })
    }

    async fn wrap(&self, plaintext: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        let action = "wrap a secret";
        self.client
            .encrypt()
            .key_id(&self.key_arn)
            .plaintext(Blob::new(plaintext))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| self.explain(action, e))?
            .ciphertext_blob
            .map(Blob::into_inner)
            .ok_or_else(|| self.odd_reply(action))
    }

    async fn unwrap(&self, wrapped: &[u8], context: &Context) -> Result<Zeroizing<Vec<u8>>, KmsError> {
        let action = "unwrap a key";
        self.client
            .decrypt()
            // Named although the ciphertext carries it: another key's ciphertext must not pass.
            .key_id(&self.key_arn)
            .ciphertext_blob(Blob::new(wrapped))
            .set_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| self.explain(action, e))?
            .plaintext
            .map(|b| Zeroizing::new(b.into_inner()))
            .ok_or_else(|| self.odd_reply(action))
    }

    async fn rewrap(&self, wrapped: &[u8], context: &Context) -> Result<Vec<u8>, KmsError> {
        let action = "rewrap a key";
        // The source key is not named: this is how a wrapped key follows an alias to its new key.
        self.client
            .re_encrypt()
            .destination_key_id(&self.key_arn)
            .ciphertext_blob(Blob::new(wrapped))
            .set_source_encryption_context(Some(pairs(context)))
            .set_destination_encryption_context(Some(pairs(context)))
            .send()
            .await
            .map_err(|e| self.explain(action, e))?
            .ciphertext_blob
            .map(Blob::into_inner)
            .ok_or_else(|| self.odd_reply(action))
    }

    async fn describe(&self) -> Result<Description, KmsError> {
        let metadata = self.metadata(&self.key_arn, "describe the key").await?;
        let state = match metadata.key_state() {
            Some(AwsKeyState::Enabled) => KeyState::Enabled,
            Some(AwsKeyState::Disabled) => KeyState::Disabled,
            Some(AwsKeyState::PendingDeletion | AwsKeyState::PendingReplicaDeletion) => KeyState::PendingDeletion,
            _ => KeyState::Unavailable,
        };
        Ok(Description {
            uri: self.uri.clone(),
            key_id: self.key_arn.clone(),
            replica_regions: replica_regions(&metadata, &self.region),
            region: Some(self.region.clone()),
            custody: Custody::Service,
            state,
        })
    }

    fn uri(&self) -> &str {
        &self.uri
    }
}

fn pairs(context: &Context) -> HashMap<String, String> {
    context.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn replica_regions(metadata: &KeyMetadata, here: &str) -> Vec<String> {
    let Some(configuration) = metadata.multi_region_configuration() else {
        return Vec::new();
    };
    let mut regions: Vec<String> = configuration
        .primary_key()
        .into_iter()
        .chain(configuration.replica_keys())
        .filter_map(|key| key.region())
        .map(|region| format!("aws:{region}"))
        .filter(|region| region != here)
        .collect();
    regions.sort();
    regions.dedup();
    regions
}

fn region_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| !region.is_empty())
}

fn classify(code: &str, message: &str) -> Problem {
    match code {
        "NotFoundException" => Problem::NotFound,
        "DisabledException" => Problem::Disabled,
        "KMSInvalidStateException" if message.contains("pending deletion") => Problem::PendingDeletion,
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "ExpiredTokenException"
        | "OptInRequired" => Problem::AccessDenied,
        "InvalidCiphertextException" | "IncorrectKeyException" => Problem::NotAuthentic,
        "InvalidKeyUsageException" | "UnsupportedOperationException" => Problem::WrongUsage,
        "ThrottlingException" | "LimitExceededException" => Problem::Throttled,
        "KMSInternalException"
        | "DependencyTimeoutException"
        | "KeyUnavailableException"
        | "InternalFailure"
        | "ServiceUnavailable" => Problem::Unavailable,
        _ => Problem::Other,
    }
}

/// `https` anywhere, plain `http` only on this machine.
fn check_endpoint(uri: &str, endpoint: &str) -> Result<(), KmsError> {
    let refuse = |why: &str| {
        KmsError::new(uri, "open the key", Problem::BadUri).detail(format!("{ENDPOINT_ENV}={endpoint:?}: {why}"))
    };
    if endpoint.starts_with("https://") {
        return Ok(());
    }
    let rest = endpoint.strip_prefix("http://").ok_or_else(|| refuse("it must start with https://"))?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if local && !authority.contains('@') {
        return Ok(());
    }
    Err(refuse("plain http is accepted only for an address on this machine"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_accepted_on_this_machine_only() {
        for good in ["https://kms.example.ae", "http://127.0.0.1:5055", "http://localhost:1/x", "http://[::1]:9"] {
            assert!(check_endpoint("u", good).is_ok(), "{good}");
        }
        for bad in [
            "http://10.0.0.1",
            "http://127.0.0.1@evil.example",
            "http://localhost.evil.example",
            "ftp://x",
            "",
            "127.0.0.1:1",
        ] {
            assert!(check_endpoint("u", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_refusal_of_the_service_has_its_own_meaning() {
        let pending = "arn:aws:kms:me-central-1:111122223333:key/1 is pending deletion.";
        let cases = [
            ("NotFoundException", "", Problem::NotFound, false),
            ("DisabledException", "", Problem::Disabled, false),
            ("KMSInvalidStateException", pending, Problem::PendingDeletion, false),
            ("KMSInvalidStateException", "is pending import", Problem::Other, false),
            ("AccessDeniedException", "", Problem::AccessDenied, false),
            ("IncorrectKeyException", "", Problem::NotAuthentic, false),
            ("ThrottlingException", "", Problem::Throttled, true),
            ("KMSInternalException", "", Problem::Unavailable, true),
        ];
        for (code, message, problem, retryable) in cases {
            let found = classify(code, message);
            assert_eq!(found, problem, "{code}");
            assert_eq!(KmsError::new("u", "a", found).retryable(), retryable, "{code}");
        }
    }
}
