//! One keep-alive HTTP/1.1 connection, over mutual TLS or in plain text.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::Args;

/// Where to connect to, and as whom.
pub struct Target {
    host: String,
    port: u16,
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection, made when it is first needed and again when it broke.
pub struct Client {
    target: Arc<Target>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Target {
    pub fn new(args: &Args) -> Result<Self> {
        let url: Uri = args.url.parse().with_context(|| format!("--url {:?}", args.url))?;
        let authority = url.authority().context("--url needs a host, such as https://127.0.0.1:8443")?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (tls, port) = match url.scheme_str() {
            Some("http") => (None, 80),
            Some("https") => {
                let name = ServerName::try_from(host.clone()).context("the host of --url")?;
                (Some((TlsConnector::from(Arc::new(config(args)?)), name)), 443)
            }
            _ => bail!("--url has to begin with https:// or http://"),
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { host, port, authority: authority.to_string(), tls })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.with_context(|| format!("connecting to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let Some((connector, name)) = &self.tls else {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            return Ok(sender);
        };
        let stream = connector.connect(name.clone(), stream).await.context("the TLS handshake")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn config(args: &Args) -> Result<ClientConfig> {
    let (Some(ca), Some(cert), Some(key)) = (&args.ca, &args.cert, &args.key) else {
        bail!("https needs --ca, --cert and --key");
    };
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("reading {}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&read(ca)?) {
        roots.add(certificate.with_context(|| format!("{}", ca.display()))?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(cert)?).collect();
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).with_context(|| format!("{}", key.display()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.with_context(|| format!("{}", cert.display()))?, key)?;
    Ok(config)
}

impl Client {
    pub fn new(target: Arc<Target>) -> Self {
        Self { target, connection: None }
    }

    pub async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.request(Method::GET, path, Vec::new()).await
    }

    pub async fn post(&mut self, path: &str, body: Vec<u8>) -> Result<Bytes> {
        self.request(Method::POST, path, body).await
    }

    /// The body of an answer of status 200.
    async fn request(&mut self, method: Method, path: &str, body: Vec<u8>) -> Result<Bytes> {
        let mut sender = match self.connection.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.target.connect().await?,
        };
        sender.ready().await?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.target.authority)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        self.connection = Some(sender);
        if status != StatusCode::OK {
            bail!("{path}: status {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}
