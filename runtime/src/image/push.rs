//! `falaj image push`: the OCI distribution protocol. What is in the registry already
//! is not sent again, and the tag is set last, so an interrupted push is finished by the
//! next and nobody sees half an image.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use http::HeaderValue;
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::OciDistributionError;
use oci_client::manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OciImageIndex, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};

use super::credentials;
use super::layout::Layout;

/// Arguments of `falaj image push`.
#[derive(Debug, Clone, clap::Args)]
pub struct Push {
    /// The tar file that `falaj image build` wrote.
    #[arg(long, value_name = "FILE", default_value = "falaj-image.tar")]
    pub image: PathBuf,
    /// REGISTRY/REPOSITORY[:TAG]; without a tag, the one that the image was built under.
    pub to: String,
    /// Speaks HTTP without TLS to the registry. One on a loopback address is always spoken to so.
    #[arg(long)]
    pub plain_http: bool,
}

/// Times that a request is tried when the connection or the registry fails.
const TRIES: u32 = 4;

impl Push {
    /// Pushes the image with its documents; gives its name by digest.
    ///
    /// # Errors
    /// The registry cannot be reached or refuses.
    pub async fn run(&self) -> Result<String> {
        let layout = Layout::read(&self.image)?;
        let tag = layout.its_image()?.tag().unwrap_or("latest");
        let target = parse(&self.to, tag)?;
        let auth = credentials::find(target.registry())?;
        Registry::open(target, self.plain_http, auth).await?.push(&layout).await
    }
}

/// A repository of a registry.
pub struct Registry {
    client: Client,
    target: Reference,
    anonymous: bool,
}

impl Registry {
    /// # Errors
    /// The registry cannot be reached or refuses the credentials.
    pub async fn open(target: Reference, plain_http: bool, auth: RegistryAuth) -> Result<Self> {
        super::use_our_cryptography();
        let host = target.resolve_registry().to_owned();
        let protocol = if plain_http || is_loopback(&host) {
            ClientProtocol::HttpsExcept(vec![host.clone()])
        } else {
            ClientProtocol::Https
        };
        let client = Client::new(ClientConfig {
            protocol,
            use_monolithic_push: true,
            connect_timeout: Some(Duration::from_secs(20)),
            read_timeout: Some(Duration::from_secs(120)),
            user_agent: concat!("falaj/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        });
        let registry = Self { client, target, anonymous: auth == RegistryAuth::Anonymous };
        registry
            .tried("the first request", async || {
                registry.client.auth(&registry.target, &auth, RegistryOperation::Push).await
            })
            .await?;
        Ok(registry)
    }

    /// # Errors
    /// The registry fails or refuses.
    pub async fn push(&self, layout: &Layout) -> Result<String> {
        let image = layout.its_image()?;
        let digest = &image.entry.digest;
        self.push_blobs(layout, &image.manifest).await?;
        self.push_manifest(&self.by_digest(digest), layout.blob(digest)?, &image.entry.media_type).await?;
        for referrer in &layout.referrers {
            let bytes = layout.blob(&referrer.digest)?;
            self.push_blobs(layout, &serde_json::from_slice(bytes)?).await?;
            self.push_manifest(&self.by_digest(&referrer.digest), bytes, &referrer.media_type).await?;
        }
        self.list_referrers(layout, digest).await?;
        self.push_manifest(&self.target, layout.blob(digest)?, &image.entry.media_type).await?;
        Ok(format!("{}/{}@{digest}", self.target.registry(), self.target.repository()))
    }

    async fn push_blobs(&self, layout: &Layout, manifest: &OciImageManifest) -> Result<()> {
        for part in std::iter::once(&manifest.config).chain(&manifest.layers) {
            let digest = part.digest.as_str();
            let what = format!("{digest} ({} bytes)", part.size);
            if self.tried(&what, async || self.client.blob_exists(&self.target, digest).await).await? {
                eprintln!("there already {what}");
                continue;
            }
            eprintln!("pushing       {what}");
            let bytes = Bytes::copy_from_slice(layout.blob(digest)?);
            self.tried(&what, async || self.client.push_blob(&self.target, bytes.clone(), digest).await).await?;
        }
        Ok(())
    }

    async fn push_manifest(&self, at: &Reference, manifest: &[u8], media_type: &str) -> Result<()> {
        let media_type = HeaderValue::from_str(media_type).context("a media type of the image")?;
        let bytes = Bytes::copy_from_slice(manifest);
        let push = async || self.client.push_manifest_raw(at, bytes.clone(), media_type.clone()).await;
        self.tried(&at.whole(), push).await?;
        Ok(())
    }

    /// Where the registry does not find out itself which documents are about the image,
    /// lists them under the tag that the protocol has for that.
    async fn list_referrers(&self, layout: &Layout, digest: &str) -> Result<()> {
        let at = self.by_digest(digest);
        let mut listed: OciImageIndex =
            self.tried("what is attached to the image", async || self.client.pull_referrers(&at, None).await).await?;
        let missing: Vec<_> = layout
            .referrers
            .iter()
            .filter(|referrer| listed.manifests.iter().all(|held| held.digest != referrer.digest))
            .cloned()
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        listed.media_type = Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned());
        listed.manifests.extend(missing);
        let tag = digest.replace(':', "-");
        let at = Reference::with_tag(self.target.registry().to_owned(), self.target.repository().to_owned(), tag);
        self.push_manifest(&at, &serde_json::to_vec(&listed)?, OCI_IMAGE_INDEX_MEDIA_TYPE).await
    }

    fn by_digest(&self, digest: &str) -> Reference {
        let (registry, repository) = (self.target.registry().to_owned(), self.target.repository().to_owned());
        Reference::with_digest(registry, repository, digest.to_owned())
    }

    async fn tried<T>(
        &self,
        what: &str,
        request: impl AsyncFn() -> std::result::Result<T, OciDistributionError>,
    ) -> Result<T> {
        let mut tried = 1;
        loop {
            match request().await {
                Ok(done) => return Ok(done),
                Err(error) if tried < TRIES && may_pass(&error) => {
                    tracing::warn!(%error, what, "the registry failed; trying again");
                    tokio::time::sleep(Duration::from_millis(500) * 2_u32.pow(tried)).await;
                }
                Err(error) => return Err(self.explained(what, error)),
            }
            tried += 1;
        }
    }

    fn explained(&self, what: &str, error: OciDistributionError) -> anyhow::Error {
        let registry = self.target.registry();
        let refused = match &error {
            OciDistributionError::AuthenticationFailure(_) | OciDistributionError::UnauthorizedError { .. } => true,
            _ => matches!(status(&error), Some(401 | 403)),
        };
        if refused && self.anonymous {
            return anyhow!(error).context(format!(
                "{registry} asks who we are, and there are no credentials for it; {}",
                credentials::HINT
            ));
        }
        if refused {
            let repository = self.target.repository();
            return anyhow!(error).context(format!("{registry} does not let these credentials push to {repository}"));
        }
        let reason = chain(&error);
        anyhow!("{registry} failed at {what}: {reason}; pushing again goes on where this ended")
    }
}

/// Whether the same request may succeed later.
fn may_pass(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::RequestError(error) if error.status().is_none() => true,
        other => status(other).is_some_and(|status| status == 429 || status >= 500),
    }
}

fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        _ => None,
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Reads `REGISTRY/REPOSITORY[:TAG]`.
fn parse(text: &str, default_tag: &str) -> Result<Reference> {
    let wrong = || {
        format!(
            "{text:?} does not say where to; write REGISTRY/REPOSITORY[:TAG], such as registry.example.ae/ml/falaj:1.0"
        )
    };
    let (registry, rest) = text.split_once('/').with_context(wrong)?;
    // Without a registry in front, Docker's would be meant.
    if !(registry.contains(['.', ':']) || registry == "localhost") || text.contains("://") {
        bail!(wrong());
    }
    if rest.contains('@') {
        bail!("{text:?} is a digest, which follows from the image; name a tag or none");
    }
    let tagged = rest.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let whole = if tagged { text.to_owned() } else { format!("{text}:{default_tag}") };
    whole.parse().with_context(wrong)
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
    host == "localhost" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, parse};

    #[test]
    fn a_target_has_a_registry_a_repository_and_the_tag_of_the_image_unless_it_names_one() {
        for (text, whole) in [
            ("registry.example.ae/ml/falaj", "registry.example.ae/ml/falaj:1.2"),
            ("registry.example.ae/falaj:2", "registry.example.ae/falaj:2"),
            ("localhost:5000/falaj", "localhost:5000/falaj:1.2"),
        ] {
            assert_eq!(parse(text, "1.2").unwrap().whole(), whole);
        }
        for text in ["falaj", "ml/falaj:1", "https://registry.example.ae/falaj", "registry.example.ae/Falaj"] {
            let said = format!("{:#}", parse(text, "1.2").unwrap_err());
            assert!(said.contains("REGISTRY/REPOSITORY"), "{text}: {said}");
        }
        let digest = format!("registry.example.ae/falaj@sha256:{}", "0".repeat(64));
        assert!(parse(&digest, "1.2").unwrap_err().to_string().contains("follows from the image"));
    }

    #[test]
    fn only_loopback_is_spoken_to_without_tls_unasked() {
        for registry in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.0.1"] {
            assert!(is_loopback(registry), "{registry}");
        }
        for registry in ["registry.example.ae", "10.0.0.1:5000", "localhost.example.ae", "127.0.0.1.example.ae:80"] {
            assert!(!is_loopback(registry), "{registry}");
        }
    }
}
