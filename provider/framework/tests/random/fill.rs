//! What a provider makes of a plan.

use tfplugin::schema::{Attribute, Kind, Nesting};
use tfplugin::{Type, Value};

use super::Random;

impl Random {
    /// The object as planned, with something for every unknown.
    pub fn filled(&mut self, attributes: &[Attribute], planned: &Value) -> Value {
        let one = |attribute: &Attribute| {
            let value = match planned.get(attribute.name) {
                Value::Unknown(known) if !known.is_not_null() && self.one_in(4) => Value::Null,
                Value::Unknown(_) => self.made(&attribute.kind),
                known => self.filled_within(&attribute.kind, known),
            };
            (attribute.name, value)
        };
        attributes.iter().map(one).collect()
    }

    fn filled_within(&mut self, kind: &Kind, planned: &Value) -> Value {
        let Kind::Nested(nesting, attributes) = kind else {
            return planned.clone();
        };
        match planned {
            Value::List(objects) => Value::List(objects.iter().map(|object| self.filled(attributes, object)).collect()),
            Value::Set(objects) => Value::Set(objects.iter().map(|object| self.filled(attributes, object)).collect()),
            Value::Map(objects) if *nesting == Nesting::Map => {
                objects.iter().map(|(key, object)| (key.as_str(), self.filled(attributes, object))).collect()
            }
            Value::Map(_) => self.filled(attributes, planned),
            other => other.clone(),
        }
    }

    /// What the provider gives of its own.
    fn made(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Plain(Type::String) => Value::from(format!("made-{}", self.next())),
            Kind::Plain(kind) => self.plain(kind),
            Kind::Nested(nesting, attributes) => {
                let count = if *nesting == Nesting::Single { 1 } else { self.below(3) };
                let open: Value = attributes
                    .iter()
                    .filter(|attribute| !attribute.write_only)
                    .map(|attribute| (attribute.name, Value::unknown()))
                    .collect();
                let objects: Vec<Value> = (0..count).map(|_| self.filled(attributes, &open)).collect();
                match nesting {
                    Nesting::Single => objects.into_iter().next().unwrap_or(Value::Null),
                    Nesting::List => Value::List(objects),
                    Nesting::Set => {
                        let mut elements: Vec<Value> = Vec::new();
                        for object in objects {
                            if !elements.contains(&object) {
                                elements.push(object);
                            }
                        }
                        Value::Set(elements)
                    }
                    Nesting::Map => ["k", "l"].into_iter().zip(objects).collect(),
                }
            }
        }
    }
}
