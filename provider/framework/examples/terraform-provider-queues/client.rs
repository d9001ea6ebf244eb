//! The broker's API, as any program would call it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tfplugin::{AttributePath, Diagnostic};

pub struct Client {
    http: reqwest::Client,
    /// Unknown while planning, if the broker is made in the same run.
    endpoint: Option<String>,
    token: Option<String>,
}

/// What can be set of a queue.
#[derive(Debug, Serialize, Deserialize)]
pub struct Settings {
    pub name: String,
    pub description: String,
    pub max_messages: i64,
    pub retention_seconds: u64,
    pub labels: Option<BTreeMap<String, String>>,
    /// Never shown; left as it is where none is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub password: Option<String>,
}

/// A queue as the API shows it.
#[derive(Debug, Deserialize)]
pub struct Queue {
    pub id: String,
    pub url: String,
    pub revision: i64,
    pub status: String,
    #[serde(flatten)]
    pub settings: Settings,
}

/// What is wrong with a request, and with which part of it.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    problem: String,
    field: Option<String>,
}

impl Client {
    pub fn new(endpoint: Option<String>, token: Option<String>) -> Result<Self, Diagnostic> {
        // The cryptography that tfplugin has anyway; a second call changes nothing.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let http = reqwest::Client::builder().build();
        let http = http.map_err(|error| Diagnostic::error("No HTTP client can be made").detail(error.to_string()))?;
        Ok(Self { http, endpoint, token })
    }

    pub async fn create(&self, settings: &Settings) -> Result<Queue, Diagnostic> {
        self.send(Method::POST, "/queues", Some(settings)).await?.ok_or_else(|| gone("/queues"))
    }

    /// `None` if there is no such queue.
    pub async fn find(&self, id: &str) -> Result<Option<Queue>, Diagnostic> {
        self.send(Method::GET, &format!("/queues/{id}"), None).await
    }

    pub async fn update(&self, id: &str, settings: &Settings) -> Result<Queue, Diagnostic> {
        self.send(Method::PUT, &format!("/queues/{id}"), Some(settings)).await?.ok_or_else(|| gone(id))
    }

    /// One that is gone already is as good as deleted.
    pub async fn delete(&self, id: &str) -> Result<(), Diagnostic> {
        let _: Option<Queue> = self.send(Method::DELETE, &format!("/queues/{id}"), None).await?;
        Ok(())
    }

    /// Asks until the queue takes messages.
    pub async fn wait(&self, id: &str) -> Result<(), Diagnostic> {
        loop {
            match self.find(id).await?.ok_or_else(|| gone(id))?.status.as_str() {
                "ready" => return Ok(()),
                "starting" => tokio::time::sleep(Duration::from_millis(200)).await,
                other => return Err(Diagnostic::error("The queue did not start").detail(format!("It is {other}."))),
            }
        }
    }

    /// Sends a request. `None` is the API's word for what is not there.
    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Settings>,
    ) -> Result<Option<T>, Diagnostic> {
        let unknown = || Diagnostic::error("The broker's address is not known yet");
        let url = format!("{}{path}", self.endpoint.as_deref().ok_or_else(unknown)?);
        let failed =
            |error: reqwest::Error| Diagnostic::error("The broker does not answer").detail(format!("{url}: {error}"));
        let mut request = self.http.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(failed)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => answer.json().await.map(Some).map_err(failed),
            status => Err(refused(status, answer.json().await.unwrap_or_default())),
        }
    }
}

/// A field of the API is the attribute of the same name.
fn refused(status: StatusCode, refusal: Refusal) -> Diagnostic {
    let refused = Diagnostic::error(format!("The broker refuses this ({status})")).detail(refusal.problem);
    match refusal.field {
        Some(field) => refused.at(AttributePath::root(field)),
        None => refused,
    }
}

fn gone(what: &str) -> Diagnostic {
    Diagnostic::error("The broker does not know it any more").detail(format!("It answered 404 for {what}."))
}
