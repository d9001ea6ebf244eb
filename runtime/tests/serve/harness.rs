//! A real `falaj serve` with models, certificates and a channel, as the server
//! sets it up.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use falaj::pipe;
use falaj::serve::protocol::{
    CaptureSnapshot, EndpointSnapshot, Format, FromServe, Secret, Snapshot, Tls, ToServe, VariantSnapshot,
};
use falaj_api::feature_store::DataType;
use falaj_engine::model::encoder::{Encoder, Encoding, Feature};
use falaj_engine::model::{Layer, Model, Task, artifact, logistic};
use falaj_store::FileKey;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

pub const INVOKER: &str = "spiffe://cluster/workspace/people/invoker/employed";

/// A certificate authority of this test's own.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub struct Leaf {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub fn leaf(&self, uris: &[&str]) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "a leaf");
        params.subject_alt_names = vec![
            SanType::IpAddress("127.0.0.1".parse().unwrap()),
            SanType::DnsName(Ia5String::try_from(falaj::dial::SERVER_NAME).unwrap()),
        ];
        let uris = uris.iter().map(|uri| SanType::URI(Ia5String::try_from(*uri).unwrap()));
        params.subject_alt_names.extend(uris);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}

/// `probability = logistic(0.7 (age - 40) / 10 + [private: 1, public: -1] + bias)`
pub fn model(bias: f64) -> Model {
    let feature = |name: &str, data_type, encoding| Feature { name: name.to_owned(), data_type, encoding };
    let values = vec!["private".to_owned(), "public".to_owned()];
    let features = vec![
        feature("age", DataType::Int64, Encoding::Standardise { mean: 40.0, deviation: 10.0 }),
        feature("sector", DataType::String, Encoding::OneHot { values }),
    ];
    Model {
        encoder: Encoder::from_features(features).unwrap(),
        layers: vec![Layer { weights: vec![0.7, 1.0, -1.0], bias: vec![bias] }],
        task: Task::Classification,
    }
}

pub fn probability(age: f64, sector: &str, bias: f64) -> f64 {
    let age = if age.is_nan() { 0.0 } else { 0.7 * (age - 40.0) / 10.0 };
    let sector = match sector {
        "private" => 1.0,
        "public" => -1.0,
        _ => 0.0,
    };
    logistic(age + sector + bias)
}

/// A request of one row.
pub fn request(id: &str, age: i64, sector: &str) -> Value {
    json!({
        "id": id,
        "inputs": [
            { "name": "age", "shape": [1, 1], "datatype": "INT64", "data": [age] },
            { "name": "sector", "shape": [1], "datatype": "BYTES", "data": [sector] },
        ],
    })
}

pub fn sha256(bytes: &[u8]) -> String {
    falaj::sha256_hex(bytes)
}

/// A variant and the bytes of its model.
pub fn variant(version: u32, weight: u32, shadow: bool, bias: f64) -> (VariantSnapshot, Vec<u8>) {
    variant_of(&model(bias), version, weight, shadow)
}

pub fn variant_of(model: &Model, version: u32, weight: u32, shadow: bool) -> (VariantSnapshot, Vec<u8>) {
    let bytes = artifact::to_safetensors(model).unwrap();
    let variant = VariantSnapshot {
        model: "employed".to_owned(),
        version,
        weight,
        shadow,
        artifact: sha256(&bytes),
        signature: model.signature(),
    };
    (variant, bytes)
}

/// The process, its channel, and what it was told.
pub struct Serving {
    pub child: Child,
    pub address: SocketAddr,
    pub authority: Authority,
    pub captures: tempfile::TempDir,
    pub key: FileKey,
    pub sender: Option<pipe::Sender<OwnedWriteHalf>>,
    pub receiver: pipe::Receiver<OwnedReadHalf>,
    pub snapshot: Snapshot,
}

impl Serving {
    /// Starts the process without ONNX Runtime; nothing is served yet.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts the process with these further arguments.
    pub async fn start_with(arguments: &[&OsStr]) -> Self {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let captures = tempfile::tempdir().unwrap();
        let log = captures.path().join("serve.log");
        let child = Command::new(env!("CARGO_BIN_EXE_falaj"))
            .arg("serve")
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::from(std::fs::File::create(&log).unwrap()))
            .env_clear()
            .env("FALAJ_LOG", "trace")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        ours.set_nonblocking(true).unwrap();
        let (receiving, sending) = UnixStream::from_std(ours).unwrap().into_split();
        let authority = Authority::new();
        let server = authority.leaf(&[]);
        let tls = Tls {
            certificate_pem: server.certificate_pem,
            key_pem: Secret::new(server.key_pem),
            client_ca_pem: authority.pem.clone(),
        };
        let key = FileKey::from_parts(uuid::Uuid::new_v4(), [7; 32]);
        Self {
            child,
            address,
            authority,
            captures,
            key,
            sender: Some(pipe::Sender::new(sending)),
            receiver: pipe::Receiver::new(receiving),
            snapshot: Snapshot { generation: 0, tls: Some(tls), endpoints: BTreeMap::new() },
        }
    }

    /// Starts the process with one endpoint, `employed`, of these variants.
    pub async fn with(variants: &[(&str, (VariantSnapshot, Vec<u8>))]) -> Self {
        let mut serving = Self::start().await;
        serving.add_endpoint();
        serving.serve(variants).await;
        serving
    }

    /// Adds the endpoint `employed`, without variants.
    pub fn add_endpoint(&mut self) {
        let capture = CaptureSnapshot {
            directory: self.captures.path().join("employed"),
            key: Secret::new(base64::engine::general_purpose::STANDARD.encode([7; 32])),
            key_id: self.key.uid().to_string(),
            sampling_percent: 100.0,
            max_rows: 1_000_000,
            max_seconds: 3_600,
        };
        let endpoint = EndpointSnapshot {
            variants: BTreeMap::new(),
            invokers: BTreeSet::from([INVOKER.to_owned()]),
            capture: Some(capture),
        };
        self.snapshot.endpoints.insert("employed".to_owned(), endpoint);
    }

    pub fn endpoint(&mut self) -> &mut EndpointSnapshot {
        self.snapshot.endpoints.get_mut("employed").unwrap()
    }

    /// Serves these variants from now on.
    pub async fn serve(&mut self, variants: &[(&str, (VariantSnapshot, Vec<u8>))]) {
        for (_, (variant, bytes)) in variants {
            self.send(&ToServe::Artifact { digest: variant.artifact.clone(), format: Format::Native }, bytes).await;
        }
        let variants = variants.iter().map(|(name, (variant, _))| ((*name).to_owned(), variant.clone()));
        self.endpoint().variants = variants.collect();
        let generation = self.snapshot.generation + 1;
        assert_eq!(self.publish().await, FromServe::Ready { generation });
    }

    /// Sends the snapshot as the next generation; what comes back.
    pub async fn publish(&mut self) -> FromServe {
        self.snapshot.generation += 1;
        let snapshot = ToServe::Snapshot(self.snapshot.clone());
        self.send(&snapshot, &[]).await;
        self.event().await
    }

    pub async fn send(&mut self, message: &ToServe, payload: &[u8]) {
        self.sender.as_mut().unwrap().send(message, payload).await.unwrap();
    }

    pub async fn event(&mut self) -> FromServe {
        self.maybe_event().await.expect("the process ended")
    }

    pub async fn maybe_event(&mut self) -> Option<FromServe> {
        let received = tokio::time::timeout(Duration::from_secs(30), self.receiver.recv());
        received.await.expect("no event within 30 s").unwrap().map(|(event, _)| event)
    }

    /// Flushes, and gives the segments that were closed, as paths.
    pub async fn flush(&mut self) -> Vec<PathBuf> {
        self.send(&ToServe::Flush, &[]).await;
        let mut files = Vec::new();
        loop {
            match self.event().await {
                FromServe::SegmentClosed { file, .. } => files.push(self.captures.path().join("employed").join(file)),
                FromServe::Flushed => return files,
                other => panic!("{other:?}"),
            }
        }
    }

    /// A caller with the certificate of the endpoint's invoker.
    pub fn invoker(&self) -> Caller {
        self.caller(Some(&self.authority.leaf(&[INVOKER])))
    }

    pub fn caller(&self, leaf: Option<&Leaf>) -> Caller {
        Caller::new(self.address, &self.authority.pem, leaf)
    }

    /// Everything under a directory, for looking for what must not be there.
    pub fn bytes_on_disk(&self) -> Vec<u8> {
        fn collect(path: &Path, bytes: &mut Vec<u8>) {
            for entry in std::fs::read_dir(path).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { collect(&path, bytes) } else { bytes.extend(std::fs::read(path).unwrap()) }
            }
        }
        let mut bytes = Vec::new();
        collect(self.captures.path(), &mut bytes);
        bytes
    }
}

/// An HTTP client of the endpoint.
#[derive(Clone)]
pub struct Caller {
    pub client: reqwest::Client,
    pub base: String,
}

impl Caller {
    pub fn new(address: SocketAddr, ca_pem: &str, leaf: Option<&Leaf>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let config = match leaf {
            None => config.with_no_client_auth(),
            Some(leaf) => {
                let chain = vec![CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let client = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().build().unwrap();
        Self { client, base: format!("https://{address}") }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        Self::answer(self.client.get(format!("{}{path}", self.base)).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_bytes(path, body.to_string().into_bytes()).await
    }

    pub async fn post_bytes(&self, path: &str, body: Vec<u8>) -> (u16, Value) {
        Self::answer(self.client.post(format!("{}{path}", self.base)).body(body).send().await.unwrap()).await
    }

    pub async fn infer(&self, body: &Value) -> (u16, Value) {
        self.post("/v2/models/employed/infer", body).await
    }

    /// The variant that answers, for a request that must succeed.
    pub async fn variant_of(&self, id: &str) -> String {
        let (status, answer) = self.infer(&request(id, 30, "private")).await;
        assert_eq!(status, 200, "{answer}");
        answer["parameters"]["variant"].as_str().unwrap().to_owned()
    }

    pub async fn metrics(&self) -> String {
        self.client.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap()
    }

    async fn answer(answer: reqwest::Response) -> (u16, Value) {
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::String(String::from_utf8_lossy(&body).into_owned())))
    }
}
