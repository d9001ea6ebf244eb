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
    sync::mpsc,
};

use super::snapshot::Desired;
use crate::{
    control::Control,
    data_dir::write_private,
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
    pub async fn start(control: &Arc<Control>, workspace_uid: &str) -> Result<Self> {
        let listener = bind(&port_file(control, workspace_uid)?).await?;
        let address = listener.local_addr()?;
        let (ours, theirs) = UnixStream::pair()?;
        let theirs = theirs.into_std()?;
        theirs.set_nonblocking(false)?;
        let mut command = placement::command(control, "serve", "serve.log")?;
        if let Some(library) = &control.onnxruntime {
            command.arg("--onnxruntime").arg(library);
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(OwnedFd::from(listener)));
        let child = placement::spawn(command)?;
        let (read, write) = ours.into_split();
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(hear(Receiver::new(read), answer, control.clone()));
        let leaf = control.authority.server(SERVER_DAYS)?;
        let tls = Tls {
            certificate_pem: leaf.certificate_pem,
            key_pem: Secret::new(leaf.key_pem.as_str()),
            client_ca_pem: control.authority.certificate_pem().to_owned(),
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

    /// Sends a snapshot and waits for the answer.
    ///
    /// # Errors
    /// The process is gone or does not answer, or a certificate cannot be written.
    pub async fn snapshot(&mut self, control: &Control, desired: &Desired, patience: Duration) -> Result<FromServe> {
        self.generation += 1;
        let snapshot =
            Snapshot { generation: self.generation, tls: Some(self.tls.clone()), endpoints: desired.endpoints.clone() };
        self.sender.send(&ToServe::Snapshot(snapshot), b"").await?;
        // The process drops artifacts that the snapshot does not refer to.
        self.artifacts.retain(|digest| desired.artifacts.contains_key(digest));
        let generation = self.generation;
        let answer = self.answer(patience, |answer| match answer {
            FromServe::Ready { generation: g } | FromServe::Failed { generation: g, .. } => *g == generation,
            _ => false,
        });
        let answer = answer.await?;
        let workspace = desired.records.first().map(|record| record.workspace.clone()).unwrap_or_default();
        let name = {
            let mut session = control.store.read().await?;
            falaj_store::records::get_by_uid(&mut session, &workspace).await?.map(|record| record.name)
        };
        for application in &desired.applications {
            certify(control, name.as_deref().unwrap_or_default(), application)?;
        }
        Ok(answer)
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
    pub fn status(&self, control: &Control, workspace: &str, endpoint: &str) -> EndpointStatus {
        let dir = control.data.root().join(CLIENTS_DIR).join(workspace).join(endpoint);
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
async fn hear(mut receiver: Receiver<OwnedReadHalf>, answers: mpsc::UnboundedSender<FromServe>, control: Arc<Control>) {
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
    control.serving.wake();
}

fn port_file(control: &Control, workspace_uid: &str) -> Result<PathBuf> {
    Ok(control.data.dir(&["serving"])?.join(format!("{workspace_uid}.port")))
}

/// Gives up the port that was kept for a workspace that is gone.
pub fn forget(control: &Control, workspace_uid: &str) {
    if let Ok(path) = port_file(control, workspace_uid) {
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
fn certify(control: &Control, workspace: &str, application: &str) -> Result<()> {
    let dir = control.data.dir(&[CLIENTS_DIR, workspace, application])?;
    let certificate = dir.join(CERT_FILE);
    let half = Duration::from_secs(u64::try_from(CLIENT_DAYS / 2 * 86_400).unwrap_or(0));
    let age = certificate.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age < half) && dir.join(KEY_FILE).exists() && dir.join(CA_FILE).exists() {
        return Ok(());
    }
    let principal = Principal::Invoker { workspace: workspace.to_owned(), application: application.to_owned() };
    let leaf = control.authority.client(&principal, CLIENT_DAYS)?;
    write_private(&dir.join(CA_FILE), control.authority.certificate_pem().as_bytes())?;
    write_private(&dir.join(KEY_FILE), leaf.key_pem.as_bytes())?;
    write_private(&certificate, leaf.certificate_pem.as_bytes())?;
    Ok(())
}
