//! The schema, encoded once.
//!
//! It is the largest answer by far, the same every time, and asked for by every
//! process that the host starts. So its bytes are kept rather than its parts,
//! and sent as they are; all other calls pass through.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service as TowerService;

use super::service::Service;
use crate::Provider;

const PATH: &str = "/tfplugin6.Provider/GetProviderSchema";

/// The provider service `inner` of `provider`, with the schema answered here.
pub struct CachedSchema<S, P: Provider> {
    /// For all other calls.
    pub inner: S,
    /// Whose schema it is.
    pub provider: Service<P>,
}

impl<S: Clone, P: Provider> Clone for CachedSchema<S, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), provider: self.provider.clone() }
    }
}

impl<S: NamedService, P: Provider> NamedService for CachedSchema<S, P> {
    const NAME: &'static str = S::NAME;
}

impl<S, P> TowerService<Request<Body>> for CachedSchema<S, P>
where
    S: TowerService<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    P: Provider,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().path() != PATH {
            return Box::pin(self.inner.call(request));
        }
        let framed = self.provider.framed_schema();
        Box::pin(async move {
            // The request is empty; it is read to its end so that the host's
            // side of the stream closes in order.
            drop(request.into_body().collect().await);
            Ok(answer(framed))
        })
    }
}

/// A message with the five bytes that gRPC puts before it: not compressed, and
/// its length.
pub fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(length + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.put_slice(&message.encode_to_vec());
    framed.freeze()
}

fn answer(framed: Bytes) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let body = Full::new(framed).with_trailers(ready(Some(Ok(trailers))));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
