//! The paths of the protocol, and who may use them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};

use super::capture::Outcomes;
use super::infer::{self, Answer, nothing_serves};
use super::protocol::Format;
use super::routing::Endpoint;
use super::state::{Limits, Share, State};
use crate::oip::{self, ModelMetadata, ServerMetadata};

/// Who is on the other end of a connection, and who vouches for it.
#[derive(Debug)]
pub struct Caller {
    pub peer: Peer,
    /// The authority that its certificate was checked against, PEM; absent for
    /// plain text.
    pub authority: Option<Arc<str>>,
}

/// What a caller is known as.
#[derive(Debug)]
pub enum Peer {
    /// The one URI name of its certificate.
    Certificate(String),
    /// Its certificate has no name, or several.
    Unnamed,
    /// Plain text: anybody.
    Anybody,
}

/// A path of `/v2/models/{model}[/versions/{version}][/verb]`.
struct ModelPath<'a> {
    model: &'a str,
    version: Option<&'a str>,
    verb: &'a str,
}

type Reply = Response<Full<Bytes>>;

/// Answers one request.
pub async fn handle(state: &State, caller: &Caller, request: Request<Incoming>) -> Reply {
    let Some(_share) = state.in_flight.take(1, state.limits.in_flight) else {
        return refuse(&oip::Error::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try again"));
    };
    let routing = state.routing.load();
    if caller.authority != routing.authority {
        let message = "callers have to come from another authority by now; connect again";
        let mut reply = refuse(&oip::Error::new(StatusCode::FORBIDDEN, message));
        reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        return reply;
    }
    let peer = &caller.peer;
    let path = request.uri().path();
    if let Some(path) = model_path(path) {
        let Some(endpoint) = routing.endpoints.get(path.model).cloned() else {
            state.unknown.count(StatusCode::NOT_FOUND, std::time::Duration::ZERO);
            let served: Vec<&str> =
                routing.endpoints.values().filter(|e| admits(e, peer)).map(|e| e.name.as_str()).collect();
            let message = format!("there is no model {:?} here; those you may call: {}", path.model, served.join(", "));
            return refuse(&oip::Error::new(StatusCode::NOT_FOUND, message));
        };
        drop(routing);
        return match model(peer, &endpoint, &request) {
            Err(error) => {
                endpoint.refused.count(error.status, std::time::Duration::ZERO);
                refuse(&error)
            }
            Ok(Verb::Done(reply)) => reply,
            Ok(Verb::Infer(version)) => answer(state, &endpoint, version, request).await,
            Ok(Verb::Outcomes) => outcomes(state, &endpoint, request).await,
        };
    }
    if request.method() != Method::GET {
        return refuse(&method_not_allowed("GET"));
    }
    match path.trim_end_matches('/') {
        "/v2" => json(&ServerMetadata {
            name: "falaj",
            version: falaj_api::version(),
            extensions: &["binary_tensor_data", "outcomes"],
        }),
        "/v2/health/live" => json(&serde_json::json!({ "live": true })),
        "/v2/health/ready" => json(&serde_json::json!({ "ready": true })),
        "/metrics" => {
            let text = HeaderValue::from_static("text/plain; version=0.0.4");
            reply(StatusCode::OK, text, state.metrics.render().into_bytes())
        }
        other => refuse(&oip::Error::new(StatusCode::NOT_FOUND, format!("there is nothing at {other:?}"))),
    }
}

/// What a request to a model asks for, once it may.
enum Verb {
    Done(Reply),
    Infer(Option<u32>),
    Outcomes,
}

fn model(peer: &Peer, endpoint: &Arc<Endpoint>, request: &Request<Incoming>) -> Result<Verb, oip::Error> {
    let Some(path) = model_path(request.uri().path()) else {
        return Err(oip::Error::new(StatusCode::NOT_FOUND, "there is nothing here"));
    };
    if !admits(endpoint, peer) {
        let who = match peer {
            Peer::Certificate(uri) => format!("{uri:?}"),
            Peer::Unnamed | Peer::Anybody => "a certificate without exactly one URI name".to_owned(),
        };
        let message = format!("{who} is not among the invokers of endpoint {:?}", endpoint.name);
        return Err(oip::Error::new(StatusCode::FORBIDDEN, message));
    }
    let version = match path.version {
        None => None,
        Some(text) => {
            let version = text.parse().ok().filter(|v| endpoint.variants.iter().any(|variant| variant.version == *v));
            Some(version.ok_or_else(|| unknown_version(endpoint, text))?)
        }
    };
    let allowed = if matches!(path.verb, "infer" | "outcomes") { Method::POST } else { Method::GET };
    let known = matches!(path.verb, "" | "ready" | "infer") || (path.verb == "outcomes" && version.is_none());
    if !known {
        return Err(oip::Error::new(StatusCode::NOT_FOUND, format!("models have no {:?}", path.verb)));
    }
    if request.method() != allowed {
        return Err(method_not_allowed(allowed.as_str()));
    }
    Ok(match path.verb {
        "infer" => Verb::Infer(version),
        "outcomes" => Verb::Outcomes,
        verb => {
            let variant = endpoint.main(version).ok_or_else(|| nothing_serves(endpoint, version))?;
            if verb == "ready" {
                return Ok(Verb::Done(json(&serde_json::json!({ "name": endpoint.name, "ready": true }))));
            }
            let versions = endpoint.variants.iter().map(|v| v.version_text.clone());
            let versions = version.map_or_else(|| versions.collect(), |v| vec![v.to_string()]);
            let platform = match variant.format {
                Format::Onnx => "onnx_onnxv1",
                Format::Native => "falaj_safetensors",
            };
            Verb::Done(json(&ModelMetadata::new(&endpoint.name, versions, platform, &variant.signature)))
        }
    })
}

fn unknown_version(endpoint: &Endpoint, text: &str) -> oip::Error {
    match text.parse() {
        Ok(version) => nothing_serves(endpoint, Some(version)),
        Err(_) => oip::Error::new(StatusCode::NOT_FOUND, format!("{text:?} is no version; versions are whole numbers")),
    }
}

fn model_path(path: &str) -> Option<ModelPath<'_>> {
    let mut parts = path.strip_prefix("/v2/models/")?.split('/');
    let model = parts.next().filter(|model| !model.is_empty())?;
    let (version, verb) = match parts.next() {
        Some("versions") => (Some(parts.next()?), parts.next().unwrap_or_default()),
        verb => (None, verb.unwrap_or_default()),
    };
    // A trailing slash is no part.
    parts.all(str::is_empty).then_some(ModelPath { model, version, verb })
}

fn admits(endpoint: &Endpoint, peer: &Peer) -> bool {
    match peer {
        Peer::Certificate(uri) => endpoint.invokers.contains(uri),
        Peer::Unnamed => false,
        Peer::Anybody => true,
    }
}

async fn answer(state: &State, endpoint: &Arc<Endpoint>, version: Option<u32>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let (body, _share) = match receive(state, &head.headers, body).await {
        Ok(received) => received,
        Err(error) => {
            endpoint.refused.count(error.status, std::time::Duration::ZERO);
            return refuse(&error);
        }
    };
    let began = Instant::now();
    let json_length = head.headers.get(oip::HEADER_LENGTH).map(|value| value.to_str().unwrap_or("not text"));
    let outcome = infer::infer(state, endpoint, version, &body, json_length);
    let requests = outcome.variant.map_or(&endpoint.refused, |variant| &variant.requests);
    match outcome.answer {
        Ok(Answer { body, json_length }) => {
            requests.count(StatusCode::OK, began.elapsed());
            let Some(length) = json_length else {
                return reply(StatusCode::OK, APPLICATION_JSON, body);
            };
            let mut reply = reply(StatusCode::OK, HeaderValue::from_static("application/octet-stream"), body);
            reply.headers_mut().insert(oip::HEADER_LENGTH, HeaderValue::from(length));
            reply
        }
        Err(error) => {
            requests.count(error.status, began.elapsed());
            refuse(&error)
        }
    }
}

async fn outcomes(state: &State, endpoint: &Arc<Endpoint>, request: Request<Incoming>) -> Reply {
    match keep(state, endpoint, request).await {
        Ok(accepted) => json(&serde_json::json!({ "accepted": accepted })),
        Err(error) => {
            endpoint.refused.count(error.status, std::time::Duration::ZERO);
            refuse(&error)
        }
    }
}

/// How many outcomes were handed to the capture.
async fn keep(state: &State, endpoint: &Endpoint, request: Request<Incoming>) -> Result<usize, oip::Error> {
    let (head, body) = request.into_parts();
    let (body, _share) = receive(state, &head.headers, body).await?;
    let outcomes = oip::Outcome::parse(&body)?;
    let accepted = outcomes.len();
    let target = endpoint.capture.clone().ok_or_else(|| {
        let name = &endpoint.name;
        oip::Error::bad_request(format!("endpoint {name:?} has no capture that outcomes could be compared with"))
    })?;
    if state.capture.outcomes(Outcomes { target, at_micros: infer::now_micros(), outcomes }) {
        return Ok(accepted);
    }
    Err(oip::Error::new(StatusCode::SERVICE_UNAVAILABLE, "too much is waiting to be captured; try again"))
}

/// The whole body, within the limits, and what it takes of all bodies' room.
async fn receive<'a>(state: &'a State, headers: &HeaderMap, body: Incoming) -> Result<(Bytes, Share<'a>), oip::Error> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let message = "compressed bodies are not accepted; send it as it is";
        return Err(oip::Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let limits = &state.limits;
    let too_long = || {
        let message = format!("the body is longer than the {} bytes that are accepted", limits.body_bytes);
        oip::Error::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let busy = || oip::Error::new(StatusCode::SERVICE_UNAVAILABLE, "too many large requests at once; try again");
    let mut share = state.body_bytes.take(0, limits.all_bodies_bytes).ok_or_else(busy)?;
    let mut body = std::pin::pin!(body);
    if body.size_hint().lower() > limits.body_bytes as u64 {
        discard(body, limits).await;
        return Err(too_long());
    }
    let collect = async {
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| oip::Error::bad_request(format!("the body did not arrive whole: {e}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if first.len() + rest.len() + data.len() > limits.body_bytes {
                return Err(too_long());
            }
            if !share.grow(data.len(), limits.all_bodies_bytes) {
                return Err(busy());
            }
            // Small bodies come in one piece and are not copied.
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                if !first.is_empty() {
                    rest.extend_from_slice(&std::mem::take(&mut first));
                }
                rest.extend_from_slice(&data);
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    };
    let collected = tokio::time::timeout(limits.body, collect).await.map_err(|_| {
        let message = format!("the body did not arrive within {} s", limits.body.as_secs());
        oip::Error::new(StatusCode::REQUEST_TIMEOUT, message)
    })?;
    match collected {
        Ok(body) => Ok((body, share)),
        Err(error) => {
            discard(body, limits).await;
            Err(error)
        }
    }
}

/// Reads on for a while, so that a caller who is still sending gets to see the
/// reply rather than a broken connection.
async fn discard(mut body: Pin<&mut Incoming>, limits: &Limits) {
    let read = async {
        let mut left = 4 * limits.body_bytes;
        while let Some(Ok(frame)) = body.frame().await {
            left = match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(left) => left,
                None => return,
            };
        }
    };
    let _ = tokio::time::timeout(limits.discard, read).await;
}

const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

fn json(value: &impl serde::Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => reply(StatusCode::OK, APPLICATION_JSON, body),
        Err(error) => refuse(&oip::Error::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}

fn method_not_allowed(allowed: &str) -> oip::Error {
    oip::Error::new(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed} here"))
}

fn refuse(error: &oip::Error) -> Reply {
    let mut reply = reply(error.status, APPLICATION_JSON, error.body());
    match error.status {
        StatusCode::SERVICE_UNAVAILABLE => {
            reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = if error.message.contains("POST") { "POST" } else { "GET" };
            reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
        }
        _ => {}
    }
    reply
}

fn reply(status: StatusCode, content_type: HeaderValue, body: Vec<u8>) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}
