//! What `make bench` measures: the model of the quickstart, trained here, in two
//! `falaj serve` started as the server starts them. One has everything off (plain
//! text, no capture), the other everything on (mutual TLS, authorisation,
//! capture of every request).
//!
//! `bench_serve DIRECTORY PEOPLE ONNXRUNTIME` writes `model.onnx` and the
//! certificates to DIRECTORY, says in one line of JSON where the two answer, and
//! ends when its standard input does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use base64::Engine as _;
use falaj::pipe;
use falaj::serve::protocol::{
    CaptureSnapshot, EndpointSnapshot, Format, FromServe, Secret, Snapshot, Tls, ToServe, VariantSnapshot,
};
use falaj_api::feature_store::DataType;
use falaj_api::model::{Algorithm, Evaluation, Mlp};
use falaj_engine::model::Model;
use falaj_engine::onnx::to_onnx;
use falaj_engine::train::Run;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

/// Columns of the census and the features made of them, as in the quickstart.
const FEATURES: [(&str, &str, DataType); 9] = [
    ("AGEP", "age", DataType::Int64),
    ("SCHL", "schooling", DataType::Int64),
    ("MAR", "marital_status", DataType::String),
    ("RELP", "relationship", DataType::String),
    ("DIS", "disability", DataType::String),
    ("ESP", "parents_employment", DataType::String),
    ("CIT", "citizenship", DataType::String),
    ("MIL", "military_service", DataType::String),
    ("DREM", "cognitive_difficulty", DataType::String),
];
const INVOKER: &str = "spiffe://bench/workspace/people/invoker/employed";

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [directory, people, library] = arguments.as_slice() else {
        bail!("usage: bench_serve DIRECTORY PEOPLE ONNXRUNTIME");
    };
    let model = train(people)?;
    let onnx = to_onnx(&model)?;
    std::fs::write(directory.join("model.onnx"), &onnx)?;
    let tls = certificates(directory)?;
    let capture = CaptureSnapshot {
        directory: directory.join("captures"),
        key: Secret::new(base64::engine::general_purpose::STANDARD.encode([7; 32])),
        key_id: uuid::Uuid::new_v4().to_string(),
        sampling_percent: 100.0,
        max_rows: 50_000,
        max_seconds: 60,
    };
    let off = Serving::start(library, directory, &model, &onnx, None, None).await?;
    let on = Serving::start(library, directory, &model, &onnx, Some(tls), Some(capture)).await?;
    println!(
        "{}",
        serde_json::json!({
            "off": { "url": format!("http://{}", off.address), "pid": off.child.id() },
            "on": { "url": format!("https://{}", on.address), "pid": on.child.id() },
        })
    );
    tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
    for serving in [off, on] {
        serving.end().await?;
    }
    Ok(())
}

/// The model of the quickstart.
fn train(people: &Path) -> Result<Model> {
    let file = File::open(people).with_context(|| people.display().to_string())?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = reader.schema().clone();
    let batches = reader.build()?.collect::<Result<Vec<_>, _>>()?;
    let batch = renamed(&concat_batches(&schema, &batches)?)?;
    let features = FEATURES.map(|(_, name, data_type)| (name.to_owned(), data_type));
    let run = Run {
        batch: &batch,
        features: &features,
        label: "employed",
        event_time: Some("observed_at"),
        protected: &[],
        algorithm: &Algorithm::Mlp(Mlp::default()),
        evaluation: &Evaluation::default(),
        seed: 7,
        threads: 2,
    };
    Ok(run.train(&())?.model)
}

fn renamed(batch: &RecordBatch) -> Result<RecordBatch> {
    let schema = batch.schema();
    let fields = schema.fields().iter().map(|field| {
        let feature = FEATURES.iter().find(|(column, _, _)| *column == field.name());
        let name = feature.map_or(field.name().as_str(), |(_, name, _)| name);
        Field::new(name, field.data_type().clone(), true)
    });
    let fields: Vec<Field> = fields.collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), batch.columns().to_vec())?)
}

/// Makes an authority, and a certificate for the servers and one for the callers,
/// as files; what `falaj serve` needs of them.
fn certificates(directory: &Path) -> Result<Tls> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "bench");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = params.self_signed(&key)?.pem();
    let issuer = Issuer::new(params, key);
    let leaf = |name: &str, subject: SanType| -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![subject];
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let key = key.serialize_pem();
        std::fs::write(directory.join(format!("{name}.pem")), &certificate)?;
        std::fs::write(directory.join(format!("{name}.key")), &key)?;
        Ok((certificate, key))
    };
    leaf("client", SanType::URI(Ia5String::try_from(INVOKER)?))?;
    let (certificate_pem, key) = leaf("server", SanType::IpAddress("127.0.0.1".parse()?))?;
    std::fs::write(directory.join("ca.pem"), &authority)?;
    Ok(Tls { certificate_pem, key_pem: Secret::new(key), client_ca_pem: authority })
}

/// A `falaj serve` with one endpoint, `employed`.
struct Serving {
    child: Child,
    address: SocketAddr,
    sender: pipe::Sender<OwnedWriteHalf>,
    receiver: pipe::Receiver<OwnedReadHalf>,
}

impl Serving {
    async fn start(
        library: &Path,
        directory: &Path,
        model: &Model,
        onnx: &[u8],
        tls: Option<Tls>,
        capture: Option<CaptureSnapshot>,
    ) -> Result<Self> {
        // This program lies in the folder `examples` beside the runtime.
        let program = std::env::current_exe()?;
        let program = program.parent().and_then(Path::parent).context("where is falaj?")?.join("falaj");
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let log = directory.join(if tls.is_some() { "on.log" } else { "off.log" });
        let child = Command::new(program)
            .arg("serve")
            .arg("--onnxruntime")
            .arg(library)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(listener)))
            .stderr(File::create(log)?)
            .env_clear()
            .kill_on_drop(true)
            .spawn()?;
        let (receiving, sending) = UnixStream::from_std(ours)?.into_split();
        let mut serving =
            Self { child, address, sender: pipe::Sender::new(sending), receiver: pipe::Receiver::new(receiving) };
        let digest = falaj::sha256_hex(onnx);
        let variant = VariantSnapshot {
            model: "employed".to_owned(),
            version: 1,
            weight: 100,
            shadow: false,
            artifact: digest.clone(),
            signature: model.signature(),
        };
        let endpoint = EndpointSnapshot {
            variants: BTreeMap::from([("champion".to_owned(), variant)]),
            invokers: BTreeSet::from([INVOKER.to_owned()]),
            capture,
        };
        let endpoints = BTreeMap::from([("employed".to_owned(), endpoint)]);
        serving.sender.send(&ToServe::Artifact { digest, format: Format::Onnx }, onnx).await?;
        serving.sender.send(&ToServe::Snapshot(Snapshot { generation: 1, tls, endpoints }), &[]).await?;
        match serving.receiver.recv::<FromServe>().await? {
            Some((FromServe::Ready { .. }, _)) => Ok(serving),
            other => bail!("falaj serve is not ready: {other:?}"),
        }
    }

    /// Lets it write what it captured, and end.
    async fn end(mut self) -> Result<()> {
        self.sender.send(&ToServe::Drain, &[]).await?;
        while self.receiver.recv::<FromServe>().await?.is_some() {}
        self.child.wait().await?;
        Ok(())
    }
}
