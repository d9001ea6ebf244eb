//! The host's end of the messages.

use tonic::{Response, Status};

use super::broken;
use crate::path::Step;
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::attribute_path::step::Selector;
use crate::{AttributePath, Diagnostic, Diagnostics, Type, Value};

pub fn encode(value: &Value) -> Option<proto::DynamicValue> {
    Some(proto::DynamicValue { msgpack: value.to_msgpack().into(), json: Default::default() })
}

pub fn decode(value: Option<proto::DynamicValue>, kind: &Type) -> Result<Value, Diagnostics> {
    let bytes = value.map(|value| value.msgpack).unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    Value::from_msgpack(&bytes, kind)
        .map_err(|error| broken("The provider returned a value of the wrong type", error.to_string()))
}

pub fn answer<T>(answer: Result<Response<T>, Status>) -> Result<T, Diagnostics> {
    answer.map(Response::into_inner).map_err(|status| broken("The call failed", status.to_string()))
}

pub fn diagnostics(diagnostics: Vec<proto::Diagnostic>) -> Diagnostics {
    diagnostics
        .into_iter()
        .map(|diagnostic| {
            let made = match diagnostic.severity() {
                proto::diagnostic::Severity::Warning => Diagnostic::warning(diagnostic.summary),
                _ => Diagnostic::error(diagnostic.summary),
            };
            made.detail(diagnostic.detail).at(diagnostic.attribute.map(path).unwrap_or_default())
        })
        .collect()
}

pub fn path(path: proto::AttributePath) -> AttributePath {
    path.steps
        .into_iter()
        .filter_map(|step| step.selector)
        .map(|selector| match selector {
            Selector::AttributeName(name) => Step::Attribute(name.into()),
            Selector::ElementKeyString(key) => Step::Key(key),
            Selector::ElementKeyInt(index) => Step::Index(index),
        })
        .collect()
}
