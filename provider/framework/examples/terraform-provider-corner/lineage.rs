//! Identity, state and identities of older releases, and moves between types.

use serde_json::{Value as Json, json};
use tfplugin::{Attr, Diagnostic, Diagnostics, Field, IdentitySchema, Import, Model, MoveSource, Value};

use super::kept::{Change, Object};

/// A person, who has an identity, a past, and was once a boy.
#[derive(Model, Debug, Clone)]
pub struct Person {
    /// The name; identity.
    #[attr(required, replace)]
    name: Attr<String>,
    /// The town; identity.
    #[attr(default = "al-ain", replace)]
    town: Attr<String>,
    /// The age.
    #[attr(optional)]
    age: Attr<i64>,
    /// `person/<name>`
    #[attr(computed, not_null)]
    id: Attr<String>,
}

/// What tells a person from the others.
#[derive(Model, Debug, Clone)]
struct PersonIdentity {
    /// The name.
    name: String,
    /// The town.
    town: Option<String>,
}

impl Object for Person {
    const TYPE: &'static str = "corner_person";
    const VERSION: i64 = 2;

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn complete(&mut self, _change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        if self.id.is_unknown() {
            self.id = format!("person/{}", self.name.clone().or_default()).into();
        }
        Ok(())
    }

    /// Version 0 had first and last name, version 1 the age as a text.
    fn upgrade(version: i64, mut state: Json) -> Result<Json, Diagnostics> {
        if version == 0 {
            let part = |name: &str| state[name].as_str().unwrap_or_default().to_owned();
            state["name"] = format!("{}-{}", part("first"), part("last")).into();
        }
        let age = state["age"].as_str().map(str::parse::<i64>);
        match age {
            Some(Ok(age)) => state["age"] = age.into(),
            Some(Err(_)) => return Err(Diagnostic::error("The age is no number").at("age").into()),
            None => {}
        }
        Ok(state)
    }

    fn moved(source: &MoveSource) -> Result<String, Diagnostics> {
        match (source.type_name.as_str(), source.state["name"].as_str()) {
            ("corner_boy", Some(name)) => Ok(name.to_owned()),
            (other, _) => Err(Diagnostic::error(format!("A {other} does not become a person")).into()),
        }
    }

    fn identity_schema() -> Option<IdentitySchema> {
        Some(IdentitySchema::of::<PersonIdentity>().version(1))
    }

    fn identity(&self) -> Option<Value> {
        let identity = PersonIdentity { name: self.name.known()?.clone(), town: self.town.known().cloned() };
        Some(Field::to_value(&identity))
    }

    /// Version 0 called the name a title.
    fn upgrade_identity(_version: i64, mut identity: Json) -> Result<Json, Diagnostics> {
        Ok(json!({ "name": identity["title"].take(), "town": identity["town"].take() }))
    }

    fn named_by(import: &Import) -> Option<String> {
        import.identity::<PersonIdentity>().map(|identity| identity.name)
    }
}

/// A boy, who may become a person. Both are one in the world.
#[derive(Model, Debug, Clone)]
#[model(deprecated = "Use corner_person; a moved block takes a boy over.")]
pub struct Boy {
    /// The name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// The toy.
    #[attr(optional, deprecated = "Toys are put away.")]
    toy: Attr<String>,
    /// `person/<name>`, for what it becomes.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// Where it lives, for what it becomes.
    #[attr(default = "al-ain")]
    town: Attr<String>,
}

impl Object for Boy {
    const TYPE: &'static str = "corner_boy";
    const STORED: &'static str = "corner_person";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn complete(&mut self, _change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        if self.id.is_unknown() {
            self.id = format!("person/{}", self.name.clone().or_default()).into();
        }
        Ok(())
    }
}
