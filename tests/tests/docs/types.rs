//! Types in words, and as configurations write them.

use serde_json::Value;

use crate::schema::{Attribute, Nesting};

/// `List of String`.
pub fn words(kind: &Value) -> String {
    match parts(kind) {
        ("string", _) => "String".to_owned(),
        ("number", _) => "Number".to_owned(),
        ("bool", _) => "Boolean".to_owned(),
        ("dynamic", _) => "Dynamic".to_owned(),
        ("list", of) => format!("List of {}", words(of)),
        ("set", of) => format!("Set of {}", words(of)),
        ("map", of) => format!("Map of {}", words(of)),
        _ => format!("`{}`", expression(kind)),
    }
}

/// `list(string)`.
pub fn expression(kind: &Value) -> String {
    match parts(kind) {
        ("dynamic", _) => "any".to_owned(),
        (collection @ ("list" | "set" | "map"), of) => format!("{collection}({})", expression(of)),
        ("object", of) => {
            let fields = of.as_object().expect("an object type has attributes").iter();
            let fields: Vec<_> = fields.map(|(name, kind)| format!("{name} = {}", expression(kind))).collect();
            format!("object({{ {} }})", fields.join(", "))
        }
        ("tuple", of) => {
            let elements = of.as_array().expect("a tuple type has elements").iter();
            format!("tuple([{}])", elements.map(expression).collect::<Vec<_>>().join(", "))
        }
        (primitive, _) => primitive.to_owned(),
    }
}

/// What stands in parentheses behind an attribute's name.
pub fn of(attribute: &Attribute) -> String {
    let kind = match (&attribute.nested_type, &attribute.kind) {
        (Some(nested), _) => match nested.nesting_mode {
            Nesting::Single => "Attributes".to_owned(),
            Nesting::List => "Attributes List".to_owned(),
            Nesting::Set => "Attributes Set".to_owned(),
            Nesting::Map => "Attributes Map".to_owned(),
        },
        (None, Some(kind)) => words(kind),
        (None, None) => panic!("an attribute without a type"),
    };
    let marks = [(attribute.sensitive, "Sensitive"), (attribute.write_only, "Write-only")];
    let marks = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark);
    std::iter::once(kind.as_str()).chain(marks).collect::<Vec<_>>().join(", ")
}

fn parts(kind: &Value) -> (&str, &Value) {
    match kind {
        Value::String(primitive) => (primitive, &Value::Null),
        Value::Array(parts) => (parts[0].as_str().expect("a type has a name"), &parts[1]),
        other => panic!("{other} is not a type"),
    }
}
