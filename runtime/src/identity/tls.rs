//! Mutual TLS for the control plane's own listener.

use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_parser::{extensions::GeneralName, prelude::FromDer};

use super::{Authority, Leaf, Principal};

/// Accepts connections from holders of the cluster's certificates.
#[derive(Clone)]
pub struct Acceptor {
    tls: TlsAcceptor,
    cluster_uid: Arc<str>,
}

/// The authority's certificate as the only root.
///
/// # Errors
/// It is not PEM.
fn client_config_roots(ca_pem: &str) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).context("the authority's certificate")?)?;
    Ok(roots)
}

impl Acceptor {
    /// # Errors
    /// A certificate or key cannot be read.
    pub fn new(authority: &Authority, leaf: &Leaf, cluster_uid: &str) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(client_config_roots(authority.certificate_pem())?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes())?],
                PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes())?,
            )?;
        config.alpn_protocols = vec![b"http/1.1".to_vec(), crate::dial::ALPN.to_vec()];
        Ok(Self { tls: TlsAcceptor::from(Arc::new(config)), cluster_uid: cluster_uid.into() })
    }

    /// Shakes hands, and says who the caller is.
    ///
    /// # Errors
    /// The caller has no certificate of this cluster's.
    pub async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Principal)> {
        let stream = self.tls.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).context("no certificate")?;
        let uri = uri_name(certificate).context("the certificate does not have exactly one URI name")?;
        let principal = Principal::from_uri(&uri, &self.cluster_uid).context("the certificate names no principal")?;
        Ok((stream, principal))
    }
}

/// The certificate's URI name, where it has exactly one.
fn uri_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    let first = uris.next()?;
    uris.next().is_none().then_some(first)
}
