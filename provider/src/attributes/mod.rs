//! Attributes that several resources share, and the way from what a user wrote
//! to the contract's types.

pub mod access;
pub mod kms_key;
pub mod kubernetes_rules;
pub mod labels;
pub mod posture;
pub mod residency;
pub mod rules;

use std::collections::BTreeMap;
use std::str::FromStr;

use tfplugin::{Attr, AttributePath, Diagnostic, Model, Span, Value};

pub use kms_key::KmsKeyModel;
pub use posture::PostureModel;
pub use residency::ResidencyModel;

/// What every declared object has.
pub trait Object: Model {
    fn id(&self) -> &Attr<String>;
    fn id_mut(&mut self) -> &mut Attr<String>;
    fn name(&self) -> &Attr<String>;
    fn name_mut(&mut self) -> &mut Attr<String>;
    fn labels(&self) -> &Attr<BTreeMap<String, String>>;
    fn labels_mut(&mut self) -> &mut Attr<BTreeMap<String, String>>;
    fn effective_labels_mut(&mut self) -> &mut Attr<BTreeMap<String, String>>;
    fn effective_labels(&self) -> &Attr<BTreeMap<String, String>>;
    fn posture_mut(&mut self) -> &mut Attr<PostureModel>;
}

/// Implements [`Object`] for a model with the fields of these names.
macro_rules! object {
    ($model:ty) => {
        impl $crate::attributes::Object for $model {
            fn id(&self) -> &::tfplugin::Attr<String> {
                &self.id
            }
            fn id_mut(&mut self) -> &mut ::tfplugin::Attr<String> {
                &mut self.id
            }
            fn name(&self) -> &::tfplugin::Attr<String> {
                &self.name
            }
            fn name_mut(&mut self) -> &mut ::tfplugin::Attr<String> {
                &mut self.name
            }
            fn labels(&self) -> &::tfplugin::Attr<::std::collections::BTreeMap<String, String>> {
                &self.labels
            }
            fn labels_mut(&mut self) -> &mut ::tfplugin::Attr<::std::collections::BTreeMap<String, String>> {
                &mut self.labels
            }
            fn effective_labels(&self) -> &::tfplugin::Attr<::std::collections::BTreeMap<String, String>> {
                &self.effective_labels
            }
            fn effective_labels_mut(&mut self) -> &mut ::tfplugin::Attr<::std::collections::BTreeMap<String, String>> {
                &mut self.effective_labels
            }
            fn posture_mut(&mut self) -> &mut ::tfplugin::Attr<$crate::attributes::PostureModel> {
                &mut self.posture
            }
        }
    };
}
pub(crate) use object;

/// An attribute that must have a value by now.
pub fn want<T>(attribute: &Attr<T>, path: impl Into<AttributePath>) -> Result<&T, Diagnostic> {
    attribute.known().ok_or_else(|| {
        Diagnostic::error("Missing value")
            .detail("A value is needed here, and there is none: set it, or leave out what it belongs to.")
            .at(path)
    })
}

/// A text read as what it stands for.
pub fn parse<T: FromStr<Err = String>>(text: &str, path: impl Into<AttributePath>) -> Result<T, Diagnostic> {
    text.parse().map_err(|problem: String| Diagnostic::error("Unsuitable value").detail(problem).at(path))
}

/// An attribute that must have a value by now, read as what it stands for.
pub fn wanted<T: FromStr<Err = String>>(
    attribute: &Attr<String>,
    path: impl Into<AttributePath>,
) -> Result<T, Diagnostic> {
    let path = path.into();
    parse(want(attribute, path.clone())?, path)
}

/// A duration of the contract from one that a user wrote.
pub fn duration(span: &Span, path: impl Into<AttributePath>) -> Result<falaj_api::Duration, Diagnostic> {
    parse(span.as_str(), path)
}

/// A duration of the contract as an attribute.
pub fn span(duration: falaj_api::Duration) -> Attr<Span> {
    duration.to_string().parse().ok().into()
}

/// A choice by its name in the contract, whose names are those of the attributes.
pub fn choice<T: serde::de::DeserializeOwned>(
    attribute: &Attr<String>,
    path: impl Into<AttributePath>,
) -> Result<T, Diagnostic> {
    let path = path.into();
    let text = want(attribute, path.clone())?;
    serde_json::from_value(serde_json::Value::String(text.clone())).map_err(|_| {
        Diagnostic::error("Unsuitable value").detail(format!("{text:?} is not one of the choices.")).at(path)
    })
}

/// The name of a choice in the contract.
pub fn chosen<T: serde::Serialize>(choice: &T) -> Attr<String> {
    match serde_json::to_value(choice) {
        Ok(serde_json::Value::String(text)) => text.into(),
        _ => Attr::Null,
    }
}

/// Whether anything but a local attribute differs, so that something is to be
/// done: what is unchanged is not checked again.
pub fn differs<M: Model>(prior: Option<&M>, planned: &M) -> bool {
    let Some(prior) = prior else { return true };
    let (prior, planned): (Value, Value) = (prior.to_value(), planned.to_value());
    M::attributes().iter().any(|attribute| !attribute.local && prior.get(attribute.name) != planned.get(attribute.name))
}

/// A model without any value.
pub fn blank<M: Model>() -> Result<M, Diagnostic> {
    M::from_value(&Value::Map(BTreeMap::new())).map_err(tfplugin::FieldError::diagnostic)
}
