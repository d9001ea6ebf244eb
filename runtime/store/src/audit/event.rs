use serde_json::{Map, Value};

use crate::crypto::sha256;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Allowed,
    /// With the rule that refused it: a fixed word such as `residency`, never user input.
    Refused {
        rule: String,
    },
}

/// What is to be recorded.
///
/// Everything but `details` is stored in the clear, and outlives erasure: it may name people who
/// operate the system, and pseudonyms of people in the data, but nothing of the data itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Uid of the workspace, or [`crate::CLUSTER`].
    pub chain: String,
    /// Who asked, such as `admin` or `user:dpo@example.ae`.
    pub actor: String,
    /// What was asked, such as `model.update`.
    pub action: String,
    /// Id of what it was asked of.
    pub target: String,
    pub outcome: Outcome,
    /// Why, in a sentence: for a refusal, the one the user was told.
    pub reason: Option<String>,
    /// Sealed under the workspace's key; only their hash is in the chain.
    pub details: Option<Value>,
}

impl Event {
    /// An allowed request.
    pub fn allowed(
        chain: impl Into<String>,
        actor: impl Into<String>,
        action: impl Into<String>,
        target: impl Into<String>,
    ) -> Self {
        Self {
            chain: chain.into(),
            actor: actor.into(),
            action: action.into(),
            target: target.into(),
            outcome: Outcome::Allowed,
            reason: None,
            details: None,
        }
    }

    /// A refused request, by `rule`, for `reason`.
    pub fn refused(
        chain: impl Into<String>,
        actor: impl Into<String>,
        action: impl Into<String>,
        target: impl Into<String>,
        rule: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            outcome: Outcome::Refused { rule: rule.into() },
            reason: Some(reason.into()),
            ..Self::allowed(chain, actor, action, target)
        }
    }

    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The event as it is hashed and stored.
    pub(super) fn canonical(&self, seq: i64, at: i64, details_hash: Option<&[u8; 32]>) -> String {
        let mut fields = Map::new();
        let mut put = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        put("v", 1.into());
        put("chain", self.chain.clone().into());
        put("seq", seq.into());
        put("at", at.into());
        put("actor", self.actor.clone().into());
        put("action", self.action.clone().into());
        put("target", self.target.clone().into());
        match &self.outcome {
            Outcome::Allowed => put("outcome", "allowed".into()),
            Outcome::Refused { rule } => {
                put("outcome", "refused".into());
                put("rule", rule.clone().into());
            }
        }
        if let Some(reason) = &self.reason {
            put("reason", reason.clone().into());
        }
        if let Some(hash) = details_hash {
            put("details_sha256", hex::encode(hash).into());
        }
        canonical_json(&Value::Object(fields))
    }
}

/// JSON without spaces, the members of objects in the byte order of their names. Numbers are
/// integers here, so this agrees with RFC 8785 wherever names are ASCII, as ours are.
pub(super) fn canonical_json(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            let members: Vec<String> = fields
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical_json(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// The hash of an event: SHA-256 of the hash before it and the event's own bytes.
pub(super) fn link(previous: &[u8; 32], event: &str) -> [u8; 32] {
    sha256(&[previous, event.as_bytes()])
}
