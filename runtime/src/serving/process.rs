//! One `falaj serve` on this machine: its listener, its certificates.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use falaj_api::{
    endpoint::EndpointStatus,
    local::{CA_FILE, CERT_FILE, CLIENTS_DIR, KEY_FILE},
};
use tokio::{net::UnixStream, process::Child, sync::Notify};

use super::replica::Replica;
use crate::{
    data_dir::write_private,
    host::Host,
    identity::Principal,
    pipe::{Receiver, Sender},
    placement,
    serve::protocol::{Secret, Tls},
    switchboard::{Read, Write},
};

/// Days that an application's certificate holds; it is renewed at half of them.
const CLIENT_DAYS: i64 = 90;
/// Days that a serving process's own certificate holds.
const SERVER_DAYS: i64 = 365;
const DRAIN: Duration = Duration::from_secs(15);

/// The child process, its address and its identity.
pub struct Process {
    child: Child,
    address: SocketAddr,
    pub tls: Tls,
}

impl Process {
    /// Starts the process. It listens where its predecessor did.
    ///
    /// # Errors
    /// The port is taken, or the process cannot be started.
    pub async fn start(host: &Host, ended: Arc<Notify>, workspace_uid: &str) -> Result<(Self, Replica)> {
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
        let (receiver, sender) = (Receiver::new(Box::new(read) as Read), Sender::new(Box::new(write) as Write));
        // It writes its capture segments where they belong.
        let replica = Replica::new(receiver, sender, Vec::new(), None, ended);
        let leaf = host.authority.server(&[], SERVER_DAYS)?;
        let tls = Tls {
            certificate_pem: leaf.certificate_pem,
            key_pem: Secret::new(leaf.key_pem.as_str()),
            client_ca_pem: host.authority.certificate_pem().to_owned(),
        };
        Ok((Self { child, address, tls }, replica))
    }

    /// Waits until it ends, which it was asked to, or ends it.
    pub async fn ended(mut self) {
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
            ..EndpointStatus::default()
        }
    }
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
