//! What Kubernetes asks a pod, in plain text, apart from the predictions: only
//! whether it is alive and ready.

use std::convert::Infallible;
use std::sync::Weak;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::state::State;

/// Answers as long as the process is there.
pub async fn listen(listener: TcpListener, state: Weak<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let status = answer(&state, request.uri().path());
                let mut response = Response::new(Full::new(Bytes::new()));
                *response.status_mut() = status;
                async move { Ok::<_, Infallible>(response) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).keep_alive(false);
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn answer(state: &Weak<State>, path: &str) -> StatusCode {
    match path {
        "/livez" => StatusCode::OK,
        "/readyz" => {
            let ready =
                state.upgrade().is_some_and(|state| !state.leaving.load(Relaxed) && state.listening.load(Relaxed));
            if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
        }
        _ => StatusCode::NOT_FOUND,
    }
}
