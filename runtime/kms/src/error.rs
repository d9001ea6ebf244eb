use std::fmt;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What stood in the way of using a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The URI is not one this release understands.
    BadUri,
    /// No such key, in this region and account or at this path.
    NotFound,
    /// The key was disabled; enabling it is enough.
    Disabled,
    /// The key is about to be destroyed; cancel its deletion.
    PendingDeletion,
    /// The caller may not use the key.
    AccessDenied,
    /// The key file is not private to its owner, not a plain file, or not 32 bytes.
    BadKeyFile,
    /// The wrapped bytes were changed, belong to another key, or the context differs.
    NotAuthentic,
    /// The key exists but is made for something else.
    WrongUsage,
    /// The service asks for fewer requests.
    Throttled,
    /// The service could not be reached or failed.
    Unavailable,
    /// Anything else the service said.
    Other,
}

impl Problem {
    fn text(self) -> &'static str {
        match self {
            Self::BadUri => "not a usable key URI",
            Self::NotFound => "there is no such key",
            Self::Disabled => "the key is disabled; enable it to go on",
            Self::PendingDeletion => "the key is pending deletion; cancel the deletion and enable it to go on",
            Self::AccessDenied => "access is denied",
            Self::BadKeyFile => "the key file cannot be trusted",
            Self::NotAuthentic => {
                "the wrapped key was altered, was wrapped by another key, or its encryption context differs"
            }
            Self::WrongUsage => "the key is not one for symmetric encryption",
            Self::Throttled => "the key service asks for fewer requests",
            Self::Unavailable => "the key service could not be reached",
            Self::Other => "the key service refused",
        }
    }
}

/// A key that could not be used: which, for what, and why.
#[derive(Debug)]
pub struct KmsError {
    uri: String,
    action: &'static str,
    problem: Problem,
    detail: Option<String>,
    source: Option<Source>,
}

impl KmsError {
    /// `action` completes "could not ...".
    pub fn new(uri: &str, action: &'static str, problem: Problem) -> Self {
        Self { uri: uri.to_owned(), action, problem, detail: None, source: None }
    }

    /// What to add in parentheses.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub fn problem(&self) -> Problem {
        self.problem
    }

    /// The URI of the key.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Whether the same call may succeed a little later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        matches!(self.problem, Problem::Throttled | Problem::Unavailable)
    }
}

impl fmt::Display for KmsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uri, action) = (&self.uri, self.action);
        write!(f, "key {uri}: could not {action}: {}", self.problem.text())?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for KmsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| s.as_ref() as &(dyn std::error::Error + 'static))
    }
}
