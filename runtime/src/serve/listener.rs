//! Connections: accepted, identified, and let go in order.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::http::{Caller, Peer, handle};
use super::identity;
use super::state::State;

/// A request's head may be this long.
const MAX_HEAD: usize = 32 << 10;
const MAX_HEADERS: usize = 64;

/// Serves connections until `drain`, then waits for what is in flight, up to
/// the limit.
pub async fn listen(state: Arc<State>, listener: TcpListener, drain: CancellationToken) {
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(state.limits.connections));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = drain.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors or memory: others have to be let go first.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!("a connection was turned away: {} are open", state.limits.connections);
            continue;
        };
        let (state, drain) = (state.clone(), drain.clone());
        connections.spawn(async move {
            connection(state, stream, drain).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(state.limits.drain, connections.wait()).await.is_err() {
        tracing::warn!("{} connections did not end in time", connections.len());
    }
}

async fn connection(state: Arc<State>, stream: TcpStream, drain: CancellationToken) {
    // Replies are small and whole; waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let routing = state.routing.load_full();
    let authority = routing.authority.clone();
    let Some(tls) = routing.tls.clone() else {
        return http(state, stream, Caller { peer: Peer::Anybody, authority }, Duration::MAX, drain).await;
    };
    drop(routing);
    match tokio::time::timeout(state.limits.handshake, TlsAcceptor::from(tls).accept(stream)).await {
        Ok(Ok(stream)) => {
            let (peer, valid) = identity::peer(stream.get_ref().1.peer_certificates());
            http(state, stream, Caller { peer, authority }, valid, drain).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => tracing::debug!("a TLS handshake took too long"),
    }
}

/// Speaks HTTP/1.1 until the caller is done, the process drains, or the
/// caller's certificate is no longer valid.
async fn http<S>(state: Arc<State>, stream: S, caller: Caller, valid: Duration, drain: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = state.limits;
    let caller = Arc::new(caller);
    let service = service_fn(move |request| {
        let (state, caller) = (state.clone(), caller.clone());
        async move {
            let mut reply = handle(&state, &caller, request).await;
            if state.leaving.load(Relaxed) {
                reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Longer than a year is not worth a timer.
    let expired = tokio::time::sleep(valid.min(Duration::from_secs(365 * 86_400)));
    let done = tokio::select! {
        done = connection.as_mut() => done,
        () = drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = expired => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a connection ended early");
    }
}
