//! From HTTP to a [`Call`] and back.

use std::{future::Future, sync::Arc};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Extension, Query, RawPathParams, Request, State},
    response::{IntoResponse, Response},
    routing::{MethodFilter, on},
};
use falaj_api::{Call, Method, Problem};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::{control::Control, identity::Principal};

/// A request's body may have this many bytes; uploads have their own route.
const BODY_LIMIT: usize = 4 << 20;

/// Collects the routes of the nouns.
#[derive(Default)]
pub struct Routes(Router<Arc<Control>>);

impl Routes {
    /// Answers calls of one type with a function.
    #[must_use]
    pub fn call<C, F, R>(self, handler: F) -> Self
    where
        C: Call,
        F: Fn(Arc<Control>, Principal, C) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Result<C::Response, Problem>> + Send + 'static,
    {
        let filter = match C::METHOD {
            Method::Get => MethodFilter::GET,
            Method::Put => MethodFilter::PUT,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        };
        let answer = move |State(control): State<Arc<Control>>,
                           Extension(caller): Extension<Principal>,
                           path: RawPathParams,
                           Query(query): Query<Vec<(String, String)>>,
                           request: Request| async move {
            let answer = async {
                authorise(&caller)?;
                let call: C = read(path, query, request).await?;
                handler(control.clone(), caller.clone(), call).await
            };
            match answer.await {
                Ok(response) => Json(response).into_response(),
                Err(problem) => {
                    control.note_refusal(&caller, C::PATH, &problem).await;
                    problem_response(&problem)
                }
            }
        };
        Self(self.0.route(C::PATH, on(filter, answer)))
    }

    /// Adds routes that are not calls: uploads.
    #[must_use]
    pub fn merge(self, other: Router<Arc<Control>>) -> Self {
        Self(self.0.merge(other))
    }

    pub fn finish(self, control: Arc<Control>) -> Router {
        let not_found = || async {
            problem_response(&Problem::new(404, "no-such-call", "Not found", "no such call in this release's API"))
        };
        self.0.fallback(not_found).with_state(control)
    }
}

/// The control plane is for the platform role; applications have `/v2`.
///
/// # Errors
/// The caller may only invoke endpoints.
pub fn authorise(caller: &Principal) -> Result<(), Problem> {
    match caller {
        Principal::Platform => Ok(()),
        Principal::Invoker { .. } => {
            Err(Problem::refused("role", "an invoker's certificate may call its endpoint and nothing else"))
        }
        Principal::Replica { .. } | Principal::Trainer { .. } => {
            Err(Problem::refused("role", "a pod's certificate is for its line to the server and nothing else"))
        }
    }
}

/// Puts a call together from the path, the query and the body.
async fn read<C: Call>(path: RawPathParams, query: Vec<(String, String)>, request: Request) -> Result<C, Problem> {
    let mut fields = Map::new();
    if C::METHOD.has_body() {
        let body = to_bytes(request.into_body(), BODY_LIMIT)
            .await
            .map_err(|_| Problem::new(413, "too-large", "Too large", format!("the body is over {BODY_LIMIT} bytes")))?;
        fields = serde_json::from_slice(&body)
            .map_err(|error| Problem::invalid("", format!("the body is not a JSON object: {error}")))?;
    }
    fields.extend(query.into_iter().map(|(name, value)| (name, Value::String(value))));
    fields.extend(path.iter().map(|(name, value)| (name.to_owned(), Value::String(value.to_owned()))));
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Problem::invalid("", format!("the request does not have the form of {}: {error}", C::PATH)))
}

/// An error on the wire, RFC 9457.
#[must_use]
pub fn problem_response(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    (status, [(http::header::CONTENT_TYPE, "application/problem+json")], body).into_response()
}
