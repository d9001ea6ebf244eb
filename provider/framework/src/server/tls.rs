//! Mutual TLS with exactly one peer: the host that started this process.
//!
//! go-plugin's client certificate is its own authority, which the usual
//! verification refuses as a leaf; and what is trusted here is not a chain but
//! one certificate. So it is compared byte for byte, and the peer proves that
//! it holds the key by signing the handshake.

use std::sync::Arc;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The host's certificate is not PEM.
    #[error("PLUGIN_CLIENT_CERT is not a PEM certificate")]
    ClientCertificate(#[from] rustls::pki_types::pem::Error),
    /// The plugin's own could not be made.
    #[error("a certificate could not be made: {0}")]
    OwnCertificate(#[from] rcgen::Error),
    /// They do not go together.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// The server's side.
pub struct ServerTls {
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    /// DER of the server's certificate, for the handshake line: the host
    /// trusts this one and no other.
    pub certificate: Vec<u8>,
}

/// Makes a key and certificate for this process, for the peer whose
/// certificate is `client_pem` alone.
pub fn server(client_pem: &str) -> Result<ServerTls, TlsError> {
    let client = CertificateDer::from_pem_slice(client_pem.as_bytes())?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?.der().clone();

    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Arc::new(OnlyThisHost { client, algorithms: provider.signature_verification_algorithms });
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(ServerTls { config: Arc::new(config), certificate: certificate.to_vec() })
}

/// Lets in the holder of one certificate.
#[derive(Debug)]
struct OnlyThisHost {
    client: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for OnlyThisHost {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if *end_entity == self.client {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // With P-521 among them: a Go client without a scheme for its key
        // would send no certificate at all.
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_the_hosts_key_is_offered() {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        assert!(algorithms.supported_schemes().contains(&SignatureScheme::ECDSA_NISTP521_SHA512));
    }

    #[test]
    fn a_certificate_that_is_none_is_refused() {
        assert!(matches!(server("nonsense"), Err(TlsError::ClientCertificate(_))));
    }
}
