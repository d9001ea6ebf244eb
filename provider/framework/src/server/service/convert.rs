//! Between the wire's messages and this crate's types.

use crate::erased::Client;
use crate::path::Step;
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::attribute_path::step::Selector;
use crate::{AttributePath, Deferral, Diagnostic, Diagnostics, Severity, Type, Value};

/// Reads a value in whichever encoding it came. An absent one is null.
pub fn decode(value: Option<proto::DynamicValue>, kind: &Type) -> Result<Value, Diagnostics> {
    let Some(value) = value else {
        return Ok(Value::Null);
    };
    let read = if !value.msgpack.is_empty() {
        Value::from_msgpack(&value.msgpack, kind)
    } else if !value.json.is_empty() {
        Value::from_json(&value.json, kind)
    } else {
        return Ok(Value::Null);
    };
    read.map_err(|error| {
        Diagnostic::error("A value from the host cannot be read")
            .detail(format!("It does not fit this provider's schema: {}.", error.problem))
            .at(error.path())
            .into()
    })
}

/// Writes a value as MessagePack, which every host reads everywhere.
pub fn encode(value: &Value) -> Option<proto::DynamicValue> {
    Some(proto::DynamicValue { msgpack: value.to_msgpack().into(), json: Default::default() })
}

/// Writes an identity, if there is one.
pub fn identity(identity: Option<&Value>) -> Option<proto::ResourceIdentityData> {
    identity.map(|identity| proto::ResourceIdentityData { identity_data: encode(identity) })
}

/// What the host can take. One that says nothing can take nothing.
pub fn client(capabilities: Option<proto::ClientCapabilities>) -> Client {
    let can = capabilities.unwrap_or_default();
    Client {
        may_defer: can.deferral_allowed,
        write_only: can.write_only_attributes_allowed,
        computed_blocks: can.computed_blocks_allowed,
    }
}

/// Messages to the user, and the deferral among them where the host takes one.
pub fn deferred(client: Client, mut found: Diagnostics) -> (Vec<proto::Diagnostic>, Option<proto::Deferred>) {
    use proto::deferred::Reason;
    let deferral = if client.may_defer { found.take_deferral() } else { None };
    let reason = deferral.map(|deferral| match deferral {
        Deferral::ResourceConfigUnknown => Reason::ResourceConfigUnknown,
        Deferral::ProviderConfigUnknown => Reason::ProviderConfigUnknown,
        Deferral::AbsentPrerequisite => Reason::AbsentPrereq,
    });
    (diagnostics(found), reason.map(|reason| proto::Deferred { reason: reason.into() }))
}

/// Messages to the user.
pub fn diagnostics(diagnostics: Diagnostics) -> Vec<proto::Diagnostic> {
    diagnostics.into_iter().map(diagnostic).collect()
}

fn diagnostic(diagnostic: Diagnostic) -> proto::Diagnostic {
    use proto::diagnostic::Severity as Wire;
    let severity = match diagnostic.severity {
        Severity::Error => Wire::Error,
        Severity::Warning => Wire::Warning,
    };
    // The host finds the place only of a whole attribute; of a part of one the
    // user is told in words.
    let mut detail = diagnostic.detail;
    if diagnostic.path.steps().len() > 1 {
        let place = diagnostic.path.to_string();
        if !diagnostic.summary.contains(&place) && !detail.contains(&place) {
            let separator = if detail.is_empty() { "" } else { "\n\n" };
            detail = format!("{detail}{separator}At `{place}`.");
        }
    }
    proto::Diagnostic {
        severity: severity.into(),
        summary: diagnostic.summary,
        detail,
        attribute: (!diagnostic.path.is_empty()).then(|| path(&diagnostic.path)),
    }
}

/// The way to an attribute.
pub fn path(path: &AttributePath) -> proto::AttributePath {
    let step = |step: &Step| proto::attribute_path::Step {
        selector: Some(match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone().into_owned()),
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
            Step::Index(index) => Selector::ElementKeyInt(*index),
        }),
    };
    proto::AttributePath { steps: path.steps().iter().map(step).collect() }
}
