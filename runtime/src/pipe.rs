//! Framed messages between the server and the processes it starts.
//!
//! One frame is a header and a payload: `u32` length of the header, the header
//! as JSON, `u64` length of the payload, the payload as it is. Lengths are big
//! endian. Both are bounded, and memory grows with the bytes that arrive, not
//! with the lengths that a frame claims.
//!
//! `falaj serve` speaks it over a socket pair, `falaj train` over its standard
//! input and output, so both halves take any stream.

use bytes::{Buf, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::{Zeroize, Zeroizing};

/// Longest header in bytes.
pub const MAX_HEADER: u32 = 16 << 20;
/// Longest payload in bytes, unless a reader is made with another bound.
pub const MAX_PAYLOAD: u64 = 2 << 30;
/// Most bytes asked for at once.
const STEP: usize = 1 << 20;

/// Why a frame could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the pipe failed")]
    Io(#[from] std::io::Error),
    #[error("the pipe ended in the middle of a frame")]
    Truncated,
    #[error("a frame's {part} of {found} bytes is longer than the {limit} bytes that are allowed")]
    TooLong { part: &'static str, found: u64, limit: u64 },
    #[error("a frame's header is not the JSON that was expected")]
    Header(#[from] serde_json::Error),
}

/// Writes frames.
#[derive(Debug)]
pub struct Sender<W> {
    stream: W,
}

impl<W: AsyncWrite + Unpin> Sender<W> {
    pub fn new(stream: W) -> Self {
        Self { stream }
    }

    /// Sends one frame and flushes it. Not safe to cancel: a frame that was
    /// begun must be finished.
    ///
    /// # Errors
    /// If the header is too long or cannot be written as JSON, or the stream fails.
    pub async fn send<T: Serialize + ?Sized>(&mut self, header: &T, payload: &[u8]) -> Result<(), Error> {
        // A header may carry keys.
        let header = Zeroizing::new(serde_json::to_vec(header)?);
        let length = u32::try_from(header.len()).ok().filter(|length| *length <= MAX_HEADER);
        let length =
            length.ok_or(Error::TooLong { part: "header", found: header.len() as u64, limit: MAX_HEADER.into() })?;
        self.stream.write_all(&length.to_be_bytes()).await?;
        self.stream.write_all(&header).await?;
        self.stream.write_all(&(payload.len() as u64).to_be_bytes()).await?;
        self.stream.write_all(payload).await?;
        self.stream.flush().await?;
        Ok(())
    }
}

/// Reads frames.
#[derive(Debug)]
pub struct Receiver<R> {
    stream: R,
    buffer: BytesMut,
    max_payload: u64,
}

impl<R: AsyncRead + Unpin> Receiver<R> {
    pub fn new(stream: R) -> Self {
        Self::with_max_payload(stream, MAX_PAYLOAD)
    }

    /// A reader that refuses payloads over this many bytes.
    pub fn with_max_payload(stream: R, max_payload: u64) -> Self {
        Self { stream, buffer: BytesMut::new(), max_payload }
    }

    /// The next frame; `None` when the stream ended between two frames. Safe to
    /// cancel: what has arrived is kept for the next call.
    ///
    /// # Errors
    /// If the stream fails, ends within a frame, or holds no frame of this type.
    pub async fn recv<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, Error> {
        if !self.fill(4).await? {
            return Ok(None);
        }
        let header = u64::from((&self.buffer[..4]).get_u32());
        let header = bounded("header", header, MAX_HEADER.into())?;
        self.fill(4 + header + 8).await?;
        let payload = (&self.buffer[4 + header..][..8]).get_u64();
        let payload = bounded("payload", payload, self.max_payload)?;
        self.fill(4 + header + 8 + payload).await?;

        self.buffer.advance(4);
        let mut header = self.buffer.split_to(header);
        let parsed = serde_json::from_slice(&header);
        header.as_mut().zeroize();
        self.buffer.advance(8);
        let payload = self.buffer.split_to(payload).freeze();
        Ok(Some((parsed?, payload)))
    }

    /// Reads until the buffer holds this many bytes. False if the stream ended
    /// before the first of them.
    async fn fill(&mut self, length: usize) -> Result<bool, Error> {
        while self.buffer.len() < length {
            self.buffer.reserve((length - self.buffer.len()).min(STEP));
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if self.buffer.is_empty() { Ok(false) } else { Err(Error::Truncated) };
            }
        }
        Ok(true)
    }
}

fn bounded(part: &'static str, found: u64, limit: u64) -> Result<usize, Error> {
    let length = usize::try_from(found).ok().filter(|_| found <= limit);
    length.ok_or(Error::TooLong { part, found, limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_in_order_with_their_payloads() {
        let (a, b) = tokio::io::duplex(7);
        let sending = tokio::spawn(async move {
            let mut sender = Sender::new(a);
            sender.send("first", b"").await.unwrap();
            sender.send(&[1, 2, 3], &vec![9; 100_000]).await.unwrap();
        });
        let mut receiver = Receiver::new(b);
        assert_eq!(receiver.recv::<String>().await.unwrap().unwrap(), ("first".to_owned(), Bytes::new()));
        let (numbers, payload) = receiver.recv::<Vec<u8>>().await.unwrap().unwrap();
        assert_eq!((numbers, payload.len()), (vec![1, 2, 3], 100_000));
        sending.await.unwrap();
        assert!(receiver.recv::<String>().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_receive_that_is_cancelled_loses_nothing() {
        let (mut a, b) = tokio::io::duplex(1024);
        let mut receiver = Receiver::new(b);
        let mut frame = Vec::new();
        Sender::new(&mut frame).send("whole", b"payload").await.unwrap();
        let (first, second) = frame.split_at(9);
        a.write_all(first).await.unwrap();
        let soon = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, receiver.recv::<String>()).await.is_err());
        a.write_all(second).await.unwrap();
        let (header, payload) = receiver.recv::<String>().await.unwrap().unwrap();
        assert_eq!((header.as_str(), &payload[..]), ("whole", &b"payload"[..]));
    }

    #[tokio::test]
    async fn a_frame_that_claims_too_much_or_is_cut_is_an_error() {
        let huge = u32::MAX.to_be_bytes();
        let error = Receiver::new(&huge[..]).recv::<String>().await.unwrap_err();
        assert!(matches!(error, Error::TooLong { part: "header", .. }), "{error}");

        let mut frame = Vec::new();
        Sender::new(&mut frame).send("x", &[0; 100]).await.unwrap();
        let error = Receiver::with_max_payload(&frame[..], 99).recv::<String>().await.unwrap_err();
        assert!(matches!(error, Error::TooLong { part: "payload", found: 100, .. }), "{error}");
        for cut in 1..frame.len() {
            let error = Receiver::new(&frame[..cut]).recv::<String>().await.unwrap_err();
            assert!(matches!(error, Error::Truncated), "{cut}: {error}");
        }
        let error = Receiver::new(&frame[..]).recv::<u32>().await.unwrap_err();
        assert!(matches!(error, Error::Header(_)), "{error}");
    }
}
