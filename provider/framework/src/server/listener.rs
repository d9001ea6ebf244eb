//! The socket that the host connects to, and the connections that pass TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::handshake::{Address, Invitation};
use super::tls::ServerTls;

/// A peer that does not finish TLS by then is cut off.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// Peers in the middle of TLS at one time; the host needs one.
const TLS_HANDSHAKES: usize = 16;

/// An open socket.
pub struct Socket {
    /// Where it listens.
    pub address: Address,
    listener: Listener,
    directory: Option<TempDir>,
}

#[cfg(unix)]
type Listener = tokio::net::UnixListener;
#[cfg(not(unix))]
type Listener = tokio::net::TcpListener;

/// Opens a unix socket in a fresh directory that only this user may enter.
#[cfg(unix)]
pub async fn open(invitation: &Invitation) -> io::Result<Socket> {
    use std::os::unix::fs::PermissionsExt;

    let parent = invitation.socket_directory.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new()
        .prefix("tfplugin-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(parent)?;
    let path = directory.path().join("s");
    let listener = Listener::bind(&path)?;
    let address = path.to_str().ok_or_else(|| io::Error::other("the path of the socket is not UTF-8"))?;
    let address = Address { network: "unix", address: address.to_owned() };
    Ok(Socket { address, listener, directory: Some(directory) })
}

/// Opens a loopback port; mutual TLS keeps everyone but the host out.
#[cfg(not(unix))]
pub async fn open(invitation: &Invitation) -> io::Result<Socket> {
    let (least, most) = invitation.ports.unwrap_or((0, 0));
    let mut failure = io::Error::other("no port is free");
    for port in least..=most {
        match Listener::bind(("127.0.0.1", port)).await {
            Ok(listener) => {
                let address = Address { network: "tcp", address: listener.local_addr()?.to_string() };
                return Ok(Socket { address, listener, directory: None });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

impl Socket {
    /// The connections that passed TLS (or all, without it), and the directory
    /// of the socket, to be kept while they last.
    pub fn accept(self, tls: Option<ServerTls>) -> (ReceiverStream<io::Result<Connection>>, Option<TempDir>) {
        let (sender, receiver) = mpsc::channel(TLS_HANDSHAKES);
        tokio::spawn(accept_all(self.listener, tls, sender));
        (ReceiverStream::new(receiver), self.directory)
    }
}

async fn accept_all(listener: Listener, tls: Option<ServerTls>, sender: mpsc::Sender<io::Result<Connection>>) {
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config));
    let handshakes = Arc::new(Semaphore::new(TLS_HANDSHAKES));
    while !sender.is_closed() {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sender.closed() => return,
        };
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        match stream {
            Ok((stream, _)) => drop(tokio::spawn(async move {
                if let Some(connection) = secure(stream, acceptor).await {
                    drop(sender.send(Ok(connection)).await);
                }
                drop(permit);
            })),
            // Out of descriptors, most likely: others may be closed soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn secure(stream: impl Io + 'static, acceptor: Option<TlsAcceptor>) -> Option<Connection> {
    let Some(acceptor) = acceptor else {
        return Some(Connection(Box::pin(stream)));
    };
    match tokio::time::timeout(TLS_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(Connection(Box::pin(stream))),
        Ok(Err(error)) => {
            tracing::warn!(%error, "a connection that is not the host's was refused");
            None
        }
        Err(_) => None,
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One connection to the host.
pub struct Connection(Pin<Box<dyn Io>>);

impl Connected for Connection {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}
