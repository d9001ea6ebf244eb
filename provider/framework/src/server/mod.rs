//! The process that a host starts: handshake, connections, services, end.

mod cached_schema;
mod handshake;
mod lifetime;
mod listener;
mod logs;
mod plugin;
pub(crate) mod service;
mod tls;

use std::process::ExitCode;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::Provider;
use crate::proto::health::health_server::HealthServer;
use crate::proto::plugin::grpc_broker_server::GrpcBrokerServer;
use crate::proto::plugin::grpc_controller_server::GrpcControllerServer;
use crate::proto::plugin::grpc_stdio_server::GrpcStdioServer;
use crate::proto::tfplugin6::provider_server::ProviderServer;
use handshake::{Invitation, Refusal};
use service::Service;

/// The limit of the Go libraries, in both directions.
const MAX_MESSAGE: usize = 256 << 20;
/// The host has ten operations in flight unless it is told otherwise; more
/// workers, on a machine of many processors, would have nothing to do.
const WORKERS: usize = 10;
/// How long open calls may take to end once the host is done or gone. A host
/// that is done waits two seconds before it kills.
const GRACE: Duration = Duration::from_millis(1500);

/// Why the provider could not serve.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the plugin's certificate cannot be made or used: {0}")]
    Tls(#[from] tls::TlsError),
    #[error("no socket can be opened for the host: {0}")]
    Listen(#[source] std::io::Error),
    #[error("the handshake cannot be written: {0}")]
    Handshake(#[source] std::io::Error),
    #[error("the server ended: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves a provider to the host that started this process, until the host is
/// done. To be called from `main`, and to be its last word.
///
/// Started by hand, it says what the binary is for. With `-debug` it serves
/// without a host and prints what to set for terraform to connect to it.
pub fn serve<P: Provider>(provider: P) -> ExitCode {
    let debug = std::env::args().skip(1).any(|argument| argument == "-debug" || argument == "--debug");
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(WORKERS);
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(P::NAME, &format!("no runtime can be started: {error}")),
    };
    logs::install(P::NAME);
    lifetime::install_panic_hook();
    let served =
        runtime.block_on(async { if debug { serve_debug(provider).await } else { serve_host(provider).await } });
    runtime.shutdown_timeout(GRACE);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(P::NAME, &error.to_string()),
    }
}

fn failed(name: &str, problem: &str) -> ExitCode {
    eprintln!("terraform-provider-{name}: {problem}");
    ExitCode::FAILURE
}

async fn serve_host<P: Provider>(provider: P) -> Result<(), ServeError> {
    let invitation = Invitation::from_environment()?;
    let stop = CancellationToken::new();
    lifetime::ignore_interrupts();
    lifetime::stop_with_parent(stop.clone());

    let tls = invitation.client_certificate.as_deref().map(tls::server).transpose()?;
    let socket = listener::open(&invitation).await.map_err(ServeError::Listen)?;
    let certificate = tls.as_ref().map(|tls| tls.certificate.as_slice());
    handshake::announce(&invitation, &socket.address, certificate).map_err(ServeError::Handshake)?;
    tracing::debug!(network = socket.address.network, address = socket.address.address, "listening");
    run(provider, socket, tls, stop).await
}

/// For a debugger: no host, no certificates, but a socket that only this user
/// can reach.
async fn serve_debug<P: Provider>(provider: P) -> Result<(), ServeError> {
    let stop = CancellationToken::new();
    lifetime::stop_on_interrupt(stop.clone());
    let socket = listener::open(&Invitation::for_debugging()?).await.map_err(ServeError::Listen)?;
    handshake::announce_debug(P::NAME, P::SOURCE, &socket.address).map_err(ServeError::Handshake)?;
    run(provider, socket, None, stop).await
}

async fn run<P: Provider>(
    provider: P,
    socket: listener::Socket,
    tls: Option<tls::ServerTls>,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let service = Service::new(provider);
    let provider_server = ProviderServer::new(service.clone())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let server = Server::builder()
        .add_service(cached_schema::CachedSchema { inner: provider_server, provider: service.clone() })
        .add_service(GrpcControllerServer::new(plugin::Controller(stop.clone())))
        .add_service(GrpcStdioServer::new(plugin::Stdio(stop.clone())))
        .add_service(GrpcBrokerServer::new(plugin::Broker(stop.clone())))
        .add_service(HealthServer::new(plugin::Healthy(stop.clone())));
    // Dropped at the end, with the directory of the socket.
    let (incoming, _directory) = socket.accept(tls);
    let serving = server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
        () = stop.cancelled() => service.stop(),
    }
    // Operations in flight are those of a host that is gone: they get a moment
    // to reach a point from which the next run can go on.
    let ending = async {
        service.finish().await;
        serving.await
    };
    match tokio::time::timeout(GRACE, ending).await {
        Ok(ended) => Ok(ended?),
        Err(_) => Ok(()),
    }
}
