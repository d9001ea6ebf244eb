//! Sets, and values that a server writes in another way.

use tfplugin::{Attr, Model, Set, Value};

use super::kept::Object;

/// Sets of texts and of objects whose spelling means nothing.
#[derive(Model, Debug, Clone)]
pub struct Sets {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// Words; the server keeps them sorted.
    #[attr(optional)]
    words: Attr<Set<String>>,
    /// A host name; the server writes it in lower case.
    #[attr(optional, same = same_case)]
    host: Attr<String>,
    /// Members; the server writes their names in lower case.
    #[attr(optional)]
    members: Attr<Set<Member>>,
}

/// A member.
#[derive(Model, Debug, Clone)]
pub struct Member {
    /// The name; upper and lower case are one.
    #[attr(required, same = same_case)]
    host: Attr<String>,
    /// The weight.
    #[attr(default = 1)]
    weight: Attr<i64>,
}

fn same_case(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        _ => false,
    }
}

fn lower(text: String) -> String {
    text.to_ascii_lowercase()
}

impl Object for Sets {
    const TYPE: &'static str = "corner_sets";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn normalised(mut self) -> Self {
        if let Some(words) = self.words.known_mut() {
            words.0.sort();
        }
        if let Some(members) = self.members.known_mut() {
            members.0.iter_mut().for_each(|member| member.host = std::mem::take(&mut member.host).map(lower));
            members.0.reverse();
        }
        Self { host: self.host.map(lower), ..self }
    }
}
