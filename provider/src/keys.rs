//! Keys that were seen in this process, for those that inherit them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use falaj_api::id::Prefix;
use tfplugin::Attr;

use crate::attributes::KmsKeyModel;

/// The effective keys of clusters and workspaces, by their place.
#[derive(Default)]
pub struct Keys(Mutex<HashMap<String, Attr<KmsKeyModel>>>);

impl Keys {
    pub fn learn(&self, place: &Prefix, key: Attr<KmsKeyModel>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place.to_string(), key);
    }

    pub fn recall(&self, place: &Prefix) -> Option<Attr<KmsKeyModel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&place.to_string()).cloned()
    }
}
