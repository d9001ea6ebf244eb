//! `falaj serve`: the process that answers predictions, one per workspace.
//!
//! It has neither database nor KMS credentials, and reads no configuration.
//! The server that starts it gives it three things: a socket pair as standard
//! input, over which come model bytes, the routing snapshot, certificates and
//! capture keys ([`protocol`]); the listening socket as standard output; and a
//! log file as standard error. When the channel ends it finishes what is in
//! flight, closes the capture segments and exits.
//!
//! In a pod it dials the server instead ([`link`]), listens once it has
//! something to serve, and goes on serving while the server is away.

pub mod capture;
mod control;
mod health;
mod http;
mod identity;
mod infer;
mod link;
mod listener;
mod metrics;
mod models;
pub mod protocol;
mod routing;
mod shadow;
mod state;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use arc_swap::ArcSwap;
use falaj_engine::infer::OnnxRuntime;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::dial;
use capture::Capture;
use control::Builder;
use metrics::Metrics;
use models::Models;
use protocol::{FromServe, ToServe};
use shadow::Shadows;
use state::{Counter, State};

pub use state::Limits;

/// Events that may wait to be sent to the server.
const EVENTS: usize = 256;

/// Arguments of `falaj serve`. Nothing secret is among them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// The ONNX Runtime library. Without it only models trained here are served.
    #[arg(long, env = "ORT_DYLIB_PATH", value_name = "FILE")]
    pub onnxruntime: Option<PathBuf>,
    #[command(flatten)]
    pub dial: dial::Args,
    /// Where a pod answers predictions.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8443")]
    pub listen: Option<SocketAddr>,
    /// Where a pod says, in plain text, whether it is alive and ready.
    #[arg(long, value_name = "ADDRESS")]
    pub health: Option<SocketAddr>,
    /// Where a pod keeps sealed capture segments until the server has them.
    #[arg(long, value_name = "DIR", default_value = "/var/spool/falaj")]
    pub spool: Option<PathBuf>,
}

/// The two ends of a serving process: who tells it what, and who asks it.
pub enum Ends {
    /// A child process of the server: both are there from the start.
    Child { channel: UnixStream, listener: TcpListener },
    /// A pod.
    Pod { dial: dial::Dial, spool: PathBuf, listen: SocketAddr },
}

enum Listening {
    Bound(TcpListener),
    At(SocketAddr),
}

/// Serves until the channel on standard input ends, or SIGTERM.
///
/// # Errors
/// If standard input is no unix socket or standard output no listening socket.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let ends = match (args.dial.dial(), &args.spool, args.listen) {
        (Some(dial), Some(spool), Some(listen)) => Ends::Pod { dial, spool: spool.clone(), listen },
        _ => inherited()?,
    };
    let stop = CancellationToken::new();
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stopping = stop.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        stopping.cancel();
    });
    serve(&args, Limits::default(), ends, stop).await
}

fn inherited() -> anyhow::Result<Ends> {
    let channel = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let channel = std::os::unix::net::UnixStream::from(channel);
    channel.set_nonblocking(true)?;
    let channel = UnixStream::from_std(channel).context("standard input has to be the channel to the server")?;
    let listener = std::io::stdout().as_fd().try_clone_to_owned().context("standard output")?;
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener).context("standard output has to be the listening socket")?;
    Ok(Ends::Child { channel, listener })
}

/// Serves until the channel ends or `stop`. Connections are accepted once the
/// first snapshot is in force.
///
/// # Errors
/// If a thread cannot be started, or the address is taken.
pub async fn serve(args: &Args, limits: Limits, ends: Ends, stop: CancellationToken) -> anyhow::Result<()> {
    let metrics = Arc::new(Metrics::default());
    let (events, outbox) = mpsc::channel(EVENTS);
    let models = Models::new(load_library(args).await, parallelism());
    let (commands, reporting, listening, farewell) = match ends {
        Ends::Child { channel, listener } => {
            let (read, write) = channel.into_split();
            let (commands, reporting) = link::given(read, write, outbox);
            (commands, reporting, Listening::Bound(listener), Duration::ZERO)
        }
        Ends::Pod { dial, spool, listen } => {
            let (commands, reporting) = link::dialled(dial, spool, models.holdings(), outbox);
            (commands, reporting, Listening::At(listen), limits.farewell)
        }
    };
    let (capture, capturing) = Capture::start(metrics.clone(), events.clone());
    let (shadows, inbox) = Shadows::new(metrics.clone());
    let state = Arc::new(State {
        routing: ArcSwap::default(),
        unknown: metrics.requests("", ""),
        metrics: metrics.clone(),
        capture,
        shadows,
        limits,
        leaving: AtomicBool::new(false),
        listening: AtomicBool::new(false),
        in_flight: Counter::default(),
        body_bytes: Counter::default(),
    });
    let weak = Arc::downgrade(&state);
    inbox.start(move |job| answer_as_shadow(&weak, job))?;

    if let Some(address) = args.health {
        let listener = TcpListener::bind(address).await.with_context(|| format!("--health {address}"))?;
        tokio::spawn(health::listen(listener, Arc::downgrade(&state)));
    }

    let drain = CancellationToken::new();
    let builder = Builder::new(models, metrics);
    let listening = obey(&state, builder, commands, &events, listening, &drain, &stop).await?;

    // Callers are told to connect elsewhere before any connection is closed.
    state.leaving.store(true, Relaxed);
    if listening.is_some() {
        tokio::time::sleep(farewell).await;
    }
    drain.cancel();
    if let Some(listening) = listening {
        listening.await?;
    }
    state.shadows.settle().await;
    state.capture.flush().await;
    // The writer and the reporter end when nobody can hand them anything. A
    // connection that did not end in time still could, and is not waited for.
    drop((state, events));
    let ended = async {
        capturing.await?;
        reporting.await
    };
    match tokio::time::timeout(limits.drain, ended).await {
        Ok(ended) => Ok(ended?),
        Err(_) => anyhow::bail!("the captures were not written within {} s", limits.drain.as_secs()),
    }
}

/// Does what the server says until it says no more. Gives the task that serves
/// connections, once there is one.
async fn obey(
    state: &Arc<State>,
    mut builder: Builder,
    mut commands: link::Commands,
    events: &mpsc::Sender<FromServe>,
    place: Listening,
    drain: &CancellationToken,
    stop: &CancellationToken,
) -> anyhow::Result<Option<tokio::task::JoinHandle<()>>> {
    let mut place = Some(place);
    let mut listening = None;
    loop {
        let command = tokio::select! {
            command = commands.recv() => command,
            () = stop.cancelled() => None,
        };
        let event = match command {
            None | Some((ToServe::Drain, _)) => return Ok(listening),
            // The link has dealt with it.
            Some((ToServe::SegmentKept { .. }, _)) => continue,
            Some((ToServe::Artifact { digest, format }, bytes)) => {
                builder.models().add(digest, format, bytes);
                continue;
            }
            Some((ToServe::Flush, _)) => {
                let state = state.clone();
                tokio::spawn(async move {
                    state.shadows.settle().await;
                    state.capture.flush().await;
                });
                continue;
            }
            Some((ToServe::Snapshot(snapshot), _)) => {
                let generation = snapshot.generation;
                // Loading models is work; connections are served meanwhile.
                let built = tokio::task::spawn_blocking(move || {
                    let routing = builder.build(&snapshot);
                    (builder, routing)
                });
                let Ok((returned, routing)) = built.await else { return Ok(listening) };
                builder = returned;
                match routing {
                    Ok(routing) => {
                        if routing.tls.is_none() {
                            tracing::warn!("serving plain text to anybody; this is for benchmarks only");
                        }
                        state.routing.store(Arc::new(routing));
                        if let Some(place) = place.take() {
                            let listener = match place {
                                Listening::Bound(listener) => listener,
                                Listening::At(address) => TcpListener::bind(address)
                                    .await
                                    .with_context(|| format!("the address {address} cannot be listened on"))?,
                            };
                            state.listening.store(true, Relaxed);
                            let serving = listener::listen(state.clone(), listener, drain.clone());
                            listening = Some(tokio::spawn(serving));
                        }
                        FromServe::Ready { generation }
                    }
                    Err(reason) => {
                        tracing::error!(generation, reason, "a snapshot cannot be served");
                        FromServe::Failed { generation, reason }
                    }
                }
            }
        };
        // The reporter outlives every sender.
        let _ = events.send(event).await;
    }
}

fn answer_as_shadow(state: &Weak<State>, job: shadow::Job) {
    if let Some(state) = state.upgrade() {
        infer::shadow(&state, job);
    }
}

/// The library, or why models in ONNX cannot be served.
async fn load_library(args: &Args) -> Result<OnnxRuntime, String> {
    let Some(path) = args.onnxruntime.clone() else {
        return Err("an ONNX model needs the ONNX Runtime library, and none was given with --onnxruntime".to_owned());
    };
    let loaded = tokio::task::spawn_blocking(move || OnnxRuntime::load(&path).map_err(|e| e.to_string())).await;
    let loaded = loaded.unwrap_or_else(|e| Err(e.to_string()));
    if let Err(error) = &loaded {
        tracing::error!(error, "models in ONNX cannot be served");
    }
    loaded
}

fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
