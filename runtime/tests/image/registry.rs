//! A registry that keeps what is pushed to it, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use serde_json::{Value, json};

use super::fixtures::serve;

#[derive(Default)]
pub struct Kept {
    pub blobs: BTreeMap<String, Vec<u8>>,
    /// By digest and by tag.
    pub manifests: BTreeMap<String, Vec<u8>>,
    /// Blobs that were uploaded, in order.
    pub uploads: Vec<String>,
    /// Uploads that are let through before the others fail.
    pub fails_after: Option<usize>,
    /// Failures that are left, each of one upload.
    pub hiccups: usize,
    /// `user:password` that is asked for.
    pub login: Option<String>,
    /// Knows OCI 1.1, and so lists referrers itself.
    pub lists_referrers: bool,
}

pub struct Registry {
    /// Host and port.
    pub address: String,
    pub kept: Arc<Mutex<Kept>>,
}

impl Registry {
    pub async fn start(kept: Kept) -> Self {
        let kept = Arc::new(Mutex::new(kept));
        let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(kept.clone());
        let url = serve(router).await;
        Self { address: url.trim_start_matches("http://").to_owned(), kept }
    }

    pub fn manifest(&self, name: &str) -> Option<Value> {
        self.kept.lock().unwrap().manifests.get(name).map(|bytes| serde_json::from_slice(bytes).unwrap())
    }
}

async fn answer(
    State(kept): State<Arc<Mutex<Kept>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut kept = kept.lock().unwrap();
    if let Some(login) = &kept.login {
        let expected = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
        if headers.get(header::AUTHORIZATION).is_none_or(|given| given.to_str().unwrap() != expected) {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"test\"")]).into_response();
        }
    }
    let path = uri.path().strip_prefix("/v2/").unwrap().to_owned();
    let (_, what) = path.split_once("falaj/").unwrap_or_default();
    match (method.as_str(), what.split_once('/')) {
        ("GET", None) if path.is_empty() => StatusCode::OK.into_response(),
        ("HEAD", Some(("blobs", digest))) if kept.blobs.contains_key(digest) => StatusCode::OK.into_response(),
        ("POST", Some(("blobs", "uploads/"))) => {
            (StatusCode::ACCEPTED, [(header::LOCATION, format!("/v2/{path}1"))]).into_response()
        }
        ("PUT", Some(("blobs", "uploads/1"))) => kept.upload(uri.query().unwrap(), &body),
        ("PUT", Some(("manifests", name))) => kept.put_manifest(name, &path, &body),
        ("GET", Some(("manifests", name))) => match kept.manifests.get(name) {
            Some(bytes) => {
                let media_type =
                    serde_json::from_slice::<Value>(bytes).unwrap()["mediaType"].as_str().unwrap().to_owned();
                ([(header::CONTENT_TYPE, media_type)], bytes.clone()).into_response()
            }
            None => not_found(),
        },
        ("GET", Some(("referrers", subject))) if kept.lists_referrers => kept.referrers(subject),
        _ => not_found(),
    }
}

fn not_found() -> Response {
    let errors = json!({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "not here", "detail": ""}]});
    (StatusCode::NOT_FOUND, errors.to_string()).into_response()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", falaj::sha256_hex(bytes))
}

impl Kept {
    fn upload(&mut self, query: &str, body: &[u8]) -> Response {
        if self.hiccups > 0 {
            self.hiccups -= 1;
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if self.fails_after == Some(self.uploads.len()) {
            return StatusCode::INSUFFICIENT_STORAGE.into_response();
        }
        let said = query.replace("%3A", ":");
        let actual = digest(body);
        if !said.contains(&actual) {
            return StatusCode::BAD_REQUEST.into_response();
        }
        self.blobs.insert(actual.clone(), body.to_vec());
        self.uploads.push(actual.clone());
        (StatusCode::CREATED, [(header::LOCATION, format!("/v2/ml/falaj/blobs/{actual}"))]).into_response()
    }

    /// As registries do, refuses a manifest of which a part is missing.
    fn put_manifest(&mut self, name: &str, path: &str, body: &[u8]) -> Response {
        let manifest: Value = serde_json::from_slice(body).unwrap();
        let part = |part: &Value| self.blobs.contains_key(part["digest"].as_str().unwrap());
        let listed = |entry: &Value| self.manifests.contains_key(entry["digest"].as_str().unwrap());
        let whole = match manifest["manifests"].as_array() {
            Some(entries) => entries.iter().all(listed),
            None => part(&manifest["config"]) && manifest["layers"].as_array().unwrap().iter().all(part),
        };
        if !whole || (name.starts_with("sha256:") && name != digest(body)) {
            return StatusCode::BAD_REQUEST.into_response();
        }
        self.manifests.insert(name.to_owned(), body.to_vec());
        self.manifests.insert(digest(body), body.to_vec());
        (StatusCode::CREATED, [(header::LOCATION, format!("/v2/{path}"))]).into_response()
    }

    fn referrers(&self, subject: &str) -> Response {
        let entries: Vec<Value> = self
            .manifests
            .iter()
            .filter(|(name, _)| name.starts_with("sha256:"))
            .map(|(name, bytes)| (name, bytes.len(), serde_json::from_slice::<Value>(bytes).unwrap()))
            .filter(|(_, _, manifest)| manifest["subject"]["digest"] == subject)
            .map(|(name, size, manifest)| {
                json!({
                    "mediaType": manifest["mediaType"],
                    "digest": name,
                    "size": size,
                    "artifactType": manifest["artifactType"],
                })
            })
            .collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        ([(header::CONTENT_TYPE, media_type)], index.to_string()).into_response()
    }
}
