//! One `falaj serve`: its control channel, its listener, its certificates.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use falaj_api::{
    endpoint::EndpointStatus,
    local::{CA_FILE, CERT_FILE, CLIENTS_DIR, KEY_FILE},
};
use tokio::{
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Child,
    sync::{Notify, mpsc},
};

use crate::{
    data_dir::write_private,
    host::Host,
    identity::Principal,
    pipe::{Receiver, Sender},
    placement,
    serve::protocol::{EndpointSnapshot, Format, FromServe, Secret, Snapshot, Tls, ToServe},
};

/// Days that an application's certificate holds; it is renewed at half of them.
const CLIENT_DAYS: i64 = 90;
/// Days that a serving process's own certificate holds.
const SERVER_DAYS: i64 = 365;
const DRAIN: Duration = Duration::from_secs(15);

pub struct Process {
    child: Child,
    sender: Sender<OwnedWriteHalf>,
    answers: mpsc::UnboundedReceiver<FromServe>,
    address: SocketAddr,
    tls: Tls,
    generation: u64,
    artifacts: BTreeSet<String>,
    /// The snapshot that is in force.
    pub sent: Option<BTreeMap<String, EndpointSnapshot>>,
    /// Version by variant, by endpoint.
    pub serving: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Process {
    /// Starts the process. It listens where its predecessor did.
    ///
    /// # Errors
    /// The port is taken, or the process cannot be started.
    pub async fn start(host: &Host, ended: Arc<Notify>, workspace_uid: &str) -> Result<Self> {
        let listener = bind(&port_file(host, workspace_uid)?).await?;
        let address = listener.local_addr()?;
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let mut command = placement::command(host, "serve", "serve.log")?;
        if let Some(library) = &host.onnxruntime {
            command.arg("--onnxruntime").arg(library);
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(OwnedFd::from(listener)));
        let child = placement::spawn(command)?;
        let (read, write) = ours.into_split();
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(hear(Receiver::new(read), answer, ended));
        let leaf = host.authority.server(&[], SERVER_DAYS)?;
        let tls = Tls {
            certificate_pem: leaf.certificate_pem,
            key_pem: Secret::new(leaf.key_pem.as_str()),
            client_ca_pem: host.authority.certificate_pem().to_owned(),
        };
        Ok(Self {
            child,
            sender: Sender::new(write),
            answers,
            address,
            tls,
            generation: 0,
            artifacts: BTreeSet::new(),
            sent: None,
            serving: BTreeMap::new(),
        })
    }

    pub fn alive(&self) -> bool {
        !self.answers.is_closed()
    }

    pub fn has(&self, digest: &str) -> bool {
        self.artifacts.contains(digest)
    }

    /// # Errors
    /// The process is gone.
    pub async fn artifact(&mut self, digest: &str, format: Format, bytes: &[u8]) -> Result<()> {
        self.sender.send(&ToServe::Artifact { digest: digest.to_owned(), format }, bytes).await?;
        self.artifacts.insert(digest.to_owned());
        Ok(())
    }

    /// Sends a snapshot and waits for the answer. `artifacts` are those that it
    /// refers to; the process forgets the others.
    ///
    /// # Errors
    /// The process is gone or does not answer.
    pub async fn snapshot(
        &mut self,
        endpoints: &BTreeMap<String, EndpointSnapshot>,
        artifacts: &BTreeMap<String, Format>,
        patience: Duration,
    ) -> Result<FromServe> {
        self.generation += 1;
        let generation = self.generation;
        let snapshot = Snapshot { generation, tls: Some(self.tls.clone()), endpoints: endpoints.clone() };
        self.sender.send(&ToServe::Snapshot(snapshot), b"").await?;
        self.artifacts.retain(|digest| artifacts.contains_key(digest));
        self.answer(patience, |answer| match answer {
            FromServe::Ready { generation: g } | FromServe::Failed { generation: g, .. } => *g == generation,
            _ => false,
        })
        .await
    }

    /// # Errors
    /// The process is gone or does not answer.
    pub async fn flush(&mut self, patience: Duration) -> Result<()> {
        self.sender.send(&ToServe::Flush, b"").await?;
        self.answer(patience, |answer| matches!(answer, FromServe::Flushed)).await?;
        Ok(())
    }

    async fn answer(&mut self, patience: Duration, wanted: impl Fn(&FromServe) -> bool) -> Result<FromServe> {
        let wait = async {
            loop {
                match self.answers.recv().await {
                    Some(answer) if wanted(&answer) => return Ok(answer),
                    Some(_) => {}
                    None => bail!("the serving process ended; see logs/serve.log"),
                }
            }
        };
        tokio::time::timeout(patience, wait).await.context("the serving process does not answer")?
    }

    /// Lets requests in flight finish, then ends the process.
    pub async fn drain(mut self) {
        let _ = self.sender.send(&ToServe::Drain, b"").await;
        drop(self.sender);
        if tokio::time::timeout(DRAIN, self.child.wait()).await.is_err() {
            tracing::warn!("a serving process did not end in time and was killed");
            let _ = self.child.kill().await;
        }
    }

    /// Where an endpoint is, and what its own application needs to call it.
    pub fn status(&self, host: &Host, workspace: &str, endpoint: &str) -> EndpointStatus {
        let dir = host.data.root().join(CLIENTS_DIR).join(workspace).join(endpoint);
        let file = |name: &str| dir.join(name).display().to_string();
        EndpointStatus {
            url: format!("https://{}", self.address),
            ca_file: file(CA_FILE),
            client_cert_file: file(CERT_FILE),
            client_key_file: file(KEY_FILE),
            failure: None,
        }
    }
}

/// Passes answers on; ends when the process does, and says so.
async fn hear(mut receiver: Receiver<OwnedReadHalf>, answers: mpsc::UnboundedSender<FromServe>, ended: Arc<Notify>) {
    loop {
        match receiver.recv::<FromServe>().await {
            Ok(Some((answer, _))) => {
                if answers.send(answer).is_err() {
                    return;
                }
            }
            Ok(None) => break,
            Err(error) => {
                tracing::warn!(%error, "a serving process said what cannot be read");
                break;
            }
        }
    }
    drop(answers);
    ended.notify_one();
}

fn port_file(host: &Host, workspace_uid: &str) -> Result<PathBuf> {
    Ok(host.data.dir(&["serving"])?.join(format!("{workspace_uid}.port")))
}

/// Gives up the port that was kept for a workspace that is gone.
pub fn forget(host: &Host, workspace_uid: &str) {
    if let Ok(path) = port_file(host, workspace_uid) {
        let _ = std::fs::remove_file(path);
    }
}

/// Listens on the port of the file, or on a free one that is then kept in it:
/// an endpoint's address does not change when its process does. A predecessor
/// whose server died may still be finishing requests there, so it waits.
async fn bind(file: &std::path::Path) -> Result<TcpListener> {
    let kept = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u16>().ok());
    let since = Instant::now();
    let listener = loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, kept.unwrap_or(0))) {
            Ok(listener) => break listener,
            Err(error) if error.kind() == ErrorKind::AddrInUse && since.elapsed() < DRAIN => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => {
                let port = kept.unwrap_or(0);
                return Err(error)
                    .with_context(|| format!("the port {port} of the endpoints is taken by another program"));
            }
        }
    };
    if kept.is_none() {
        write_private(file, listener.local_addr()?.port().to_string().as_bytes())?;
    }
    Ok(listener)
}

/// Writes an application's certificate, unless a fresh one is there.
///
/// # Errors
/// It cannot be written.
pub fn certify(host: &Host, workspace: &str, application: &str) -> Result<()> {
    let dir = host.data.dir(&[CLIENTS_DIR, workspace, application])?;
    let certificate = dir.join(CERT_FILE);
    let half = Duration::from_secs(u64::try_from(CLIENT_DAYS / 2 * 86_400).unwrap_or(0));
    let age = certificate.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age < half) && dir.join(KEY_FILE).exists() && dir.join(CA_FILE).exists() {
        return Ok(());
    }
    let principal = Principal::Invoker { workspace: workspace.to_owned(), application: application.to_owned() };
    let leaf = host.authority.client(&principal, CLIENT_DAYS)?;
    write_private(&dir.join(CA_FILE), host.authority.certificate_pem().as_bytes())?;
    write_private(&dir.join(KEY_FILE), leaf.key_pem.as_bytes())?;
    write_private(&certificate, leaf.certificate_pem.as_bytes())?;
    Ok(())
}
