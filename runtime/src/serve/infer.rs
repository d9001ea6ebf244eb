//! Answering one inference request.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use falaj_engine::Error as EngineError;
use falaj_engine::infer::Tensors;
use http::StatusCode;

use super::capture::Prediction;
use super::routing::{Endpoint, Variant};
use super::shadow;
use super::state::State;
use crate::oip::{self, InferReply, InferRequest, OutputFormat};

/// Above this many values a model runs off the threads that answer others.
const LARGE: usize = 64 << 10;

/// A reply's body, and how much of it is JSON if binary data follows.
pub struct Answer {
    pub body: Vec<u8>,
    pub json_length: Option<usize>,
}

/// What a request came to, and which variant it reached.
pub struct Outcome<'a> {
    pub variant: Option<&'a Arc<Variant>>,
    pub answer: Result<Answer, oip::Error>,
}

/// Answers a request, then hands it to the shadows and to the capture.
pub fn infer<'a>(
    state: &State,
    endpoint: &'a Arc<Endpoint>,
    version: Option<u32>,
    body: &Bytes,
    json_length: Option<&str>,
) -> Outcome<'a> {
    let mut request = match InferRequest::parse(body, json_length) {
        Ok(request) => request,
        Err(error) => return Outcome { variant: None, answer: Err(error) },
    };
    let id = request.take_id().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let Some(variant) = endpoint.choose(&id, version) else {
        return Outcome { variant: None, answer: Err(nothing_serves(endpoint, version)) };
    };
    let answer = run(variant, &request).and_then(|(inputs, outputs)| {
        let answer = write(endpoint, variant, &request, &id, &outputs)?;
        let at_micros = now_micros();
        for shadow in &endpoint.shadows {
            let job = shadow::Job {
                endpoint: endpoint.clone(),
                variant: shadow.clone(),
                request_id: id.clone(),
                at_micros,
                body: body.clone(),
                json_length: json_length.map(str::to_owned),
            };
            state.shadows.ask(job);
        }
        if let Some(target) = endpoint.capture.as_ref().filter(|target| target.samples(&id)) {
            let (target, variant) = (target.clone(), variant.clone());
            state.capture.prediction(Prediction { target, variant, request_id: id, at_micros, inputs, outputs });
        }
        Ok(answer)
    });
    Outcome { variant: Some(variant), answer }
}

/// Answers on behalf of a shadow: only the capture sees it.
pub fn shadow(state: &State, job: shadow::Job) {
    let answer = InferRequest::parse(&job.body, job.json_length.as_deref()).and_then(|r| run(&job.variant, &r));
    match answer {
        Ok((inputs, outputs)) => {
            state.metrics.shadow.answered.fetch_add(1, Relaxed);
            let shadow::Job { endpoint, variant, request_id, at_micros, .. } = job;
            if let Some(target) = endpoint.capture.as_ref().filter(|target| target.samples(&request_id)) {
                let target = target.clone();
                state.capture.prediction(Prediction { target, variant, request_id, at_micros, inputs, outputs });
            }
        }
        Err(error) => {
            state.metrics.shadow.failed.fetch_add(1, Relaxed);
            tracing::debug!(endpoint = job.endpoint.name, variant = job.variant.name, %error, "a shadow failed");
        }
    }
}

/// Why no variant of the endpoint answers.
pub fn nothing_serves(endpoint: &Endpoint, version: Option<u32>) -> oip::Error {
    let name = &endpoint.name;
    match version {
        Some(version) => {
            let served: Vec<&str> = endpoint.variants.iter().map(|v| v.version_text.as_str()).collect();
            let served = if served.is_empty() { "none is" } else { &served.join(", ") };
            let message = format!("endpoint {name:?} does not serve version {version} of its model; served: {served}");
            oip::Error::new(StatusCode::NOT_FOUND, message)
        }
        None => {
            let message = format!("endpoint {name:?} serves no variant yet; try again when its model has a version");
            oip::Error::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }
}

fn run(variant: &Variant, request: &InferRequest<'_>) -> Result<(Tensors, Tensors), oip::Error> {
    let inputs = request.tensors(&variant.inputs)?;
    let values: usize = inputs.iter().map(|(_, tensor)| tensor.data().len()).sum();
    // Off a runtime, or on a thread without others to answer, it runs in place anyway.
    let multi = || tokio::runtime::Handle::try_current().is_ok_and(|h| h.runtime_flavor() == MULTI_THREAD);
    let outputs = if values > LARGE && multi() {
        tokio::task::block_in_place(|| variant.session.run(&inputs))
    } else {
        variant.session.run(&inputs)
    };
    match outputs {
        Ok(outputs) => Ok((inputs, outputs)),
        Err(EngineError::Input { name, problem }) => Err(oip::Error::input(&name, problem)),
        Err(error) => {
            tracing::error!(model = variant.model, version = variant.version, %error, "a model failed");
            let message = format!("version {} of the model could not answer", variant.version);
            Err(oip::Error::new(StatusCode::INTERNAL_SERVER_ERROR, message))
        }
    }
}

const MULTI_THREAD: tokio::runtime::RuntimeFlavor = tokio::runtime::RuntimeFlavor::MultiThread;

fn write(
    endpoint: &Endpoint,
    variant: &Variant,
    request: &InferRequest<'_>,
    id: &str,
    outputs: &Tensors,
) -> Result<Answer, oip::Error> {
    let format = |binary| if binary { OutputFormat::Binary } else { OutputFormat::Json };
    let all = || {
        let format = format(request.binary_by_default());
        outputs.iter().map(|(name, tensor)| (name.as_str(), tensor, format)).collect()
    };
    let outputs = match request.outputs()? {
        None => all(),
        Some(wanted) => {
            let find = |wanted: &oip::RequestedOutput<'_>| {
                let found = outputs.iter().find(|(name, _)| name == wanted.name);
                found.map(|(name, tensor)| (name.as_str(), tensor, format(wanted.binary))).ok_or_else(|| {
                    let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
                    let (name, names) = (wanted.name, names.join(", "));
                    oip::Error::bad_request(format!("output {name:?}: the model has no such output; it gives {names}"))
                })
            };
            wanted.iter().map(find).collect::<Result<Vec<_>, _>>()?
        }
    };
    let reply = InferReply {
        model_name: &endpoint.name,
        model_version: &variant.version_text,
        variant: &variant.name,
        id,
        outputs,
    };
    let (body, json_length) = reply.write().map_err(|e| {
        oip::Error::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the reply could not be written: {e}"))
    })?;
    Ok(Answer { body, json_length })
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
