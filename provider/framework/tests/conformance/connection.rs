//! Two ways to the provider: in this process, and over the real wire as a host
//! goes it: start, handshake, mutual TLS, gRPC.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tfplugin::testing::{Host, Transport};
use tokio::net::UnixStream;
use tonic::transport::Endpoint;
use tower::ServiceExt;

use crate::corner::CornerProvider;

const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// A provider that answers, until this is dropped.
pub struct Connection {
    pub transport: Transport,
    _process: Option<Process>,
}

/// The process, and the directory of its socket.
struct Process(Child, #[allow(dead_code)] TempDir);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Where the provider of a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    InProcess,
    OverTheWire,
}

impl Connection {
    pub async fn open(way: Way, provider: &Path) -> Self {
        match way {
            Way::InProcess => Self { transport: Host::new(CornerProvider).transport(), _process: None },
            Way::OverTheWire => start(provider).await,
        }
    }
}

/// A certificate as a host makes it for one run: P-521, its own authority.
fn certificate() -> (KeyPair, rcgen::Certificate) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    (key, certificate)
}

async fn start(provider: &Path) -> Connection {
    let (key, certificate) = certificate();
    let sockets = tempfile::tempdir().expect("a directory for the socket");
    let mut process = Command::new(provider)
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .env("PLUGIN_CLIENT_CERT", certificate.pem())
        .env("PLUGIN_UNIX_SOCKET_DIR", sockets.path())
        .env_remove("TF_DISABLE_PLUGIN_TLS")
        .env_remove("TF_LOG")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the provider starts");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("its output");
    BufReader::new(stdout).read_line(&mut line).expect("the handshake");
    let process = Process(process, sockets);
    let fields: Vec<&str> = line.trim_end().split('|').collect();
    let ["1", "6", "unix", socket, "grpc", der] = fields[..] else { panic!("no handshake: {line}") };
    let server = CertificateDer::from(STANDARD_NO_PAD.decode(der).expect("base64"));

    let mut roots = RootCertStore::empty();
    roots.add(server).expect("a root");
    let own = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], own)
        .expect("the client's certificate");
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = UnixStream::connect(socket).await.expect("the socket");
    let stream =
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("the host gets in");
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| std::io::Error::other("one connection only"));
        async move { stream }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await.expect("a channel");
    Connection { transport: Transport::new(channel.map_err(Into::into)), _process: Some(process) }
}
