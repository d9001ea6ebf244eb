//! Accepting connections, and ending gracefully.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::{
    control::Control,
    dial,
    identity::{Acceptor, Principal},
};

/// How long a handshake may take, and how long requests in flight get at the end.
const HANDSHAKE: Duration = Duration::from_secs(10);
const DRAIN: Duration = Duration::from_secs(20);

/// Serves until `stop`, then lets requests in flight finish. Pods ask for their
/// line in the handshake; everybody else speaks HTTP.
pub async fn listen(listener: TcpListener, acceptor: Acceptor, router: Router, control: Arc<Control>) {
    let stop = control.stop.clone();
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        let control = control.clone();
        tokio::spawn(async move {
            let (stream, caller) = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(accepted)) => accepted,
                Ok(Err(error)) => {
                    return tracing::info!(%error, "a caller without a certificate of this cluster was turned away");
                }
                Err(_) => return,
            };
            if stream.get_ref().1.alpn_protocol() == Some(dial::ALPN) {
                drop(watcher);
                if control.switchboard.take(caller, peer.ip(), stream).await {
                    control.serving.wake();
                }
                return;
            }
            let service = TowerToHyperService::new(router.map_request(
                move |mut request: http::Request<hyper::body::Incoming>| {
                    request.extensions_mut().insert::<Principal>(caller.clone());
                    request
                },
            ));
            let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}
