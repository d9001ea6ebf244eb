//! Why Kubernetes did not do what was asked.

use kube::core::Status;

/// Why a request to the API server has no good answer. `object` says what it
/// was about, such as `Service falaj-retail/falaj-server`.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    #[error("{place} cannot be used to reach Kubernetes: {reason}")]
    Access { place: String, reason: String },
    #[error("the API server at {server} cannot be reached: {reason}")]
    Unreachable { server: String, reason: String },
    #[error("the API server at {server} does not accept these credentials: {reason}")]
    Credentials { server: String, reason: String },
    /// Fields that somebody else manages would have been overwritten.
    #[error("{object} is managed by somebody else too: {reason}")]
    Conflict { object: String, reason: String },
    #[error("these credentials may not {verb} {object}: {reason}")]
    Forbidden { verb: &'static str, object: String, reason: String },
    #[error("{object} is refused: {reason}")]
    Invalid { object: String, reason: String },
    #[error("there is no {object}")]
    NotFound { object: String },
    #[error("{object} is there already")]
    Exists { object: String },
    #[error("cannot {verb} {object}: {reason}")]
    Failed { verb: &'static str, object: String, reason: String },
}

impl KubeError {
    /// Reads what came back instead of an answer to `verb` about `object`.
    pub(crate) fn of(error: kube::Error, server: &str, verb: &'static str, object: &str) -> Self {
        let (server, object) = (server.to_owned(), object.to_owned());
        match error {
            kube::Error::Api(status) => Self::refused(&status, server, verb, object),
            kube::Error::Auth(error) => Self::Credentials { server, reason: chain(&error) },
            error @ (kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_)) => {
                Self::Unreachable { server, reason: last(&error) }
            }
            error => Self::Failed { verb, object, reason: chain(&error) },
        }
    }

    fn refused(status: &Status, server: String, verb: &'static str, object: String) -> Self {
        let reason = status.message.clone();
        match (status.code, status.reason.as_str()) {
            (404, _) => Self::NotFound { object },
            (401, _) => Self::Credentials { server, reason },
            (403, _) if reason.contains("forbidden: User") => Self::Forbidden { verb, object, reason },
            (409, "AlreadyExists") => Self::Exists { object },
            (409, _) => Self::Conflict { object, reason: causes(status).unwrap_or(reason) },
            // Admission (quota, pod security, a webhook) refuses with 403 as well.
            (400 | 403 | 422, _) => Self::Invalid { object, reason },
            _ => Self::Failed { verb, object, reason },
        }
    }

    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Which fields are whose, as the API server tells a conflict.
fn causes(status: &Status) -> Option<String> {
    let causes = &status.details.as_ref()?.causes;
    let told: Vec<_> = causes.iter().map(|cause| format!("{} ({})", cause.field, cause.message)).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// An error with what caused it, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        source = error.source();
    }
    said
}

/// The first cause of an error: the layers above it only say that a request failed.
fn last(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
