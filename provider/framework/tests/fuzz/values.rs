//! Random types and values of them, as a host would send them.

use tfplugin::{Number, Refinement, Type, Value};

use crate::random::Random;

const WORDS: [&str; 8] = ["", "a", "id", "name", "سلام", "with space", "\"quoted\\\"", "onprem:ae-du:dubai-1/retail/"];
const NUMBERS: [&str; 10] = [
    "0",
    "-1",
    "127",
    "0.1",
    "-2.5",
    "9007199254740993",
    "18446744073709551615",
    "-9223372036854775808",
    "123456789012345678901234567890.123456789",
    "1e400",
];

impl Random {
    pub fn kind(&mut self, depth: usize) -> Type {
        if depth == 0 {
            return self.pick(&[Type::Bool, Type::Number, Type::String, Type::Dynamic]).clone();
        }
        let inner = |random: &mut Self| Box::new(random.kind(depth - 1));
        match self.below(9) {
            0 => Type::List(inner(self)),
            1 => Type::Set(inner(self)),
            2 => Type::Map(inner(self)),
            3 => Type::Tuple((0..self.below(4)).map(|_| self.kind(depth - 1)).collect()),
            4 | 5 => {
                let names = ["a", "b", "c", "d"];
                let count = self.below(names.len() + 1);
                Type::Object(names.iter().take(count).map(|name| ((*name).into(), self.kind(depth - 1))).collect())
            }
            _ => self.kind(0),
        }
    }

    pub fn value(&mut self, kind: &Type, depth: usize) -> Value {
        match self.below(12) {
            0 => return Value::Null,
            1 => return Value::Unknown(self.refinement()),
            _ => {}
        }
        let several = |random: &mut Self, kind: &Type| -> Vec<Value> {
            (0..random.below(4)).map(|_| random.value(kind, depth)).collect()
        };
        match kind {
            Type::Bool => Value::Bool(self.one_in(2)),
            Type::Number => self.number().map_or(Value::Null, Value::Number),
            Type::String => Value::from(*self.pick(&WORDS)),
            Type::List(element) => Value::List(several(self, element)),
            Type::Set(element) => Value::Set(several(self, element)),
            Type::Map(element) => {
                (0..self.below(4)).map(|_| (*self.pick(&WORDS), self.value(element, depth))).collect()
            }
            Type::Tuple(kinds) => Value::List(kinds.iter().map(|kind| self.value(kind, depth)).collect()),
            Type::Object(attributes) => {
                attributes.iter().map(|(name, kind)| (name.as_str(), self.value(kind, depth))).collect()
            }
            Type::Dynamic if depth == 0 => Value::Null,
            Type::Dynamic => {
                let kind = self.kind(depth - 1);
                let value = self.value(&kind, depth - 1);
                Value::Dynamic(Box::new((kind, value)))
            }
        }
    }

    fn number(&mut self) -> Option<Number> {
        match self.below(4) {
            0 => Some(Number::from(self.next())),
            1 => Number::from_exact(f64::from_bits(self.next())),
            _ => Number::parse(self.pick::<&str>(&NUMBERS)),
        }
    }

    fn refinement(&mut self) -> Refinement {
        let known = if self.one_in(2) { Refinement::not_null() } else { Refinement::none() };
        let small = u32::from(self.byte());
        match self.below(5) {
            0 => known.with_prefix(*self.pick(&WORDS)),
            1 => known.with_min(small, self.one_in(2)).with_max(small + 9, self.one_in(2)),
            2 => known.with_length(Some(small.into()), (self.one_in(2)).then_some(u64::MAX)),
            _ => known,
        }
    }

    /// Some bytes changed, removed, doubled or put in: lengths and markers of
    /// MessagePack, the punctuation of JSON, and anything else.
    pub fn mutate(&mut self, bytes: &mut Vec<u8>) {
        const MARKERS: [u8; 16] =
            [0xc0, 0xc1, 0xc4, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcf, 0xd3, 0xd4, 0xdb, 0xdd, 0xdf, 0x80, 0x9f];
        for _ in 0..=self.below(4) {
            let position = self.below(bytes.len() + 1);
            let byte = match self.below(4) {
                0 => *self.pick(&MARKERS),
                1 => *self.pick(b"{}[]\",:\\0e-.ntf"),
                _ => self.byte(),
            };
            match self.below(8) {
                0 | 1 => bytes.insert(position, byte),
                2 if position < bytes.len() => drop(bytes.remove(position)),
                3 => bytes.truncate(position),
                4 => {
                    let end = (position + self.below(32)).min(bytes.len());
                    let part = bytes[position..end].to_vec();
                    let place = self.below(bytes.len() + 1);
                    bytes.splice(place..place, part);
                }
                5 => {
                    let huge: [u8; 4] = if self.one_in(2) {
                        [0xff; 4]
                    } else {
                        self.next().to_le_bytes()[..4].try_into().expect("four")
                    };
                    bytes.splice(position..position, huge);
                }
                _ => {
                    if let Some(old) = bytes.get_mut(position) {
                        *old = byte;
                    }
                }
            }
        }
    }

    /// Bytes of no meaning.
    pub fn noise(&mut self) -> Vec<u8> {
        (0..self.below(64)).map(|_| self.byte()).collect()
    }
}
