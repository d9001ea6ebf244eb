//! Random configurations of a schema, and random changes of them.

use std::collections::BTreeMap;

use tfplugin::schema::{Attribute, Kind, Mode, Nesting};
use tfplugin::{Number, Type, Value};

use super::Random;
use super::hcl::may_be_unknown_and_null;
use super::sets::distinct;

const TEXTS: [&str; 12] =
    ["", "x", "y", "z", "60m", "1h", "source/x", "سلام", "two\nlines", "\"quoted\\", "${", "%{ if"];
const NUMBERS: [&str; 10] = [
    "0",
    "1",
    "-1",
    "0.1",
    "2.50",
    "-1e-7",
    "9007199254740993",
    "18446744073709551616",
    "0.12345678901234567890123",
    "1e30",
];

impl Random {
    /// A configured object: null where the user writes nothing.
    pub fn config(&mut self, attributes: &[Attribute]) -> Value {
        attributes.iter().map(|attribute| (attribute.name, self.configured(attribute))).collect()
    }

    fn configured(&mut self, attribute: &Attribute) -> Value {
        match attribute.mode {
            Mode::Computed => Value::Null,
            Mode::Optional | Mode::OptionalComputed if self.one_in(2) => Value::Null,
            _ => self.value_of(&attribute.kind),
        }
    }

    /// Another configuration of the same object: much of it as it was.
    pub fn changed(&mut self, attributes: &[Attribute], config: &Value) -> Value {
        let one = |attribute: &Attribute| {
            let old = config.get(attribute.name);
            let new = match self.below(4) {
                0 => self.configured(attribute),
                1 => self.changed_within(&attribute.kind, old),
                _ => old.clone(),
            };
            (attribute.name, new)
        };
        attributes.iter().map(one).collect()
    }

    fn changed_within(&mut self, kind: &Kind, value: &Value) -> Value {
        let Kind::Nested(nesting, attributes) = kind else {
            return if value.is_null() { Value::Null } else { self.value_of(kind) };
        };
        match value.clone() {
            Value::List(objects) => Value::List(self.changed_elements(attributes, objects)),
            Value::Set(objects) => {
                let changed = self.changed_elements(attributes, objects);
                Value::Set(distinct(attributes, changed))
            }
            Value::Map(objects) if *nesting == Nesting::Map => {
                let changed = objects
                    .into_iter()
                    .filter_map(|(key, object)| (!self.one_in(5)).then(|| (key, self.changed(attributes, &object))));
                Value::Map(changed.collect::<BTreeMap<_, _>>())
            }
            object @ Value::Map(_) => self.changed(attributes, &object),
            other => other,
        }
    }

    fn changed_elements(&mut self, attributes: &[Attribute], objects: Vec<Value>) -> Vec<Value> {
        let mut changed = Vec::new();
        for object in objects {
            match self.below(6) {
                0 => {}
                1 => changed.extend([self.config(attributes), object]),
                2 | 3 => changed.push(self.changed(attributes, &object)),
                _ => changed.push(object),
            }
        }
        changed
    }

    /// A configured value, known and not null.
    pub fn value_of(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Plain(kind) => self.plain(kind),
            Kind::Nested(nesting, attributes) => {
                let count = if *nesting == Nesting::Single { 1 } else { self.below(4) };
                let objects: Vec<Value> = (0..count).map(|_| self.config(attributes)).collect();
                match nesting {
                    Nesting::Single => objects.into_iter().next().unwrap_or(Value::Null),
                    Nesting::List => Value::List(objects),
                    Nesting::Set => Value::Set(distinct(attributes, objects)),
                    Nesting::Map => ["k", "l", "m m"].into_iter().zip(objects).collect(),
                }
            }
        }
    }

    /// A default: what the user could have written.
    pub fn constant(&mut self, kind: &Kind) -> Value {
        let all = [Attribute::new("it", kind.clone(), Mode::Optional)];
        let written = [("it", self.value_of(kind))].into_iter().collect();
        // A default has no secrets: they are never planned.
        tfplugin::plan::write_only::remove(&all, written).get("it").clone()
    }

    /// A value of a type, known and not null, though parts of it may be null.
    pub fn plain(&mut self, kind: &Type) -> Value {
        let count = self.below(3);
        let part = |random: &mut Self, kind: &Type| match random.one_in(12) {
            true => Value::Null,
            false => random.plain(kind),
        };
        match kind {
            Type::Bool => Value::Bool(self.one_in(2)),
            Type::Number => Number::parse(self.pick::<&str>(&NUMBERS)).map_or(Value::Null, Value::Number),
            Type::String => Value::from(*self.pick(&TEXTS)),
            Type::List(element) => Value::List((0..count).map(|_| part(self, element)).collect()),
            Type::Set(element) => {
                let mut elements: Vec<Value> = Vec::new();
                for _ in 0..count {
                    let element = self.plain(element);
                    if !elements.contains(&element) {
                        elements.push(element);
                    }
                }
                Value::Set(elements)
            }
            Type::Map(element) => {
                ["k", "l", "m m"].into_iter().take(count).map(|key| (key, part(self, element))).collect()
            }
            Type::Object(attributes) => {
                attributes.iter().map(|(name, kind)| (name.as_str(), part(self, kind))).collect()
            }
            Type::Tuple(kinds) => Value::List(kinds.iter().map(|kind| part(self, kind)).collect()),
            Type::Dynamic => {
                // The types that a literal can have by itself.
                let kind = match self.below(5) {
                    0 => Type::Bool,
                    1 => Type::Number,
                    2 => Type::Tuple(vec![Type::String, Type::Number]),
                    3 => Type::Object(vec![("p".into(), Type::String), ("q".into(), Type::Bool)]),
                    _ => Type::String,
                };
                let value = self.plain(&kind);
                Value::Dynamic(Box::new((kind, value)))
            }
        }
    }
}

impl Random {
    /// The same configuration before all of it is known.
    pub fn obscured(&mut self, attributes: &[Attribute], config: &Value) -> Value {
        let one = |attribute: &Attribute| {
            let value = match config.get(attribute.name) {
                Value::Null if attribute.is_configurable() && may_be_unknown_and_null(attribute) && self.one_in(12) => {
                    Value::unknown()
                }
                Value::Null => Value::Null,
                _ if self.one_in(6) => Value::unknown(),
                known => self.obscured_within(&attribute.kind, known),
            };
            (attribute.name, value)
        };
        attributes.iter().map(one).collect()
    }

    fn obscured_within(&mut self, kind: &Kind, value: &Value) -> Value {
        let Kind::Nested(nesting, attributes) = kind else {
            return value.clone();
        };
        // An element can be unknown as a whole, too.
        let mut element = |object: &Value| match self.one_in(10) {
            true => Value::unknown(),
            false => self.obscured(attributes, object),
        };
        match value {
            Value::List(objects) => Value::List(objects.iter().map(element).collect()),
            Value::Set(objects) => Value::Set(objects.iter().map(element).collect()),
            Value::Map(objects) if *nesting == Nesting::Map => {
                objects.iter().map(|(key, object)| (key.as_str(), element(object))).collect()
            }
            object => self.obscured(attributes, object),
        }
    }
}
