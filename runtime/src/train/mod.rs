//! `falaj train`: one training run, as a process of its own. It holds no key
//! and opens no file: sources come in and artifacts go out through pipes.

mod dataset;
pub mod protocol;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use falaj_api::model::Training;
use falaj_engine::{
    model::artifact,
    onnx,
    train::{Observer, Run, architecture},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};

use crate::{
    dial,
    pipe::{Receiver, Sender},
};
use dataset::{Dataset, Store};
use protocol::{BASELINE, FromTrain, NATIVE, ONNX, ToTrain};

/// Reads one run from the server, does it, and says what came of it: over
/// standard input and output as its child process, over a line of its own in a
/// pod.
///
/// # Errors
/// The pipe broke. What is wrong with the data is said in the pipe instead.
pub async fn run(args: dial::Args) -> Result<()> {
    match args.dial() {
        None => work(Receiver::new(tokio::io::stdin()), Sender::new(tokio::io::stdout())).await,
        Some(dial) => {
            let (input, output) = reach(&dial).await?;
            work(input, output).await
        }
    }
}

/// Dials the server, which may be restarting.
async fn reach(dial: &dial::Dial) -> Result<dial::Line> {
    let since = tokio::time::Instant::now();
    loop {
        match dial.connect(Vec::new()).await {
            Ok(line) => return Ok(line),
            Err(error) if since.elapsed() > PATIENCE => return Err(error),
            Err(error) => tracing::warn!("{error:#}"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn work<R, W>(mut input: Receiver<R>, mut output: Sender<W>) -> Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut stores = BTreeMap::new();
    let (training, now_micros, threads) = loop {
        let Some((message, payload)) = input.recv::<ToTrain>().await? else {
            bail!("the server closed the pipe before it said what to train");
        };
        match message {
            ToTrain::Source { feature_store, spec } => {
                stores.insert(feature_store, Store { spec: *spec, bytes: payload });
            }
            ToTrain::Run { training, now_micros } => {
                let threads = std::thread::available_parallelism().map_or(1, usize::from);
                break (*training, now_micros, threads);
            }
        }
    };
    let (progress, mut updates) = mpsc::unbounded_channel();
    let mut work = tokio::task::spawn_blocking(move || {
        let watcher = Watcher { progress, cancelled: AtomicBool::new(false) };
        train(&training, &stores, now_micros, threads, &watcher)
    });
    loop {
        tokio::select! {
            update = updates.recv() => match update {
                Some((percent, message)) => output.send(&FromTrain::Progress { percent, message }, b"").await?,
                None => break,
            },
            // The server says nothing more, but it may be gone.
            _ = input.recv::<ToTrain>() => bail!("the server wants no result any more"),
        }
    }
    match (&mut work).await.context("the training thread failed")? {
        Ok((artifacts, done)) => finish(&mut output, artifacts, done).await?,
        Err(reason) => output.send(&FromTrain::Failed { reason }, b"").await?,
    }
    // What was sent is read before the line goes down.
    let _ = tokio::time::timeout(FAREWELL, input.recv::<ToTrain>()).await;
    Ok(())
}

/// How long a pod tries to reach the server.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the server gets to read what came of a run.
const FAREWELL: Duration = Duration::from_secs(30);

type Artifacts = Vec<(&'static str, Vec<u8>)>;

async fn finish<W: AsyncWrite + Unpin>(output: &mut Sender<W>, artifacts: Artifacts, done: FromTrain) -> Result<()> {
    for (name, bytes) in artifacts {
        output.send(&FromTrain::Artifact { name: name.to_owned() }, &bytes).await?;
    }
    Ok(output.send(&done, b"").await?)
}

fn train(
    training: &Training,
    stores: &BTreeMap<String, Store>,
    now_micros: i64,
    threads: usize,
    watcher: &Watcher,
) -> Result<(Artifacts, FromTrain), String> {
    watcher.progress(0.0, "joining features");
    let data = dataset::build(training, stores, now_micros)?;
    let run = Run {
        batch: &data.batch,
        features: &data.features,
        label: dataset::LABEL,
        event_time: Some(Dataset::EVENT_TIME),
        protected: &training.protected,
        algorithm: &training.algorithm,
        evaluation: &training.evaluation,
        seed: training.seed,
        threads,
    };
    let trained = run.train(watcher).map_err(|error| error.to_string())?;
    let native = artifact::to_safetensors(&trained.model).map_err(|error| error.to_string())?;
    let exported = onnx::to_onnx(&trained.model).map_err(|error| error.to_string())?;
    let baseline = write_ipc(&trained.baseline).map_err(|error| error.to_string())?;
    let done = FromTrain::Done {
        signature: trained.model.signature(),
        metrics: trained.metrics,
        fairness: trained.fairness,
        architecture: architecture(),
    };
    Ok((vec![(NATIVE, native), (ONNX, exported), (BASELINE, baseline)], done))
}

/// A record batch as an Arrow IPC file.
///
/// # Errors
/// The batch cannot be written in this format.
pub fn write_ipc(batch: &RecordBatch) -> Result<Vec<u8>, arrow::error::ArrowError> {
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    writer.into_inner()
}

/// Reads what [`write_ipc`] wrote.
///
/// # Errors
/// The bytes are not an Arrow IPC file.
pub fn read_ipc(bytes: &[u8]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let reader = arrow::ipc::reader::FileReader::try_new(std::io::Cursor::new(bytes), None)?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>()?;
    arrow::compute::concat_batches(&schema, &batches)
}

/// Passes progress to the server; stops the run when nobody listens any more.
struct Watcher {
    progress: mpsc::UnboundedSender<(f64, String)>,
    cancelled: AtomicBool,
}

impl Observer for Watcher {
    fn progress(&self, done: f64, message: &str) {
        if self.progress.send((done * 100.0, message.to_owned())).is_err() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
