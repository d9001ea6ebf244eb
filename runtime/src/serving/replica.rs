//! One `falaj serve`, as the server hears and tells it: a child process or a pod.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use tokio::sync::{Mutex, Notify, mpsc};

use crate::{
    data_dir::{private_dir, write_private},
    pipe::{Receiver, Sender},
    serve::protocol::{EndpointSnapshot, Format, FromServe, Snapshot, Tls, ToServe},
    switchboard::{Read, Write},
};

pub struct Replica {
    sender: Arc<Mutex<Sender<Write>>>,
    answers: mpsc::UnboundedReceiver<FromServe>,
    generation: u64,
    artifacts: BTreeSet<String>,
    /// The snapshot that is in force, and the identity with it.
    pub sent: Option<(Tls, BTreeMap<String, EndpointSnapshot>)>,
    /// Version by variant, by endpoint.
    pub serving: BTreeMap<String, BTreeMap<String, u32>>,
}

/// Where the capture segments of a pod's endpoint are kept.
pub struct Captures {
    pub endpoint: String,
    pub directory: PathBuf,
}

impl Replica {
    /// `holds` are the artifacts that need not be sent. `ended` is rung when the
    /// process is gone.
    pub fn new(
        receiver: Receiver<Read>,
        sender: Sender<Write>,
        holds: Vec<String>,
        captures: Option<Captures>,
        ended: Arc<Notify>,
    ) -> Self {
        let sender = Arc::new(Mutex::new(sender));
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(hear(receiver, sender.clone(), answer, captures, ended));
        Self {
            sender,
            answers,
            generation: 0,
            artifacts: holds.into_iter().collect(),
            sent: None,
            serving: BTreeMap::new(),
        }
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
        self.say(&ToServe::Artifact { digest: digest.to_owned(), format }, bytes).await?;
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
        tls: &Tls,
        endpoints: &BTreeMap<String, EndpointSnapshot>,
        artifacts: &BTreeMap<String, Format>,
        patience: Duration,
    ) -> Result<FromServe> {
        self.generation += 1;
        let generation = self.generation;
        let snapshot = Snapshot { generation, tls: Some(tls.clone()), endpoints: endpoints.clone() };
        self.say(&ToServe::Snapshot(snapshot), b"").await?;
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
        self.say(&ToServe::Flush, b"").await?;
        self.answer(patience, |answer| matches!(answer, FromServe::Flushed)).await?;
        Ok(())
    }

    /// Asks it to let requests in flight finish and to end.
    pub async fn drain(self) {
        let _ = self.say(&ToServe::Drain, b"").await;
    }

    async fn say(&self, command: &ToServe, payload: &[u8]) -> Result<()> {
        Ok(self.sender.lock().await.send(command, payload).await?)
    }

    async fn answer(&mut self, patience: Duration, wanted: impl Fn(&FromServe) -> bool) -> Result<FromServe> {
        let wait = async {
            loop {
                match self.answers.recv().await {
                    Some(answer) if wanted(&answer) => return Ok(answer),
                    Some(_) => {}
                    None => bail!("the serving process ended; its log says why"),
                }
            }
        };
        tokio::time::timeout(patience, wait).await.context("the serving process does not answer")?
    }
}

/// Passes answers on; ends when the process does, and says so. A pod's segment
/// is on disk before the pod hears that it is kept.
async fn hear(
    mut receiver: Receiver<Read>,
    sender: Arc<Mutex<Sender<Write>>>,
    answers: mpsc::UnboundedSender<FromServe>,
    captures: Option<Captures>,
    ended: Arc<Notify>,
) {
    loop {
        match receiver.recv::<FromServe>().await {
            Ok(Some((FromServe::SegmentClosed { endpoint, file, .. }, bytes))) if captures.is_some() => {
                let kept = captures.as_ref().map_or(Ok(()), |captures| captures.keep(&endpoint, &file, &bytes));
                match kept {
                    Ok(()) => {
                        let kept = ToServe::SegmentKept { endpoint, file };
                        if sender.lock().await.send(&kept, b"").await.is_err() {
                            break;
                        }
                    }
                    Err(error) => {
                        // The pod keeps it and sends it again when it dials next.
                        tracing::error!("a pod's capture segment cannot be kept: {error:#}");
                        break;
                    }
                }
            }
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

impl Captures {
    /// Keeps a segment, which is sealed already.
    fn keep(&self, endpoint: &str, file: &str, bytes: &Bytes) -> Result<()> {
        let plain = Path::new(file).file_name().is_some_and(|name| name == file) && !file.starts_with('.');
        if endpoint != self.endpoint || !plain || !file.ends_with(".segment") {
            bail!("a pod of the endpoint {:?} sent a segment {endpoint:?}/{file:?}", self.endpoint);
        }
        private_dir(&self.directory)?;
        let path = self.directory.join(file);
        if !path.exists() {
            write_private(&path, bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Captures;

    #[test]
    fn a_pod_can_leave_segments_in_the_folder_of_its_own_endpoint_only() {
        let dir = tempfile::tempdir().unwrap();
        let captures = Captures { endpoint: "employed".into(), directory: dir.path().join("u1") };
        captures.keep("employed", "1.segment", &Bytes::from_static(b"sealed")).unwrap();
        captures.keep("employed", "1.segment", &Bytes::from_static(b"again")).unwrap();
        assert_eq!(std::fs::read(dir.path().join("u1/1.segment")).unwrap(), b"sealed");
        for (endpoint, file) in [
            ("other", "2.segment"),
            ("employed", "../2.segment"),
            ("employed", "/etc/2.segment"),
            ("employed", ".2.segment"),
            ("employed", "2"),
        ] {
            assert!(captures.keep(endpoint, file, &Bytes::new()).is_err(), "{endpoint}/{file}");
        }
    }
}
