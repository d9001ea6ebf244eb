//! MessagePack in and out, as the protocol's object wire format defines it.

use std::collections::BTreeMap;

use rmp::Marker;
use rmp::decode::{self, RmpRead};
use rmp::encode;

use super::number::Repr;
use super::refinement::Bounds;
use super::{DecodeError, Number, Refinement, Type, Value, excerpt};
use crate::path::Step;

/// How deeply a value may nest; a deeper one is refused.
const MAX_DEPTH: usize = 64;
/// For how many elements memory is set aside before they are read. More would add
/// up where collections that are cut off nest.
const RESERVED: usize = 32;
/// An unknown value of which nothing is known.
const UNKNOWN: i8 = 0;
/// An unknown value with refinements.
const REFINED: i8 = 12;

// Keys of the refinement map.
const NULLNESS: u64 = 1;
const PREFIX: u64 = 2;
const MIN: u64 = 3;
const MAX: u64 = 4;
const MIN_LENGTH: u64 = 5;
const MAX_LENGTH: u64 = 6;

impl Value {
    /// Reads MessagePack as a value of the type. Attributes of an object that
    /// the type does not have are an error; those that are absent are null.
    pub fn from_msgpack(bytes: &[u8], kind: &Type) -> Result<Self, DecodeError> {
        let mut reader = Reader { rest: bytes, of_sender: false };
        let value = reader.value(kind, 0)?;
        if !reader.rest.is_empty() {
            return Err(DecodeError::new("bytes follow the value"));
        }
        Ok(value)
    }

    /// The MessagePack form, in the most compact encodings.
    pub fn to_msgpack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        write(&mut out, self);
        out
    }
}

struct Reader<'b> {
    rest: &'b [u8],
    /// Whether the type is one that came with the value.
    of_sender: bool,
}

type Read<T> = Result<T, DecodeError>;

impl<'b> Reader<'b> {
    fn value(&mut self, kind: &Type, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return Err(DecodeError::new(format!("nests deeper than {MAX_DEPTH} levels")));
        }
        let marker = self.peek()?;
        if marker == Marker::Null {
            self.skip_marker()?;
            return Ok(Value::Null);
        }
        if is_extension(marker) {
            return self.unknown().map(Value::Unknown);
        }
        match kind {
            Type::Bool => decode::read_bool(&mut self.rest).map(Value::Bool).map_err(|_| wrong(kind)),
            Type::Number => self.number().map(Value::Number),
            Type::String => self.string().map(|text| Value::String(text.to_owned())),
            Type::List(element) => self.elements(depth, |_| Some(element)).map(Value::List),
            Type::Set(element) => self.elements(depth, |_| Some(element)).map(Value::Set),
            Type::Tuple(kinds) => {
                let elements = self.elements(depth, |index| kinds.get(index))?;
                if elements.len() != kinds.len() {
                    return Err(wrong(kind));
                }
                Ok(Value::List(elements))
            }
            Type::Map(element) => self.map(element, depth),
            Type::Object(attributes) => self.object(attributes, depth),
            Type::Dynamic => self.dynamic(depth),
        }
    }

    fn map(&mut self, element: &Type, depth: usize) -> Read<Value> {
        let mut entries = BTreeMap::new();
        for _ in 0..self.map_len()? {
            let key = self.string()?.to_owned();
            let value = self.value(element, depth + 1).map_err(|error| error.within(Step::Key(key.clone())))?;
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }

    fn object(&mut self, attributes: &[(String, Type)], depth: usize) -> Read<Value> {
        let length = self.map_len()?;
        // Absent attributes of a type that came with the value would cost memory
        // that the sender has not paid for: few bytes could stand for millions.
        if self.of_sender && length != attributes.len() {
            return Err(DecodeError::new(format!("an object of {} attributes was expected", attributes.len())));
        }
        let mut entries = Vec::with_capacity(length.min(attributes.len()).min(RESERVED));
        let mut lookup = Lookup::of(attributes);
        for _ in 0..length {
            let name = self.string()?;
            let Some((name, kind)) = lookup.find(name) else {
                return Err(DecodeError::new(format!("no attribute is named `{}`", excerpt(name))));
            };
            if entries.len() == attributes.len() {
                return Err(DecodeError::new("an object has an attribute twice"));
            }
            let value =
                self.value(kind, depth + 1).map_err(|error| error.within(Step::Attribute(name.clone().into())))?;
            entries.push((name.clone(), value));
        }
        let mut entries = BTreeMap::from_iter(entries);
        if entries.len() < attributes.len() {
            for (name, _) in attributes {
                if !entries.contains_key(name) {
                    entries.insert(name.clone(), Value::Null);
                }
            }
        }
        Ok(Value::Map(entries))
    }

    fn dynamic(&mut self, depth: usize) -> Read<Value> {
        let broken = |what: &str| DecodeError::new(format!("a dynamic value {what}"));
        if self.array_len()? != 2 {
            return Err(broken("has two parts"));
        }
        let length = match self.peek()? {
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => decode::read_bin_len(&mut self.rest),
            _ => decode::read_str_len(&mut self.rest),
        };
        let length = length.map_err(|_| broken("begins with its type"))?;
        let kind = Type::from_json(self.take(length)?).map_err(|error| broken(&error.to_string()))?;
        let outer = std::mem::replace(&mut self.of_sender, true);
        let value = self.value(&kind, depth + 1)?;
        self.of_sender = outer;
        Ok(Value::Dynamic(Box::new((kind, value))))
    }

    fn elements<'t>(&mut self, depth: usize, kind: impl Fn(usize) -> Option<&'t Type>) -> Read<Vec<Value>> {
        let length = self.array_len()?;
        // What the header claims may not be there.
        let mut elements = Vec::with_capacity(length.min(self.rest.len()).min(RESERVED));
        for index in 0..length {
            let Some(kind) = kind(index) else {
                return Err(DecodeError::new("has more elements than its type"));
            };
            let element = self.value(kind, depth + 1);
            elements.push(element.map_err(|error| error.at_index(index))?);
        }
        Ok(elements)
    }

    fn number(&mut self) -> Read<Number> {
        let wrong = || wrong(&Type::Number);
        match self.peek()? {
            Marker::F32 => {
                let float = decode::read_f32(&mut self.rest).map_err(|_| wrong())?;
                Number::from_exact(float.into()).ok_or_else(wrong)
            }
            Marker::F64 => {
                let float = decode::read_f64(&mut self.rest).map_err(|_| wrong())?;
                Number::from_exact(float).ok_or_else(wrong)
            }
            Marker::U64 => Ok(decode::read_u64(&mut self.rest).map_err(|_| wrong())?.into()),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Number::parse(self.string()?).ok_or_else(wrong)
            }
            _ => decode::read_int::<i64, _>(&mut self.rest).map(Number::from).map_err(|_| wrong()),
        }
    }

    fn unknown(&mut self) -> Read<Refinement> {
        let meta =
            decode::read_ext_meta(&mut self.rest).map_err(|_| DecodeError::new("an unknown value is cut off"))?;
        let payload = self.take(meta.size)?;
        if meta.typeid != REFINED {
            return Ok(Refinement::none());
        }
        Reader { rest: payload, of_sender: self.of_sender }.refinement()
    }

    fn refinement(&mut self) -> Read<Refinement> {
        let broken = || DecodeError::new("a refinement of an unknown value is malformed");
        let mut bounds = Bounds::default();
        for _ in 0..self.map_len()? {
            let key: u64 = decode::read_int(&mut self.rest).map_err(|_| broken())?;
            match key {
                NULLNESS => bounds.null = Some(decode::read_bool(&mut self.rest).map_err(|_| broken())?),
                PREFIX => bounds.prefix = Some(self.string()?.to_owned()),
                MIN => bounds.min = Some(self.bound()?),
                MAX => bounds.max = Some(self.bound()?),
                MIN_LENGTH => bounds.min_length = Some(self.bound_of_length()?),
                MAX_LENGTH => bounds.max_length = Some(self.bound_of_length()?),
                // A refinement of a later protocol: what follows cannot be
                // skipped without knowing it, and ignoring it is always safe.
                _ => break,
            }
        }
        Ok(Refinement::none().edit(|known| *known = bounds))
    }

    fn bound(&mut self) -> Read<(Number, bool)> {
        let broken = || DecodeError::new("a bound of an unknown number is malformed");
        if self.array_len()? != 2 {
            return Err(broken());
        }
        let number = self.number()?;
        let inclusive = decode::read_bool(&mut self.rest).map_err(|_| broken())?;
        Ok((number, inclusive))
    }

    /// A host counts in 64 bits with a sign.
    fn bound_of_length(&mut self) -> Read<u64> {
        let length = decode::read_int::<i64, _>(&mut self.rest).ok().and_then(|length| u64::try_from(length).ok());
        length.ok_or_else(|| DecodeError::new("a bound of an unknown collection's length is malformed"))
    }

    fn string(&mut self) -> Read<&'b str> {
        let length = decode::read_str_len(&mut self.rest).map_err(|_| wrong(&Type::String))?;
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError::new("a string is not UTF-8"))
    }

    fn array_len(&mut self) -> Read<usize> {
        decode::read_array_len(&mut self.rest)
            .ok()
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| DecodeError::new("a list or set was expected"))
    }

    fn map_len(&mut self) -> Read<usize> {
        decode::read_map_len(&mut self.rest)
            .ok()
            .and_then(|length| usize::try_from(length).ok())
            .ok_or_else(|| DecodeError::new("a map or object was expected"))
    }

    fn peek(&self) -> Read<Marker> {
        self.rest.first().map(|byte| Marker::from_u8(*byte)).ok_or_else(cut_off)
    }

    fn skip_marker(&mut self) -> Read<()> {
        self.rest.read_u8().map(drop).map_err(|_| cut_off())
    }

    fn take(&mut self, length: u32) -> Read<&'b [u8]> {
        let split = usize::try_from(length).ok().and_then(|length| self.rest.split_at_checked(length));
        let (taken, rest) = split.ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }
}

/// The attributes of an object type by name. Hosts write them sorted, so the next
/// one is mostly the one after the last.
struct Lookup<'t> {
    attributes: &'t [(String, Type)],
    next: usize,
    /// Made when an object is wide and not in order.
    by_name: Option<std::collections::HashMap<&'t str, &'t (String, Type)>>,
}

impl<'t> Lookup<'t> {
    /// Up to how many attributes a search through all of them is the fastest.
    const NARROW: usize = 32;

    fn of(attributes: &'t [(String, Type)]) -> Self {
        Self { attributes, next: 0, by_name: None }
    }

    fn find(&mut self, name: &str) -> Option<&'t (String, Type)> {
        if let Some(attribute) = self.attributes.get(self.next)
            && attribute.0 == name
        {
            self.next += 1;
            return Some(attribute);
        }
        if self.attributes.len() <= Self::NARROW {
            return self.attributes.iter().find(|(known, _)| known == name);
        }
        let attributes = self.attributes;
        let index = || attributes.iter().map(|attribute| (attribute.0.as_str(), attribute)).collect();
        self.by_name.get_or_insert_with(index).get(name).copied()
    }
}

fn is_extension(marker: Marker) -> bool {
    matches!(
        marker,
        Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32
    )
}

fn wrong(kind: &Type) -> DecodeError {
    DecodeError::new(format!("{} was expected", kind.name()))
}

fn cut_off() -> DecodeError {
    DecodeError::new("the value is cut off")
}

/// Lengths beyond `u32` cannot be written in MessagePack; no message that
/// carries one would fit the protocol's size limit either.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Writing to a `Vec` cannot fail, so the results of the encoder are dropped.
fn write(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => drop(encode::write_nil(out)),
        Value::Unknown(refinement) => write_unknown(out, refinement),
        Value::Bool(bool) => drop(encode::write_bool(out, *bool)),
        Value::Number(number) => write_number(out, number),
        Value::String(text) => drop(encode::write_str(out, text)),
        Value::List(elements) | Value::Set(elements) => {
            drop(encode::write_array_len(out, length(elements.len())));
            elements.iter().for_each(|element| write(out, element));
        }
        Value::Map(entries) => {
            drop(encode::write_map_len(out, length(entries.len())));
            for (key, value) in entries {
                drop(encode::write_str(out, key));
                write(out, value);
            }
        }
        Value::Dynamic(typed) => {
            drop(encode::write_array_len(out, 2));
            drop(encode::write_bin(out, typed.0.to_json().to_string().as_bytes()));
            write(out, &typed.1);
        }
    }
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    match number.repr() {
        Repr::Int(int) => drop(encode::write_sint(out, *int)),
        // A host rounds a large integer that comes as a double to the digits that
        // tell it from other doubles, and then it is another number.
        Repr::Float(float) if float.fract() == 0.0 => drop(encode::write_str(out, &number.to_string())),
        Repr::Float(float) => drop(encode::write_f64(out, *float)),
        Repr::Decimal(digits) => drop(encode::write_str(out, digits)),
    }
}

fn write_unknown(out: &mut Vec<u8>, refinement: &Refinement) {
    let Some(bounds) = refinement.bounds() else {
        drop(encode::write_ext_meta(out, 1, UNKNOWN));
        out.push(0);
        return;
    };
    let payload = refinement_payload(bounds);
    drop(encode::write_ext_meta(out, length(payload.len()), REFINED));
    out.extend_from_slice(&payload);
}

fn refinement_payload(bounds: &Bounds) -> Vec<u8> {
    let mut entries: Vec<(u64, Value)> = Vec::new();
    let bound = |bound: &(Number, bool)| Value::List(vec![Value::Number(bound.0.clone()), Value::Bool(bound.1)]);
    entries.extend(bounds.null.map(|null| (NULLNESS, Value::Bool(null))));
    entries.extend(bounds.prefix.clone().map(|prefix| (PREFIX, Value::String(prefix))));
    entries.extend(bounds.min.as_ref().map(|min| (MIN, bound(min))));
    entries.extend(bounds.max.as_ref().map(|max| (MAX, bound(max))));
    // A host's lengths have a sign: beyond theirs, an upper bound says nothing.
    let min = bounds.min_length.map(|min| i64::try_from(min).unwrap_or(i64::MAX));
    let max = bounds.max_length.and_then(|max| i64::try_from(max).ok());
    entries.extend(min.map(|min| (MIN_LENGTH, Value::Number(min.into()))));
    entries.extend(max.map(|max| (MAX_LENGTH, Value::Number(max.into()))));
    let mut payload = Vec::new();
    drop(encode::write_map_len(&mut payload, length(entries.len())));
    for (key, value) in entries {
        drop(encode::write_uint(&mut payload, key));
        write(&mut payload, &value);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: &Value, kind: &Type) -> Value {
        Value::from_msgpack(&value.to_msgpack(), kind).unwrap_or_else(|error| panic!("{value:?}: {error}"))
    }

    #[test]
    fn every_kind_of_value_survives_the_wire() {
        let number = |digits: &str| Number::parse(digits).map_or(Value::Null, Value::Number);
        let cases = [
            (Value::Null, Type::String),
            (Value::unknown(), Type::Number),
            (Value::from(true), Type::Bool),
            (Value::from(-40), Type::Number),
            (number("0.1"), Type::Number),
            (number("0.125"), Type::Number),
            (number("9007199254740993"), Type::Number),
            (number("18446744073709551615"), Type::Number),
            (Value::from("سلام"), Type::String),
            (Value::Set(vec![Value::from("a"), Value::Null]), Type::Set(Box::new(Type::String))),
            (Value::from_iter([("k", 1)]), Type::Map(Box::new(Type::Number))),
            (
                Value::Dynamic(Box::new((
                    Type::Tuple(vec![Type::Bool, Type::String]),
                    Value::List(vec![Value::from(false), Value::unknown()]),
                ))),
                Type::Dynamic,
            ),
        ];
        for (value, kind) in cases {
            assert_eq!(round_trip(&value, &kind), value);
        }
    }

    #[test]
    fn refinements_survive_the_wire_both_ways() {
        let prefix = Value::Unknown(Refinement::not_null().with_prefix("onprem:ae-du/"));
        assert_eq!(round_trip(&prefix, &Type::String), prefix);
        let range = Value::Unknown(Refinement::none().with_min(3, true).with_max(9, false));
        assert_eq!(round_trip(&range, &Type::Number), range);
        let length = Value::Unknown(Refinement::not_null().with_length(Some(1), Some(4)));
        assert_eq!(round_trip(&length, &Type::List(Box::new(Type::Bool))), length);
    }

    #[test]
    fn a_length_that_no_host_can_count_to_is_never_written_and_not_read() {
        let kind = Type::List(Box::new(Type::Bool));
        let length = |min, max| Value::Unknown(Refinement::not_null().with_length(min, max));
        let most = i64::MAX.unsigned_abs();
        assert_eq!(round_trip(&length(Some(1), Some(most)), &kind), length(Some(1), Some(most)));
        assert_eq!(round_trip(&length(Some(u64::MAX), Some(u64::MAX)), &kind), length(Some(most), None));
        for bound in [&[0xcf, 0xff, 0, 0, 0, 0, 0, 0, 0][..], &[0xff], &[0xa1, b'1']] {
            let payload = [&[0x81, 0x05], bound].concat();
            let bytes = [&[0xc7, payload.len().to_le_bytes()[0], 12], &payload[..]].concat();
            let error = Value::from_msgpack(&bytes, &kind).map_err(|error| error.to_string());
            assert!(error.as_ref().is_err_and(|error| error.contains("length is malformed")), "{error:?}");
        }
    }

    #[test]
    fn an_integer_beyond_64_bits_is_written_in_digits() {
        let digits = "18446744073709551616";
        let value = Number::parse(digits).map_or(Value::Null, Value::Number);
        assert_eq!(value.to_msgpack(), [&[0xa0 | 20], digits.as_bytes()].concat());
    }

    #[test]
    fn an_unrefined_unknown_uses_extension_zero() {
        assert_eq!(Value::unknown().to_msgpack(), [0xd4, 0, 0]);
        assert_eq!(Value::Unknown(Refinement::none().with_length(None, None)).to_msgpack(), [0xd4, 0, 0]);
    }

    #[test]
    fn any_other_extension_is_an_unknown() {
        let value = Value::from_msgpack(&[0xd5, 77, 1, 2], &Type::Bool);
        assert_eq!(value.ok(), Some(Value::unknown()));
    }

    #[test]
    fn absent_attributes_are_null_and_strange_ones_an_error() {
        let kind = Type::Object(vec![("a".into(), Type::Bool)]);
        assert_eq!(Value::from_msgpack(&[0x80], &kind).ok(), Some(Value::from_iter([("a", Value::Null)])));
        let error = Value::from_msgpack(&[0x81, 0xa1, b'b', 0xc0], &kind).map_err(|error| error.to_string());
        assert_eq!(error, Err("at ``: no attribute is named `b`".into()));
    }

    #[test]
    fn hostile_bytes_are_refused_without_much_memory() {
        let list = Type::List(Box::new(Type::String));
        let huge_array = [0xdd, 0xff, 0xff, 0xff, 0xff];
        let huge_string = [0xdb, 0xff, 0xff, 0xff, 0xff, b'x'];
        let huge_ext = [0xc9, 0xff, 0xff, 0xff, 0xff, 12];
        for bytes in [&huge_array[..], &huge_string, &huge_ext, &[], &[0xc1], &[0xc0, 0xc0]] {
            assert!(Value::from_msgpack(bytes, &list).is_err(), "{bytes:x?}");
        }
        let mut deep = Vec::new();
        for _ in 0..100_000 {
            deep.extend([0x92, 0xc4, 9]);
            deep.extend(b"\"dynamic\"");
        }
        assert!(Value::from_msgpack(&deep, &Type::Dynamic).is_err());
    }

    #[test]
    fn no_mutation_of_a_message_does_harm() {
        let kind = Type::Object(vec![
            ("a".into(), Type::Map(Box::new(Type::Number))),
            ("b".into(), Type::Dynamic),
            ("c".into(), Type::Set(Box::new(Type::String))),
        ]);
        let dynamic = Value::Dynamic(Box::new((Type::List(Box::new(Type::Bool)), Value::List(vec![true.into()]))));
        let unknown = Value::Unknown(Refinement::not_null().with_prefix("p").with_length(Some(1), None));
        let value = Value::from_iter([
            ("a", Value::from_iter([("x", Value::from(0.1)), ("y", Value::from(1_i64 << 40))])),
            ("b", dynamic),
            ("c", Value::Set(vec!["s".into(), unknown])),
        ]);
        let bytes = value.to_msgpack();
        // xorshift64 with a fixed seed: the same mutations in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % u64::try_from(below).unwrap_or(1)).unwrap_or(0)
        };
        let mut read = 0;
        for _ in 0..50_000 {
            let mut mutated = bytes.clone();
            for _ in 0..=random(3) {
                let position = random(mutated.len());
                match random(3) {
                    0 => mutated[position] = u8::try_from(random(256)).unwrap_or(0),
                    1 => drop(mutated.remove(position)),
                    _ => mutated.insert(position, u8::try_from(random(256)).unwrap_or(0)),
                }
            }
            if let Ok(value) = Value::from_msgpack(&mutated, &kind) {
                read += 1;
                assert_eq!(round_trip(&value, &kind), value);
            }
        }
        assert!(read > 1000, "some mutations are values too: {read}");
    }
}
