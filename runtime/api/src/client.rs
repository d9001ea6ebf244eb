//! The client of the control plane: HTTPS with a certificate of its own.

use std::{path::Path, sync::Arc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde::de::DeserializeOwned;

use crate::{
    Problem,
    call::{Call, Method, percent_encode, split},
};

/// A connection to one runtime.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The runtime answered, and said no.
    #[error("{0}")]
    Problem(#[from] Problem),
    /// The runtime did not answer.
    #[error("the runtime at {base} could not be reached: {reason}")]
    Unreachable { base: String, reason: String },
    /// It answered something that is not of this contract.
    #[error("the runtime at {base} gave an answer that this release does not understand: {reason}")]
    Malformed { base: String, reason: String },
    #[error("{path}: {reason}")]
    Credentials { path: String, reason: String },
}

impl ClientError {
    /// Whether the runtime answered that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status == 404 && problem.is("not-found"))
    }
}

/// TLS 1.3 that trusts only the certificates in `ca` and presents `certificate`
/// with `key`, all PEM files.
///
/// # Errors
/// A file is missing or not PEM.
pub fn tls(ca: &Path, certificate: &Path, key: &Path) -> Result<rustls::ClientConfig, ClientError> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| wrong(&path.display().to_string(), error.to_string()));
    let name = |path: &Path| path.display().to_string();
    tls_from_pem((&name(ca), &read(ca)?), (&name(certificate), &read(certificate)?), (&name(key), &read(key)?))
}

/// The same of PEM texts, each with what it is called in an error.
fn tls_from_pem(
    ca: (&str, &[u8]),
    certificate: (&str, &[u8]),
    key: (&str, &[u8]),
) -> Result<rustls::ClientConfig, ClientError> {
    let certificates = |(name, pem): (&str, &[u8])| -> Result<Vec<CertificateDer<'static>>, ClientError> {
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|error| wrong(name, error.to_string()))
    };
    let mut roots = rustls::RootCertStore::empty();
    for root in certificates(ca)? {
        roots.add(root).map_err(|error| wrong(ca.0, error.to_string()))?;
    }
    let key_der = PrivateKeyDer::from_pem_slice(key.1).map_err(|error| wrong(key.0, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| wrong(ca.0, error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(certificate)?, key_der)
        .map_err(|error| wrong(certificate.0, error.to_string()))
}

fn wrong(path: &str, reason: String) -> ClientError {
    ClientError::Credentials { path: path.to_owned(), reason }
}

impl Client {
    /// Connects to `base`, such as `https://127.0.0.1:4443`, trusting only the
    /// certificates in `ca` and presenting `certificate` with `key`, all PEM files.
    ///
    /// # Errors
    /// A file is missing or not PEM.
    pub fn new(base: &str, ca: &Path, certificate: &Path, key: &Path) -> Result<Self, ClientError> {
        Self::over(base, tls(ca, certificate, key)?)
    }

    /// Connects with PEM texts, which were found at `place`.
    ///
    /// # Errors
    /// One of them is not PEM.
    pub fn from_pem(base: &str, place: &str, ca: &[u8], certificate: &[u8], key: &[u8]) -> Result<Self, ClientError> {
        Self::over(base, tls_from_pem((place, ca), (place, certificate), (place, key))?)
    }

    fn over(base: &str, tls: rustls::ClientConfig) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(std::time::Duration::from_secs(5))
            .build()
            .map_err(|error| wrong(base, error.to_string()))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned() })
    }

    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Makes a call.
    ///
    /// # Errors
    /// The runtime refused it, did not answer, or answered nonsense.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Response, ClientError> {
        let parts = split(call).map_err(|reason| self.malformed(reason))?;
        let mut url = format!("{}{}", self.base, parts.path);
        if !C::METHOD.has_body() && !parts.rest.is_empty() {
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let pairs = parts.rest.iter().map(|(name, value)| format!("{name}={}", percent_encode(&text(value))));
            url = format!("{url}?{}", pairs.collect::<Vec<_>>().join("&"));
        }
        let request = match C::METHOD {
            Method::Get => self.http.get(url),
            Method::Delete => self.http.delete(url),
            Method::Put => self.http.put(url).json(&parts.rest),
            Method::Post => self.http.post(url).json(&parts.rest),
        };
        self.send(request).await
    }

    /// Uploads bytes by their SHA-256 (lower-case hexadecimal).
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub async fn upload(&self, workspace: &str, digest: &str, bytes: Vec<u8>) -> Result<(), ClientError> {
        let path = crate::blob::UPLOAD_PATH
            .replace("{workspace}", &percent_encode(workspace))
            .replace("{digest}", &percent_encode(digest));
        let request = self.http.put(format!("{}{path}", self.base)).body(bytes);
        self.send::<crate::call::Done>(request).await.map(|_| ())
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ClientError> {
        let unreachable =
            |error: reqwest::Error| ClientError::Unreachable { base: self.base.clone(), reason: chain(&error) };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.malformed(error.to_string()));
        }
        let problem: Problem = serde_json::from_slice(&body)
            .map_err(|_| self.malformed(format!("status {status} without a problem document")))?;
        Err(problem.into())
    }

    fn malformed(&self, reason: String) -> ClientError {
        ClientError::Malformed { base: self.base.clone(), reason }
    }
}

/// An error and its causes in one line: reqwest's own message hides the cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
