//! Who gets in: the host that started the provider, and nobody else.

#![cfg(unix)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, PKCS_ECDSA_P521_SHA512};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tfplugin::proto::health::HealthCheckRequest;
use tfplugin::proto::health::health_client::HealthClient;
use tfplugin::proto::plugin::Empty;
use tfplugin::proto::plugin::grpc_controller_client::GrpcControllerClient;
use tfplugin::proto::tfplugin6::provider_client::ProviderClient;
use tfplugin::proto::tfplugin6::{get_provider_schema, stop_provider};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tonic::transport::{Channel, Endpoint};

const COOKIE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}
/// A connection of either kind.
type Stream = Pin<Box<dyn Io>>;

/// A host's certificate as go-plugin makes it: P-521, its own authority.
struct Identity {
    key: KeyPair,
    certificate: rcgen::Certificate,
}

impl Identity {
    fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { key, certificate }
    }
}

/// A running provider, and what its handshake said.
struct Running {
    process: Child,
    socket: PathBuf,
    certificate: Option<CertificateDer<'static>>,
    fields: Vec<String>,
    parent: TempDir,
}

impl Running {
    fn start(environment: &[(&str, &str)]) -> Self {
        let parent = tempfile::tempdir().expect("a directory for the socket");
        let mut process = command()
            .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
            .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
            .env("PLUGIN_UNIX_SOCKET_DIR", parent.path())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the provider starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("the handshake");
        let fields: Vec<String> = line.trim_end().split('|').map(str::to_owned).collect();
        let der = fields.get(5).filter(|field| !field.is_empty());
        let certificate = der.map(|der| CertificateDer::from(STANDARD_NO_PAD.decode(der).expect("base64")));
        let socket = PathBuf::from(fields.get(3).expect("an address"));
        Self { process, socket, certificate, fields, parent }
    }

    fn for_host(host: &Identity) -> Self {
        Self::start(&[("PLUGIN_CLIENT_CERT", &host.certificate.pem())])
    }

    async fn socket(&self) -> Stream {
        match self.fields[2].as_str() {
            "unix" => Box::pin(UnixStream::connect(&self.socket).await.expect("the socket is there")),
            _ => Box::pin(TcpStream::connect(&self.fields[3]).await.expect("the port is open")),
        }
    }

    /// Connects over TLS, with or without a certificate.
    async fn tls(&self, client: Option<&Identity>) -> std::io::Result<tokio_rustls::client::TlsStream<Stream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone().expect("a certificate in the handshake")).expect("a root");
        let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match client {
            Some(client) => {
                // Without the usual check that certificate and key belong together.
                let key = PrivatePkcs8KeyDer::from(client.key.serialize_der()).into();
                let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).expect("a key");
                let certified = CertifiedKey::new(vec![client.certificate.der().clone()], key);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, self.socket().await).await
    }

    /// Whether an HTTP/2 preface is answered.
    async fn is_served(&self, client: Option<&Identity>) -> bool {
        match self.tls(client).await {
            Ok(stream) => answers(stream).await,
            Err(_) => false,
        }
    }

    async fn channel(&self, client: &Identity) -> Channel {
        let stream = self.tls(Some(client)).await.expect("the host gets in");
        let mut stream = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            let stream = stream.take().ok_or_else(|| std::io::Error::other("one connection only"));
            async move { stream }
        });
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await.expect("a channel")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn answers(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> bool {
    // The preface and an empty SETTINGS frame: a server answers with its own.
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    if stream.write_all(hello).await.is_err() {
        return false;
    }
    let mut frame = [0; 9];
    let read = tokio::time::timeout(Duration::from_secs(2), stream.read_exact(&mut frame)).await;
    // Anything else is no service: an alert of TLS, for one.
    const SETTINGS: u8 = 4;
    matches!(read, Ok(Ok(_))) && frame[3] == SETTINGS
}

fn command() -> Command {
    let mut command = Command::new(common::provider());
    for variable in ["TF_PLUGIN_MAGIC_COOKIE", "PLUGIN_CLIENT_CERT", "TF_DISABLE_PLUGIN_TLS", "TF_LOG"] {
        command.env_remove(variable);
    }
    command
}

#[tokio::test]
async fn the_host_is_served() {
    let host = Identity::new();
    let mut running = Running::for_host(&host);
    assert_eq!(running.fields[..3], ["1", "6", "unix"]);
    assert_eq!(running.fields[4], "grpc");

    let channel = running.channel(&host).await;
    let health = HealthClient::new(channel.clone())
        .check(HealthCheckRequest { service: "plugin".into() })
        .await
        .expect("health");
    assert_eq!(health.into_inner().status, 1);
    let mut provider = ProviderClient::new(channel.clone());
    let schema = provider.get_provider_schema(get_provider_schema::Request {}).await.expect("a schema").into_inner();
    assert!(schema.resource_schemas.contains_key("note_note"));
    let again = provider.get_provider_schema(get_provider_schema::Request {}).await.expect("a schema").into_inner();
    assert_eq!(again, schema);

    // It goes on serving after a stop, and ends on a shutdown.
    provider.stop_provider(stop_provider::Request {}).await.expect("a stop");
    provider.get_provider_schema(get_provider_schema::Request {}).await.expect("it serves on");
    GrpcControllerClient::new(channel).shutdown(Empty {}).await.expect("a shutdown");
    let ended = tokio::task::spawn_blocking(move || {
        let status = running.process.wait().expect("it ends");
        (status, fs::read_dir(running.parent.path()).expect("the directory").count())
    });
    let (status, left) = tokio::time::timeout(Duration::from_secs(5), ended).await.expect("in time").expect("a status");
    assert!(status.success());
    assert_eq!(left, 0, "the socket's directory is removed");
}

#[tokio::test]
async fn nobody_else_is_served() {
    let host = Identity::new();
    nobody_else_than(&host, &Running::for_host(&host)).await;
}

#[tokio::test]
async fn nobody_else_is_served_by_a_port_either() {
    let host = Identity::new();
    let running = Running::start(&[
        ("PLUGIN_CLIENT_CERT", &host.certificate.pem()),
        ("TFPLUGIN_TRANSPORT", "tcp"),
        ("PLUGIN_MIN_PORT", "10000"),
        ("PLUGIN_MAX_PORT", "25000"),
    ]);
    assert_eq!(running.fields[2], "tcp");
    let port = running.fields[3].strip_prefix("127.0.0.1:").and_then(|port| port.parse::<u16>().ok());
    assert!(port.is_some_and(|port| (10_000..=25_000).contains(&port)), "{port:?}");
    nobody_else_than(&host, &running).await;

    let mut provider = ProviderClient::new(running.channel(&host).await);
    let schema = provider.get_provider_schema(get_provider_schema::Request {}).await.expect("a schema").into_inner();
    assert!(schema.resource_schemas.contains_key("note_note"));
}

async fn nobody_else_than(host: &Identity, running: &Running) {
    assert!(running.is_served(Some(host)).await, "the check itself works");

    assert!(!running.is_served(None).await, "without a certificate");
    assert!(!running.is_served(Some(&Identity::new())).await, "with another certificate of the same names");
    let stolen = Identity { key: Identity::new().key, certificate: host.certificate.clone() };
    assert!(!running.is_served(Some(&stolen)).await, "with the host's certificate but not its key");
    assert!(!answers(running.socket().await).await, "in plain text");

    // None of them kept the host out.
    assert!(running.is_served(Some(host)).await);
}

#[tokio::test]
async fn the_socket_is_in_a_directory_of_this_user_alone() {
    let running = Running::for_host(&Identity::new());
    let directory = running.socket.parent().expect("a directory");
    assert_eq!(directory.parent(), Some(running.parent.path()));
    let mode = fs::metadata(directory).expect("the directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn the_group_that_the_host_names_may_use_the_socket() {
    let host = Identity::new();
    // Root may give it to any group, another user to the own ones.
    let own = fs::metadata(tempfile::tempdir().expect("a directory").path()).expect("its owner").gid();
    let group = if own == 0 { 65_534 } else { own };
    let pem = host.certificate.pem();
    let running = Running::start(&[("PLUGIN_CLIENT_CERT", &pem), ("PLUGIN_UNIX_SOCKET_GROUP", &group.to_string())]);
    let directory = running.socket.parent().expect("a directory");
    for (path, expected) in [(directory, 0o710), (running.socket.as_path(), 0o660)] {
        let found = fs::metadata(path).expect("it is there");
        assert_eq!((found.gid(), found.permissions().mode() & 0o777), (group, expected), "{path:?}");
    }
    nobody_else_than(&host, &running).await;

    let output = command()
        .env("TF_PLUGIN_MAGIC_COOKIE", COOKIE)
        .env("PLUGIN_CLIENT_CERT", &pem)
        .env("PLUGIN_UNIX_SOCKET_GROUP", "no such group")
        .output()
        .expect("it runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("not in /etc/group"), "{output:?}");
}

#[tokio::test]
async fn a_host_that_asked_for_plain_text_gets_it_and_no_other() {
    let running = Running::start(&[("TF_DISABLE_PLUGIN_TLS", "1")]);
    assert_eq!(running.fields[5], "");
    assert!(answers(running.socket().await).await);

    let output = command().env("TF_PLUGIN_MAGIC_COOKIE", COOKIE).output().expect("it runs");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("PLUGIN_CLIENT_CERT"));
    assert!(output.stdout.is_empty());
}

#[test]
fn started_by_hand_it_says_what_it_is_for() {
    let output = command().output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Terraform or OpenTofu starts it"));
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn a_person_with_a_debugger_connects_without_a_host() {
    let mut process = command().arg("-debug").stdout(Stdio::piped()).spawn().expect("it starts");
    let stdout = process.stdout.take().expect("its output");
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let mut lines = lines.filter_map(|line| line.trim().strip_prefix("TF_REATTACH_PROVIDERS=").map(str::to_owned));
    let line = lines.next().expect("what to set");
    let reattach: serde_json::Value = serde_json::from_str(line.trim_matches('\'')).expect("JSON");
    let address = &reattach["registry.terraform.io/note/note"]["Addr"]["String"];
    let socket = Path::new(address.as_str().expect("an address"));
    assert!(answers(UnixStream::connect(socket).await.expect("the socket")).await);
    let interrupted = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
    assert!(interrupted.expect("kill runs").success());
    assert!(process.wait().expect("it ends").success());
    assert!(!socket.exists());
}
