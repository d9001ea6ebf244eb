//! What Kubernetes asks a control plane, in plain text and without a
//! certificate: whether it is alive, and whether it is ready. Nothing else is
//! told on this port.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use axum::{Router, extract::State, routing::get};
use falaj_store::records;
use http::StatusCode;
use tokio::net::TcpListener;

use crate::control::Control;

/// How long the records may take before the control plane is not ready.
const ANSWER: Duration = Duration::from_secs(4);

/// Answers until the process ends, also while requests in flight finish.
///
/// # Errors
/// The port is taken.
pub async fn listen(address: SocketAddr, control: Arc<Control>) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("the probes' address {address}"))?;
    let router = Router::new()
        .route("/livez", get(|| async { StatusCode::OK }))
        .route("/readyz", get(ready))
        .with_state(control);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "probes are not answered any more");
        }
    });
    Ok(())
}

/// Ready is who can read its records and was not asked to end.
async fn ready(State(control): State<Arc<Control>>) -> (StatusCode, String) {
    if control.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending".to_owned());
    }
    let read = async {
        let mut session = control.store.read().await?;
        records::get(&mut session, "cluster", "", &control.cluster.name).await
    };
    match tokio::time::timeout(ANSWER, read).await {
        Ok(Ok(_)) => (StatusCode::OK, "ready".to_owned()),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready: the records cannot be read");
            (StatusCode::SERVICE_UNAVAILABLE, "the records cannot be read; the log says why".to_owned())
        }
        Err(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("the records did not answer within {} s", ANSWER.as_secs()))
        }
    }
}
