//! Plans of random configurations of random schemas: none breaks the host's
//! rules, and after an apply there is nothing to do.

use super::{complete, contract};
use crate::schema::{ANY, Attribute, Kind, Mode, Nesting};
use crate::{Refinement, Type, Value};

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// By attribute, what it may depend on; never itself.
const DEPENDENCIES: [&[&[&str]]; 5] = [
    &[&[], &["b"], &["c", "d"], &[ANY]],
    &[&[], &["a"], &["c"], &[ANY]],
    &[&[], &["b", "e"], &["a"], &[ANY]],
    &[&[], &["a", "c"], &["e"], &[ANY]],
    &[&[], &["d"], &["a", "b"], &[ANY]],
];

/// xorshift64 from a fixed seed: the same cases in every run.
struct Random {
    state: u64,
    collapsed: bool,
}

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % u64::try_from(bound).unwrap_or(1)).unwrap_or(0)
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<'t, T>(&mut self, choices: &'t [T]) -> &'t T {
        &choices[self.below(choices.len())]
    }

    fn schema(&mut self, depth: usize) -> Vec<Attribute> {
        let count = 1 + self.below(NAMES.len());
        (0..count).map(|position| self.attribute(position, count, depth)).collect()
    }

    fn attribute(&mut self, position: usize, count: usize, depth: usize) -> Attribute {
        let kind = self.kind(depth);
        let mode = *self.pick(&[Mode::Required, Mode::Optional, Mode::Computed, Mode::OptionalComputed]);
        let mut attribute = Attribute::new(NAMES[position], kind, mode);
        if mode == Mode::Optional && self.one_in(3) {
            attribute.default = Some(self.value(&attribute.kind.clone(), false));
        }
        if attribute.is_computed() && attribute.default.is_none() {
            let siblings = &NAMES[..count];
            let known = |names: &&&[&str]| names.iter().all(|name| *name == ANY || siblings.contains(name));
            let choices: Vec<_> = DEPENDENCIES[position].iter().filter(known).copied().collect();
            attribute.depends_on = *self.pick::<&'static [&'static str]>(&choices);
            if self.one_in(3) {
                attribute.refined = Refinement::not_null();
            }
        }
        attribute.write_only = mode == Mode::Optional && attribute.default.is_none() && depth == 0 && self.one_in(6);
        attribute
    }

    fn kind(&mut self, depth: usize) -> Kind {
        if depth < 2 && self.one_in(2) {
            let nesting = *self.pick(&[Nesting::Single, Nesting::List, Nesting::Set, Nesting::Map]);
            return Kind::Nested(nesting, self.schema(depth + 1));
        }
        let element = || Box::new(Type::String);
        let plain =
            [Type::Bool, Type::Number, Type::String, Type::List(element()), Type::Set(element()), Type::Map(element())];
        Kind::Plain(self.pick(&plain).clone())
    }

    /// A configured object.
    fn config(&mut self, attributes: &[Attribute], unknowns: bool) -> Value {
        let one = |attribute: &Attribute| {
            let value = match attribute.mode {
                Mode::Computed => Value::Null,
                Mode::Optional | Mode::OptionalComputed if self.one_in(2) => Value::Null,
                _ if unknowns && self.one_in(6) => Value::unknown(),
                _ => self.value(&attribute.kind, unknowns),
            };
            (attribute.name, value)
        };
        attributes.iter().map(one).collect()
    }

    fn value(&mut self, kind: &Kind, unknowns: bool) -> Value {
        match kind {
            Kind::Plain(kind) => self.plain(kind),
            Kind::Nested(nesting, attributes) => {
                let count = if *nesting == Nesting::Single { 1 } else { self.below(4) };
                let objects: Vec<Value> = (0..count).map(|_| self.config(attributes, unknowns)).collect();
                collect(*nesting, objects)
            }
        }
    }

    fn plain(&mut self, kind: &Type) -> Value {
        let texts: Vec<Value> = ["x", "y", "z"].into_iter().filter(|_| self.one_in(2)).map(Value::from).collect();
        match kind {
            Type::Bool => Value::Bool(self.one_in(2)),
            Type::Number => Value::from(f64::from(u32::try_from(self.below(30)).unwrap_or(0)) / 10.0),
            Type::List(_) => Value::List(texts),
            Type::Set(_) => Value::Set(texts),
            Type::Map(_) => texts.into_iter().enumerate().map(|(key, text)| (key.to_string(), text)).collect(),
            _ => Value::from(*self.pick(&["x", "y", "z"])),
        }
    }

    /// What a provider makes of a plan: every unknown becomes something.
    fn applied(&mut self, attributes: &[Attribute], planned: &Value) -> Value {
        let one = |attribute: &Attribute| {
            let value = match (planned.get(attribute.name), &attribute.kind) {
                (Value::Unknown(known), _) if !known.is_not_null() && self.one_in(4) => Value::Null,
                (Value::Unknown(_), Kind::Nested(nesting, nested)) => {
                    let empty: Value = nested.iter().map(|inner| (inner.name, Value::unknown())).collect();
                    collect(*nesting, vec![self.applied(nested, &empty)])
                }
                (Value::Unknown(_), kind) => self.value(kind, false),
                (Value::Null, _) => Value::Null,
                (known, Kind::Nested(nesting, nested)) => {
                    let objects = objects(*nesting, known).into_iter();
                    let made: Vec<_> = objects.map(|(key, object)| (key, self.applied(nested, object))).collect();
                    let count = made.len();
                    let made = with_keys(*nesting, made);
                    // A provider that makes two elements of a set equal leaves
                    // one of the configured ones without a counterpart.
                    self.collapsed |= matches!(&made, Value::Set(elements) if elements.len() < count);
                    made
                }
                (known, Kind::Plain(_)) => known.clone(),
            };
            (attribute.name, value)
        };
        attributes.iter().map(one).collect()
    }
}

fn collect(nesting: Nesting, objects: Vec<Value>) -> Value {
    let keyed = objects.into_iter().enumerate().map(|(key, object)| (key.to_string(), object)).collect();
    with_keys(nesting, keyed)
}

fn with_keys(nesting: Nesting, objects: Vec<(String, Value)>) -> Value {
    match nesting {
        Nesting::Map => objects.into_iter().collect(),
        Nesting::List => Value::List(objects.into_iter().map(|(_, object)| object).collect()),
        Nesting::Single => objects.into_iter().map(|(_, object)| object).next().unwrap_or(Value::Null),
        Nesting::Set => {
            let mut distinct: Vec<Value> = Vec::new();
            for (_, object) in objects {
                if !distinct.contains(&object) {
                    distinct.push(object);
                }
            }
            Value::Set(distinct)
        }
    }
}

fn objects(nesting: Nesting, value: &Value) -> Vec<(String, &Value)> {
    match (nesting, value) {
        (Nesting::Single, object) => vec![(String::new(), object)],
        (_, Value::List(elements) | Value::Set(elements)) => {
            elements.iter().map(|element| (String::new(), element)).collect()
        }
        (_, Value::Map(entries)) => entries.iter().map(|(key, element)| (key.clone(), element)).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn no_plan_breaks_the_rules_and_after_an_apply_there_is_nothing_to_do() {
    let mut random = Random { state: 0x2545_f491_4f6c_dd1d, collapsed: false };
    let mut tried = 0;
    for case in 0..4000 {
        let attributes = random.schema(0);
        let mut prior = Value::Null;
        // A create and two updates of the same object.
        for _ in 0..3 {
            let early = random.config(&attributes, true);
            let planned = complete(&attributes, &early, &prior);
            let problems = contract::planned(&attributes, &early, &prior, &planned);
            assert!(problems.is_empty(), "case {case}: {problems}\n{early:?}\n{prior:?}\n{planned:?}");

            let config = random.config(&attributes, false);
            let planned = complete(&attributes, &config, &prior);
            if !contract::duplicates(&attributes, &planned).is_empty() {
                break;
            }
            let problems = contract::planned(&attributes, &config, &prior, &planned);
            assert!(problems.is_empty(), "case {case}: {problems}\n{config:?}\n{prior:?}\n{planned:?}");

            let state = random.applied(&attributes, &planned);
            let problems = contract::applied(&attributes, &planned, &state);
            assert!(problems.is_empty(), "case {case}: {problems}\n{planned:?}\n{state:?}");

            if std::mem::take(&mut random.collapsed) {
                break;
            }
            let again = complete(&attributes, &config, &state);
            assert_eq!(again, state, "case {case}: not empty after the apply of\n{config:?}");
            prior = state;
            tried += 1;
        }
    }
    assert!(tried > 4000, "most cases are tried: {tried}");
}
