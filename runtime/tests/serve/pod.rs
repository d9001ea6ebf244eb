//! `falaj serve` as a pod: it dials the server and goes on without it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use falaj::dial::{ALPN, Hello};
use falaj::pipe::{Receiver, Sender};
use falaj::serve::protocol::{
    CaptureSnapshot, EndpointSnapshot, Format, FromServe, Secret, Snapshot, Tls, ToServe, VariantSnapshot,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::harness::{Authority, Caller, INVOKER, request, variant};

type Stream = TlsStream<TcpStream>;

/// The server's side, and a pod that dials it.
struct Site {
    authority: Authority,
    home: tempfile::TempDir,
    listener: tokio::net::TcpListener,
    acceptor: TlsAcceptor,
    address: SocketAddr,
    health: SocketAddr,
}

/// A pod's line.
struct Line {
    hello: Hello,
    receiver: Receiver<ReadHalf<Stream>>,
    sender: Sender<WriteHalf<Stream>>,
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Site {
    async fn new() -> Self {
        let authority = Authority::new();
        let home = tempfile::tempdir().unwrap();
        let pod = authority.leaf(&["spiffe://cluster/workspace/people/replica/employed"]);
        for (name, text) in [("ca.pem", &authority.pem), ("cert.pem", &pod.certificate_pem), ("key.pem", &pod.key_pem)]
        {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let leaf = authority.leaf(&[]);
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(leaf.certificate_pem.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).unwrap(),
            )
            .unwrap();
        config.alpn_protocols = vec![ALPN.to_vec()];
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self { authority, home, listener, acceptor, address: free(), health: free() }
    }

    fn pod(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_falaj"))
            .arg("serve")
            .arg("--connect")
            .arg(self.listener.local_addr().unwrap().to_string())
            .arg("--identity")
            .arg(self.home.path())
            .args(["--pod", "employed-0", "--listen", &self.address.to_string()])
            .args(["--health", &self.health.to_string()])
            .arg("--spool")
            .arg(self.spool())
            .env_clear()
            .stderr(std::fs::File::create(self.home.path().join("pod.log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn spool(&self) -> std::path::PathBuf {
        self.home.path().join("spool")
    }

    async fn line(&self) -> Line {
        let accept = async {
            let (stream, _) = self.listener.accept().await.unwrap();
            let stream = self.acceptor.accept(stream).await.unwrap();
            let (read, write) = tokio::io::split(stream);
            let mut receiver = Receiver::new(read);
            let (hello, _) = receiver.recv::<Hello>().await.unwrap().unwrap();
            Line { hello, receiver, sender: Sender::new(write) }
        };
        tokio::time::timeout(Duration::from_secs(30), accept).await.expect("the pod does not dial")
    }

    fn snapshot(&self, generation: u64, champion: &VariantSnapshot) -> ToServe {
        let leaf = self.authority.leaf(&[]);
        let tls = Tls {
            certificate_pem: leaf.certificate_pem,
            key_pem: Secret::new(leaf.key_pem),
            client_ca_pem: self.authority.pem.clone(),
        };
        let capture = CaptureSnapshot {
            directory: self.spool().join("employed"),
            key: Secret::new(base64::engine::general_purpose::STANDARD.encode([7; 32])),
            key_id: "018f2b1e-0000-7000-8000-000000000000".to_owned(),
            sampling_percent: 100.0,
            max_rows: 1_000_000,
            max_seconds: 3_600,
        };
        let endpoint = EndpointSnapshot {
            variants: BTreeMap::from([("champion".to_owned(), champion.clone())]),
            invokers: BTreeSet::from([INVOKER.to_owned()]),
            capture: Some(capture),
        };
        let endpoints = BTreeMap::from([("employed".to_owned(), endpoint)]);
        ToServe::Snapshot(Snapshot { generation, tls: Some(tls), endpoints })
    }

    async fn ready(&self) -> Option<u16> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(self.health).await.ok()?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: pod\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    fn caller(&self) -> Caller {
        Caller::new(self.address, &self.authority.pem, Some(&self.authority.leaf(&[INVOKER])))
    }
}

impl Line {
    async fn event(&mut self) -> (FromServe, bytes::Bytes) {
        let event = tokio::time::timeout(Duration::from_secs(30), self.receiver.recv());
        event.await.expect("no event within 30 s").unwrap().expect("the line ended")
    }

    async fn say(&mut self, command: &ToServe, payload: &[u8]) {
        self.sender.send(command, payload).await.unwrap();
    }

    /// Flushes; the one segment that is closed, with its bytes.
    async fn flush(&mut self) -> (String, bytes::Bytes) {
        self.say(&ToServe::Flush, b"").await;
        let (FromServe::SegmentClosed { file, .. }, bytes) = self.event().await else { panic!("no segment") };
        assert_eq!(self.event().await.0, FromServe::Flushed);
        (file, bytes)
    }
}

fn segments(spool: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(spool.join("employed")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

#[tokio::test]
async fn a_pod_serves_on_without_the_server_and_loses_no_capture() {
    let site = Site::new().await;
    let mut pod = site.pod();
    let mut line = site.line().await;
    assert_eq!(line.hello, Hello { pod: "employed-0".into(), holds: Vec::new() });
    assert_eq!(site.ready().await, Some(503), "it has nothing to serve yet");

    let (champion, bytes) = variant(1, 100, false, 0.0);
    let artifact = ToServe::Artifact { digest: champion.artifact.clone(), format: Format::Native };
    line.say(&artifact, &bytes).await;
    line.say(&site.snapshot(1, &champion), b"").await;
    assert_eq!(line.event().await.0, FromServe::Ready { generation: 1 });
    assert_eq!(site.ready().await, Some(200));
    let caller = site.caller();
    assert_eq!(caller.variant_of("first").await, "champion");

    // The server takes the bytes and is gone before it has said so.
    let (file, sent) = line.flush().await;
    assert!(!sent.is_empty());
    drop(line);
    assert_eq!(caller.variant_of("meanwhile").await, "champion");
    assert_eq!(site.ready().await, Some(200));

    let mut line = site.line().await;
    assert_eq!(line.hello.holds, [champion.artifact.clone()], "the model need not be sent again");
    let (FromServe::SegmentClosed { file: again, .. }, bytes) = line.event().await else { panic!("no segment") };
    assert_eq!((&again, &bytes), (&file, &sent));
    line.say(&ToServe::SegmentKept { endpoint: "employed".into(), file }, b"").await;
    line.say(&site.snapshot(1, &champion), b"").await;
    assert_eq!(line.event().await.0, FromServe::Ready { generation: 1 });
    let (file, _) = line.flush().await;
    assert_eq!(segments(&site.spool()), [file.clone()], "what the server has is not kept");

    // Killed without a chance: the next container finds what the server lacks.
    pod.kill().await.unwrap();
    drop(line);
    let mut pod = site.pod();
    let mut line = site.line().await;
    assert_eq!(line.hello.holds, Vec::<String>::new());
    let (FromServe::SegmentClosed { file: left, .. }, _) = line.event().await else { panic!("no segment") };
    assert_eq!(left, file);
    line.say(&ToServe::SegmentKept { endpoint: "employed".into(), file }, b"").await;
    line.say(&artifact, &bytes_of(&champion)).await;
    line.say(&site.snapshot(1, &champion), b"").await;
    assert_eq!(line.event().await.0, FromServe::Ready { generation: 1 });

    // Told to end, it first tells its callers to go elsewhere.
    assert_eq!(caller.variant_of("last").await, "champion");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(pod.id().unwrap()).unwrap()).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    while site.ready().await != Some(503) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let url = format!("{}/v2/models/employed/infer", caller.base);
    let answer = caller.client.post(url).body(request("leaving", 30, "private").to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["connection"], "close");
    let (FromServe::SegmentClosed { file, rows, .. }, _) = line.event().await else { panic!("no segment") };
    assert_eq!(rows, 2);
    // It waits until the server has what it captured last.
    line.say(&ToServe::SegmentKept { endpoint: "employed".into(), file }, b"").await;
    let ended = tokio::time::timeout(Duration::from_secs(30), pod.wait()).await.expect("it does not end").unwrap();
    assert!(ended.success(), "{}", std::fs::read_to_string(site.home.path().join("pod.log")).unwrap());
    assert_eq!(segments(&site.spool()), Vec::<String>::new());
}

fn bytes_of(champion: &VariantSnapshot) -> Vec<u8> {
    let (again, bytes) = variant(1, 100, false, 0.0);
    assert_eq!(again.artifact, champion.artifact);
    bytes
}
