//! What a host refuses in a schema, found before it does.

use super::{Attribute, Block, Kind, Mode, Nesting, Schema};
use crate::{Type, Value};

/// Names that configurations use for the host's own arguments.
const RESERVED: [&str; 7] = ["connection", "count", "depends_on", "for_each", "lifecycle", "provider", "provisioner"];

/// What is wrong with a schema, as sentences that name the attribute. A
/// provider's tests and debug builds refuse to go on with any.
pub fn problems(schema: &Schema) -> Vec<String> {
    let mut found = Vec::new();
    for attribute in &schema.attributes {
        if RESERVED.contains(&attribute.name) {
            found.push(format!("`{}` is an argument of the host's own", attribute.name));
        }
    }
    walk(&schema.attributes, "", false, &mut found);
    blocks(&schema.attributes, "", true, &mut found);
    found
}

fn walk(attributes: &[Attribute], within: &str, in_set: bool, found: &mut Vec<String>) {
    for (position, attribute) in attributes.iter().enumerate() {
        let name = format!("{within}{}", attribute.name);
        if attributes.iter().take(position).any(|earlier| earlier.name == attribute.name) {
            found.push(format!("`{name}` is declared twice"));
        }
        if in_set && attribute.write_only {
            found.push(format!(
                "`{name}` is write-only inside a set: elements without their secret cannot be told apart"
            ));
        }
        if attribute.variadic || attribute.allow_unknown {
            found.push(format!("`{name}` has an option that only a function's parameter can have"));
        }
        if let Some(problem) = attribute.refined.misfit(&attribute.kind.to_type()) {
            found.push(format!("`{name}` is refined with what its type does not have: {problem}"));
        }
        if let Some(default) = &attribute.default {
            if let Some(problem) = misfit(attribute, default) {
                found.push(format!("the default of `{name}` does not fit its type: {problem}"));
            }
            found.extend(attribute.validators.iter().filter_map(|rule| {
                let problem = rule.check(default).err()?;
                Some(format!("the default of `{name}` breaks its own rule: it {problem}"))
            }));
        }
        if let Kind::Nested(nesting, nested) = &attribute.kind {
            walk(nested, &format!("{name}."), in_set || *nesting == Nesting::Set, found);
        }
    }
}

/// What a host refuses in nested blocks, and in sets of nested objects.
fn blocks(attributes: &[Attribute], within: &str, allowed: bool, found: &mut Vec<String>) {
    for attribute in attributes {
        let name = format!("{within}{}", attribute.name);
        let mut wrong = |problem: &str| found.push(format!("`{name}` {problem}"));
        let Kind::Nested(nesting, nested) = &attribute.kind else {
            if attribute.block.is_some() {
                wrong("is a block, and has no attributes of its own");
            }
            continue;
        };
        if let Some(bounds) = attribute.block {
            if !allowed {
                wrong("is a block inside an attribute; only blocks can have blocks inside");
            }
            if bounds.max_items.is_some_and(|max| max < bounds.min_items) {
                wrong("has a greatest number of blocks below its least");
            }
            if matches!(nesting, Nesting::Single | Nesting::Map) && bounds != Block::default() {
                wrong("has a number of blocks, which only a list or a set of them can have");
            }
            if *nesting == Nesting::Map && attribute.mode == Mode::Required {
                wrong("is a required map of blocks, which the protocol does not know; validate it instead");
            }
            if attribute.is_computed() && (bounds.min_items > 0 || !nested.iter().all(Attribute::is_computed)) {
                wrong("is a computed block: it cannot be demanded, and everything in it must be computed, too");
            }
        }
        let one_type = *nesting == Nesting::Set || attribute.is_block_collection();
        if one_type && has_dynamic(&attribute.kind.to_type()) {
            wrong("has values of any type inside, which its elements cannot have");
        }
        blocks(nested, &format!("{name}."), attribute.block.is_some(), found);
    }
}

fn has_dynamic(kind: &Type) -> bool {
    match kind {
        Type::Dynamic => true,
        Type::List(element) | Type::Set(element) | Type::Map(element) => has_dynamic(element),
        Type::Object(attributes) => attributes.iter().any(|(_, kind)| has_dynamic(kind)),
        Type::Tuple(kinds) => kinds.iter().any(has_dynamic),
        Type::Bool | Type::Number | Type::String => false,
    }
}

/// Why a default cannot be written and read as the attribute's type.
fn misfit(attribute: &Attribute, default: &Value) -> Option<String> {
    if !default.is_wholly_known() {
        return Some("a part of it is unknown".into());
    }
    match Value::from_msgpack(&default.to_msgpack(), &attribute.kind.to_type()) {
        Ok(read) if read == *default => None,
        Ok(_) => Some("it lacks attributes of the object".into()),
        Err(error) => Some(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::*;
    use crate::{Attr, Field, FieldError, Model, Set, Type, validate};

    /// Written by hand: the derive would not compile in a set.
    #[derive(Clone)]
    struct Inner;

    impl Field for Inner {
        fn kind() -> Kind {
            let secret = Attribute::new("secret_wo", Kind::Plain(Type::String), Mode::Optional);
            Kind::Nested(Nesting::Single, vec![Attribute { write_only: true, ..secret }])
        }

        fn from_value(_: &Value) -> Result<Self, FieldError> {
            Ok(Self)
        }

        fn to_value(&self) -> Value {
            Value::from_iter([("secret_wo", Value::Null)])
        }
    }

    #[derive(Model, Clone)]
    struct Faulty {
        #[attr(default = 30)]
        text: Attr<String>,
        #[attr(default = "z", validate = [validate::one_of(["a", "b"])])]
        choice: Attr<String>,
        #[attr(optional)]
        count: Attr<i64>,
        #[attr(optional)]
        inner: Attr<Set<Inner>>,
        #[attr(default = 3)]
        fine: Attr<i64>,
    }

    #[test]
    fn what_a_host_would_refuse_is_named() {
        let found = problems(&Faulty::schema());
        let expected = ["`count`", "`text`", "`choice`", "`inner.secret_wo`"];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (problem, name) in found.iter().zip(expected) {
            assert!(problem.contains(name), "{problem}");
        }
    }
}
