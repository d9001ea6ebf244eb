//! How a pod reaches the server that runs it: it dials the server's own
//! listener with a certificate for this one purpose and asks, by ALPN, for the
//! frames of [`crate::pipe`] instead of HTTP. What is said then is what a child
//! process on one machine hears over its pipes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use falaj_api::local::{CA_FILE, CERT_FILE, KEY_FILE};
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{ReadHalf, WriteHalf},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::pipe::{Receiver, Sender};

/// Name of the protocol in the handshake.
pub const ALPN: &[u8] = b"falaj-pipe/1";
/// What the server's certificate is checked for, whatever address it has.
pub const SERVER_NAME: &str = "server.falaj.internal";
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the server is, and as whom it is dialled. All or nothing.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(id = "dial")]
pub struct Args {
    /// Dials the server there, instead of being its child process.
    #[arg(long, value_name = "HOST:PORT", requires = "identity", requires = "pod")]
    pub connect: Option<String>,
    /// Directory with ca.pem, cert.pem and key.pem.
    #[arg(long, value_name = "DIR", requires = "connect")]
    pub identity: Option<PathBuf>,
    /// Name of this pod.
    #[arg(long, requires = "connect")]
    pub pod: Option<String>,
}

/// The first frame: who is there, and what need not be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub pod: String,
    /// Digests of the artifacts that it holds.
    pub holds: Vec<String>,
}

/// A way to the server.
#[derive(Clone, Debug)]
pub struct Dial {
    address: String,
    identity: PathBuf,
    pub pod: String,
}

pub type Stream = TlsStream<TcpStream>;
pub type Line = (Receiver<ReadHalf<Stream>>, Sender<WriteHalf<Stream>>);

impl Args {
    /// The way to the server; `None` for its child process.
    pub fn dial(&self) -> Option<Dial> {
        Some(Dial { address: self.connect.clone()?, identity: self.identity.clone()?, pod: self.pod.clone()? })
    }
}

impl Dial {
    /// Connects and says hello. The certificate is read anew each time, since it
    /// is renewed while the pod runs.
    ///
    /// # Errors
    /// The server does not answer, or is not the one of this cluster.
    pub async fn connect(&self, holds: Vec<String>) -> Result<Line> {
        let file = |name: &str| self.identity.join(name);
        let mut config = falaj_api::client::tls(&file(CA_FILE), &file(CERT_FILE), &file(KEY_FILE))?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        let connect = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            TlsConnector::from(Arc::new(config))
                .connect(ServerName::try_from(SERVER_NAME)?, stream)
                .await
                .map_err(anyhow::Error::from)
        };
        let stream = tokio::time::timeout(PATIENCE, connect).await.map_err(anyhow::Error::from).flatten();
        let stream = stream.with_context(|| format!("the server at {} cannot be reached", self.address))?;
        let (read, write) = tokio::io::split(stream);
        let mut sender = Sender::new(write);
        sender.send(&Hello { pod: self.pod.clone(), holds }, b"").await?;
        Ok((Receiver::new(read), sender))
    }
}
