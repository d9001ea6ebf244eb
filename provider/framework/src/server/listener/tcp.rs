//! A loopback port, where there are no unix sockets. Anyone on the machine can
//! connect to it; mutual TLS keeps all but the host out.

use std::io;

use tokio::net::{TcpListener, TcpStream};

use super::{Accept, Listener, Socket};
use crate::server::handshake::{Address, Invitation};

/// Opens the first free port of those that the host allows; any if it does not say.
pub async fn open(invitation: &Invitation) -> io::Result<Socket> {
    let (least, most) = invitation.ports.unwrap_or((0, 0));
    let mut failure = io::Error::other("no port was tried");
    for port in least..=most {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => {
                let address = Address { network: "tcp", address: listener.local_addr()?.to_string() };
                return Ok(Socket { address, listener: Listener::Tcp(listener), directory: None });
            }
            Err(error) => failure = error,
        }
    }
    Err(io::Error::new(failure.kind(), format!("no port of 127.0.0.1 from {least} to {most} is free: {failure}")))
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Calls are small, and each waits for its answer.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_free_port_is_taken_and_no_other_than_allowed() -> io::Result<()> {
        let taken = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = taken.local_addr()?.port();
        let only = Invitation { ports: Some((port, port)), ..Invitation::default() };
        let refused = open(&only).await.err().map(|error| error.to_string());
        assert!(refused.is_some_and(|error| error.contains(&format!("from {port} to {port} is free"))));

        let range = (port, port.saturating_add(100));
        let socket = open(&Invitation { ports: Some(range), ..Invitation::default() }).await?;
        let chosen: Option<u16> = socket.address.address.strip_prefix("127.0.0.1:").and_then(|port| port.parse().ok());
        assert!(chosen.is_some_and(|chosen| chosen > port && chosen <= range.1), "{:?}", socket.address);
        Ok(())
    }
}
