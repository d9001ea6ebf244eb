//! Objects in objects: defaults, computed parts and dynamic values at every depth.

use std::collections::BTreeMap;

use tfplugin::{Attr, Diagnostics, Model, Set, Value, validate};

use super::kept::{Change, Object};

/// Objects nested in every way.
#[derive(Model, Debug, Clone)]
pub struct Nested {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// One object.
    #[attr(optional)]
    one: Attr<Part>,
    /// Objects in order.
    #[attr(optional)]
    list: Attr<Vec<Part>>,
    /// Objects by key.
    #[attr(optional)]
    map: Attr<BTreeMap<String, Part>>,
    /// Objects without order.
    #[attr(optional)]
    set: Attr<Set<Plain>>,
    /// Objects four deep.
    #[attr(optional)]
    deep: Attr<Vec<Level>>,
}

/// A part with something for everybody to decide.
#[derive(Model, Debug, Clone)]
pub struct Part {
    /// The user decides.
    #[attr(required)]
    key: Attr<String>,
    /// The user may, otherwise it is this.
    #[attr(default = "plain", validate = [validate::one_of(["plain", "fancy"])])]
    style: Attr<String>,
    /// The provider decides.
    #[attr(computed, depends_on = ["key"])]
    serial: Attr<String>,
    /// The user may, otherwise the provider decides.
    #[attr(optional, computed)]
    shelf: Attr<i64>,
}

/// An element of a set: defaults, and nothing computed.
#[derive(Model, Debug, Clone)]
pub struct Plain {
    /// The user decides.
    #[attr(required)]
    port: Attr<i64>,
    /// The user may, otherwise it is this.
    #[attr(default = "tcp")]
    protocol: Attr<String>,
    /// The user may.
    #[attr(optional)]
    note: Attr<String>,
}

/// The outermost level.
#[derive(Model, Debug, Clone)]
pub struct Level {
    /// Its inner level by key.
    #[attr(optional)]
    inner: Attr<BTreeMap<String, Inner>>,
}

/// The level within.
#[derive(Model, Debug, Clone)]
pub struct Inner {
    /// What is inside.
    #[attr(optional)]
    core: Attr<Core>,
}

/// The innermost level.
#[derive(Model, Debug, Clone)]
pub struct Core {
    /// Elements without order.
    #[attr(optional)]
    parts: Attr<Set<Plain>>,
    /// The number of them.
    #[attr(computed, depends_on = ["parts"])]
    count: Attr<i64>,
}

impl Part {
    fn complete(&mut self) {
        if self.serial.is_unknown() {
            self.serial = self.key.as_ref().map(|key| format!("serial of {key}"));
        }
        if self.shelf.is_unknown() {
            self.shelf = 7.into();
        }
    }
}

impl Object for Nested {
    const TYPE: &'static str = "corner_nested";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn complete(&mut self, _change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        self.one.known_mut().into_iter().for_each(Part::complete);
        self.list.known_mut().into_iter().flatten().for_each(Part::complete);
        self.map.known_mut().into_iter().flat_map(BTreeMap::values_mut).for_each(Part::complete);
        let levels = self.deep.known_mut().into_iter().flatten();
        let inner = levels.filter_map(|level| level.inner.known_mut()).flat_map(BTreeMap::values_mut);
        for core in inner.filter_map(|inner| inner.core.known_mut()) {
            if core.count.is_unknown() {
                let count = core.parts.known().map_or(0, |parts| parts.0.len());
                core.count = i64::try_from(count).ok().into();
            }
        }
        Ok(())
    }
}

/// Values of any type.
#[derive(Model, Debug, Clone)]
pub struct Any {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// A value of any type.
    #[attr(optional)]
    value: Attr<Value>,
    /// The same value, from the provider.
    #[attr(computed, depends_on = ["value"])]
    copy: Attr<Value>,
    /// The type of the value in words.
    #[attr(computed, depends_on = ["value"])]
    kind: Attr<String>,
}

impl Object for Any {
    const TYPE: &'static str = "corner_any";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn complete(&mut self, _change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        if self.copy.is_unknown() {
            self.copy = self.value.clone();
        }
        if self.kind.is_unknown() {
            self.kind = match &self.value {
                Attr::Known(Value::Dynamic(typed)) => typed.0.name().into(),
                _ => "nothing".into(),
            };
        }
        Ok(())
    }
}
