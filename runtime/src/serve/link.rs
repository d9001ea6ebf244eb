//! The channel to the server: commands in, events out. A child process has it
//! from its start and ends with it; a pod dials, and dials again when it breaks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

use super::models::Holdings;
use super::protocol::{FromServe, ToServe};
use crate::dial::Dial;
use crate::pipe;

/// Between two attempts to reach the server: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Unbounded: the server waits for an answer after what it says.
pub type Commands = mpsc::UnboundedReceiver<(ToServe, Bytes)>;
pub type Events = mpsc::Receiver<FromServe>;

/// The server's end of a pair of pipes. The commands end when the server does.
pub fn given<R, W>(read: R, write: W, mut events: Events) -> (Commands, tokio::task::JoinHandle<()>)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let (inbox, commands) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut receiver = pipe::Receiver::new(read);
        loop {
            match receiver.recv::<ToServe>().await {
                Ok(Some(command)) => {
                    if inbox.send(command).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => return tracing::error!(%error, "the channel to the server failed"),
            }
        }
    });
    let reporting = tokio::spawn(async move {
        let mut sender = pipe::Sender::new(write);
        while let Some(event) = events.recv().await {
            if let Err(error) = sender.send(&event, &[]).await {
                tracing::warn!(%error, "the server does not listen any more");
                break;
            }
        }
        // What is still captured is written; only nobody is told.
        while events.recv().await.is_some() {}
    });
    (commands, reporting)
}

/// Dials the server. The commands never end: what was last declared is served
/// while the server is away. Capture segments wait in the spool until the
/// server has them, also those of a container before this one.
pub fn dialled(
    dial: Dial,
    spool: PathBuf,
    holdings: Arc<Holdings>,
    events: Events,
) -> (Commands, tokio::task::JoinHandle<()>) {
    let (inbox, commands) = mpsc::unbounded_channel();
    let mut link = Dialled { dial, waiting: spooled(&spool), spool, holdings, events, inbox };
    (commands, tokio::spawn(async move { link.run().await }))
}

struct Dialled {
    dial: Dial,
    spool: PathBuf,
    holdings: Arc<Holdings>,
    events: Events,
    inbox: mpsc::UnboundedSender<(ToServe, Bytes)>,
    /// Segments that the server has not taken yet, by file name.
    waiting: BTreeMap<String, FromServe>,
}

/// Why a line is no more.
enum End {
    Broken(anyhow::Error),
    /// Nothing will be said any more, and the server has everything.
    Done,
}

impl Dialled {
    async fn run(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let since = tokio::time::Instant::now();
            match self.line().await {
                End::Done => return,
                End::Broken(error) => tracing::warn!("{error:#}; what was declared last is served meanwhile"),
            }
            if since.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// One connection, from its hello to its end.
    async fn line(&mut self) -> End {
        let (mut receiver, mut sender) = match self.dial.connect(self.holdings.list()).await {
            Ok(line) => line,
            Err(error) => return End::Broken(error),
        };
        tracing::info!("connected to the server");
        for event in self.waiting.clone().into_values() {
            if let Err(error) = self.send(&mut sender, &event).await {
                return End::Broken(error);
            }
        }
        let mut finished = false;
        loop {
            if finished && self.waiting.is_empty() {
                return End::Done;
            }
            tokio::select! {
                frame = receiver.recv::<ToServe>() => match frame {
                    Ok(Some((ToServe::SegmentKept { endpoint, file }, _))) => {
                        if self.waiting.remove(&file).is_some() {
                            let _ = std::fs::remove_file(self.spool.join(endpoint).join(file));
                        }
                    }
                    Ok(Some(command)) => {
                        // Obeyed or not: a process that ends obeys nothing more.
                        let _ = self.inbox.send(command);
                    }
                    Ok(None) => return End::Broken(anyhow::anyhow!("the server ended the connection")),
                    Err(error) => return End::Broken(error.into()),
                },
                event = self.events.recv(), if !finished => match event {
                    None => finished = true,
                    Some(event) => {
                        if let FromServe::SegmentClosed { file, .. } = &event {
                            self.waiting.insert(file.clone(), event.clone());
                        }
                        if let Err(error) = self.send(&mut sender, &event).await {
                            return End::Broken(error);
                        }
                    }
                },
            }
        }
    }

    /// Says something, a segment with its bytes.
    async fn send<W: AsyncWrite + Unpin>(
        &mut self,
        sender: &mut pipe::Sender<W>,
        event: &FromServe,
    ) -> anyhow::Result<()> {
        let FromServe::SegmentClosed { endpoint, file, .. } = event else { return Ok(sender.send(event, &[]).await?) };
        let path = self.spool.join(endpoint).join(file);
        match tokio::fs::read(&path).await {
            Ok(bytes) => Ok(sender.send(event, &bytes).await?),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a capture segment is lost");
                self.waiting.remove(file);
                Ok(())
            }
        }
    }
}

/// The segments that a container before this one left behind.
fn spooled(spool: &Path) -> BTreeMap<String, FromServe> {
    let names = |path: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    };
    let mut found = BTreeMap::new();
    for endpoint in names(spool) {
        for file in names(&spool.join(&endpoint)).into_iter().filter(|file| file.ends_with(SEGMENT)) {
            let left = FromServe::SegmentClosed {
                endpoint: endpoint.clone(),
                file: file.clone(),
                rows: 0,
                outcomes: 0,
                first_at_micros: 0,
                last_at_micros: 0,
            };
            found.insert(file, left);
        }
    }
    found
}

/// How the name of a finished segment ends.
pub const SEGMENT: &str = ".segment";

#[cfg(test)]
mod tests {
    use super::spooled;

    #[test]
    fn what_a_container_before_left_is_found_and_the_unfinished_is_not() {
        let spool = tempfile::tempdir().unwrap();
        let dir = spool.path().join("employed");
        std::fs::create_dir(&dir).unwrap();
        for name in ["1.segment", "2.segment", ".tmp-3"] {
            std::fs::write(dir.join(name), b"sealed").unwrap();
        }
        let found = spooled(spool.path());
        assert_eq!(found.keys().collect::<Vec<_>>(), ["1.segment", "2.segment"]);
        assert!(spooled(&spool.path().join("nothing")).is_empty());
    }
}
