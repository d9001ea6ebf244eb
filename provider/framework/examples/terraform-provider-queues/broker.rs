//! A small broker for tests: the API over HTTP on this machine, queues in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

/// Queues by id, as they were sent, passwords included.
#[derive(Clone, Default)]
pub struct Broker {
    queues: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Broker {
    /// Serves on this port, or on any free one for 0, and says where.
    pub async fn start(port: u16) -> (Self, String) {
        let broker = Self::default();
        let app = Router::new()
            .route("/queues", post(create))
            .route("/queues/{id}", get(show).put(update).delete(delete))
            .with_state(broker.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        (broker, format!("http://{address}"))
    }

    pub fn queues(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(status: StatusCode, field: Option<&str>, problem: &str) -> Response {
    (status, Json(json!({ "field": field, "problem": problem }))).into_response()
}

fn shown(queue: &Value) -> Response {
    let mut queue = queue.clone();
    queue.as_object_mut().map(|queue| queue.remove("password"));
    Json(queue).into_response()
}

async fn create(State(broker): State<Broker>, headers: HeaderMap, Json(mut queue): Json<Value>) -> Response {
    if headers.get("authorization").is_none_or(|given| given != "Bearer swordfish") {
        return refusal(StatusCode::UNAUTHORIZED, None, "The token is not known here.");
    }
    let mut queues = broker.queues();
    if queues.values().any(|other| other["name"] == queue["name"]) {
        return refusal(StatusCode::CONFLICT, Some("name"), "A queue of this name exists.");
    }
    let id = format!("q-{}", queues.len() + 1);
    queue["id"] = json!(id);
    queue["url"] = json!(format!("amqp://broker/{}", queue["name"].as_str().unwrap_or_default()));
    queue["revision"] = json!(1);
    queue["status"] = json!("starting");
    queues.insert(id, queue.clone());
    (StatusCode::CREATED, shown(&queue)).into_response()
}

/// A queue is ready when it is asked for the second time; some never are.
async fn show(State(broker): State<Broker>, Path(id): Path<String>) -> Response {
    let mut queues = broker.queues();
    let Some(queue) = queues.get_mut(&id) else {
        return refusal(StatusCode::NOT_FOUND, None, "There is no such queue.");
    };
    let answer = shown(queue);
    match queue["name"].as_str() {
        Some("broken") => queue["status"] = json!("out of disk"),
        Some("slow") => {}
        _ => queue["status"] = json!("ready"),
    }
    answer
}

async fn update(State(broker): State<Broker>, Path(id): Path<String>, Json(settings): Json<Value>) -> Response {
    let mut queues = broker.queues();
    let Some(queue) = queues.get_mut(&id) else {
        return refusal(StatusCode::NOT_FOUND, None, "There is no such queue.");
    };
    if settings["max_messages"].as_i64() < Some(10) {
        return refusal(StatusCode::UNPROCESSABLE_ENTITY, Some("max_messages"), "It holds ten messages already.");
    }
    let mut changed = false;
    for (name, value) in settings.as_object().into_iter().flatten() {
        changed |= name != "password" && queue[name] != *value;
        queue[name] = value.clone();
    }
    if changed {
        queue["revision"] = json!(queue["revision"].as_i64().unwrap_or_default() + 1);
    }
    shown(queue)
}

async fn delete(State(broker): State<Broker>, Path(id): Path<String>) -> Response {
    match broker.queues().remove(&id) {
        Some(queue) => shown(&queue),
        None => refusal(StatusCode::NOT_FOUND, None, "There is no such queue."),
    }
}
