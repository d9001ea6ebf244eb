//! The socket that the host connects to, and the connections that pass TLS.

mod tcp;
#[cfg(unix)]
mod unix;

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

use super::handshake::{Address, Invitation, Transport};
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

enum Listener {
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    Tcp(tokio::net::TcpListener),
}

/// Opens what the host, or this system, asks for.
pub async fn open(invitation: &Invitation) -> io::Result<Socket> {
    match invitation.transport {
        #[cfg(unix)]
        Transport::Unix => unix::open(invitation),
        #[cfg(not(unix))]
        Transport::Unix => Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets")),
        Transport::Tcp => tcp::open(invitation).await,
    }
}

impl Socket {
    /// The connections that passed TLS (or all, without it), and the directory
    /// of the socket, to be kept while they last.
    pub fn accept(self, tls: Option<ServerTls>) -> (ReceiverStream<io::Result<Connection>>, Option<TempDir>) {
        let (sender, receiver) = mpsc::channel(TLS_HANDSHAKES);
        match self.listener {
            #[cfg(unix)]
            Listener::Unix(listener) => drop(tokio::spawn(accept_all(listener, tls, sender))),
            Listener::Tcp(listener) => drop(tokio::spawn(accept_all(listener, tls, sender))),
        }
        (ReceiverStream::new(receiver), self.directory)
    }
}

/// A listener of either kind.
trait Accept: Send + Sync + 'static {
    type Stream: Io + 'static;
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

async fn accept_all(listener: impl Accept, tls: Option<ServerTls>, sender: mpsc::Sender<io::Result<Connection>>) {
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config));
    let handshakes = Arc::new(Semaphore::new(TLS_HANDSHAKES));
    while !sender.is_closed() {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.next() => accepted,
            () = sender.closed() => return,
        };
        let (acceptor, sender) = (acceptor.clone(), sender.clone());
        match stream {
            Ok(stream) => drop(tokio::spawn(async move {
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
