//! Mutual TLS: our own identity, and who the caller is.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::http::Peer;
use super::protocol::Tls;

/// TLS 1.3, and a certificate of the given authority from every caller.
///
/// Sessions are not resumed: a certificate is looked at on every connection.
///
/// # Errors
/// Which of the three PEM texts is not usable.
pub fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(tls.client_ca_pem.as_bytes()) {
        let added = certificate.map_err(|e| e.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(|e| format!("the callers' certificate authority: {e}"))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let verifier = verifier.map_err(|e| format!("the callers' certificate authority: {e}"))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(tls.certificate_pem.as_bytes()).collect();
    let chain = chain.map_err(|e| format!("the server's certificate: {e}"))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key_pem.expose().as_bytes());
    let key = key.map_err(|e| format!("the server's key: {e}"))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| e.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|e| format!("the server's certificate and key: {e}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// Who a verified certificate names, and how long it is still valid.
pub fn peer(certificates: Option<&[CertificateDer<'_>]>) -> (Peer, Duration) {
    let parsed = certificates.and_then(<[_]>::first).and_then(|der| X509Certificate::from_der(der).ok());
    let Some((_, certificate)) = parsed else { return (Peer::Unnamed, Duration::ZERO) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let until = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
    let valid = Duration::from_secs(until).saturating_sub(now);
    let names = certificate.subject_alternative_name().ok().flatten();
    let mut uris = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => (Peer::Certificate(uri.to_owned()), valid),
        _ => (Peer::Unnamed, valid),
    }
}
