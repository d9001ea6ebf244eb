//! The small services that a go-plugin host expects beside the provider.
//!
//! Their streams stay open and silent until the end: graceful shutdown waits
//! for every stream, so each ends with the stop token.

use futures::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use crate::proto::health::health_check_response::ServingStatus;
use crate::proto::health::health_server::Health;
use crate::proto::health::{HealthCheckRequest, HealthCheckResponse};
use crate::proto::plugin::grpc_broker_server::GrpcBroker;
use crate::proto::plugin::grpc_controller_server::GrpcController;
use crate::proto::plugin::grpc_stdio_server::GrpcStdio;
use crate::proto::plugin::{ConnInfo, Empty, StdioData};

/// Ends the process when the host is done.
pub struct Controller(pub CancellationToken);

/// Standard output is not used after the handshake, so there is nothing to
/// carry.
pub struct Stdio(pub CancellationToken);

/// Protocol 6 has no use for further connections.
pub struct Broker(pub CancellationToken);

/// As long as the process lives, it serves.
pub struct Healthy(pub CancellationToken);

fn silent<T: Send + 'static>(stop: CancellationToken) -> BoxStream<T> {
    Box::pin(stream::pending().take_until(stop.cancelled_owned()))
}

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.cancel();
        Ok(Response::new(Empty {}))
    }
}

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    async fn stream_stdio(&self, _: Request<Empty>) -> Result<Response<BoxStream<StdioData>>, Status> {
        Ok(Response::new(silent(self.0.clone())))
    }
}

#[tonic::async_trait]
impl GrpcBroker for Broker {
    async fn start_stream(&self, _: Request<Streaming<ConnInfo>>) -> Result<Response<BoxStream<ConnInfo>>, Status> {
        Ok(Response::new(silent(self.0.clone())))
    }
}

/// go-plugin asks for the service `plugin`; no name means the whole server.
fn health(request: &HealthCheckRequest) -> Result<HealthCheckResponse, Status> {
    match request.service.as_str() {
        "" | "plugin" => Ok(HealthCheckResponse { status: ServingStatus::Serving.into() }),
        other => Err(Status::not_found(format!("no service is named {other}"))),
    }
}

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        health(request.get_ref()).map(Response::new)
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<BoxStream<HealthCheckResponse>>, Status> {
        let now = health(request.get_ref())?;
        let then = silent(self.0.clone());
        Ok(Response::new(Box::pin(stream::once(async move { Ok(now) }).chain(then))))
    }
}
