//! The decoders by themselves: MessagePack, JSON, types, numbers and durations.

use tfplugin::{Number, Span, Type, Value};

use crate::harness::{Reading, Target};
use crate::memory::peak_of;
use crate::random::Random;

const DEPTH: usize = 4;
/// What one byte may turn into: the value that it stands for, its place in a
/// collection that grows by doubling, and the collection it is copied from.
const PER_BYTE: usize = 256;
const AT_LEAST: usize = 16 << 10;

pub const MSGPACK: Target = Target {
    name: "msgpack",
    make: |random| typed(random, |_, value| value.to_msgpack()),
    read: |input| read_typed(input, Value::from_msgpack),
    bytes_per_byte: PER_BYTE,
    bytes_at_least: AT_LEAST,
};

pub const JSON: Target = Target {
    name: "json",
    make: |random| typed(random, |_, value| json_of(value).to_string().into_bytes()),
    read: |input| read_typed(input, Value::from_json),
    bytes_per_byte: PER_BYTE,
    bytes_at_least: AT_LEAST,
};

pub const TYPE: Target = Target {
    name: "type",
    make: |random| {
        let mut bytes = random.kind(DEPTH).to_json().to_string().into_bytes();
        mangle(random, &mut bytes);
        bytes
    },
    read: |input| {
        let (read, peak) = peak_of(|| Type::from_json(input).map_err(|error| error.to_string()));
        if let Ok(kind) = &read {
            let again = Type::from_json(kind.to_json().to_string().as_bytes());
            if again.as_ref().ok() != Some(kind) {
                return Err(format!("read as {kind:?}, and what is written of that as {again:?}"));
            }
        }
        Ok(Reading { accepted: read.is_ok(), peak })
    },
    bytes_per_byte: PER_BYTE,
    bytes_at_least: AT_LEAST,
};

pub const TEXT: Target = Target {
    name: "text",
    make: |random| {
        let digits = ["1", "-", "0.", "e", "+", "99999", "000", "308", "d", "ms", "h", "w", "18446744073709551616"];
        let mut bytes = (0..random.below(6)).map(|_| *random.pick(&digits)).collect::<String>().into_bytes();
        if random.one_in(4) {
            random.mutate(&mut bytes);
        }
        bytes
    },
    read: |input| {
        let text = String::from_utf8_lossy(input);
        let (number, peak) = peak_of(|| Number::parse(&text));
        if let Some(number) = &number {
            let again = Value::from_msgpack(&Value::Number(number.clone()).to_msgpack(), &Type::Number);
            if again.ok() != Some(Value::Number(number.clone())) {
                return Err(format!("`{text}` is the number {number}, and another one once it was on the wire"));
            }
        }
        let span = text.parse::<Span>();
        if let Ok(span) = &span
            && Span::from(span.duration()) != *span
        {
            return Err(format!("`{text}` is the duration {span}, and another one once it is written anew"));
        }
        Ok(Reading { accepted: number.is_some() || span.is_ok(), peak })
    },
    bytes_per_byte: PER_BYTE,
    bytes_at_least: AT_LEAST,
};

/// An input is a type as JSON, a line feed, and a value.
fn typed(random: &mut Random, write: fn(&Type, &Value) -> Vec<u8>) -> Vec<u8> {
    let kind = random.kind(DEPTH);
    let value = random.value(&kind, DEPTH);
    let mut bytes = write(&kind, &value);
    mangle(random, &mut bytes);
    let mut input = kind.to_json().to_string().into_bytes();
    input.push(b'\n');
    input.append(&mut bytes);
    input
}

fn mangle(random: &mut Random, bytes: &mut Vec<u8>) {
    match random.below(10) {
        0 => {}
        1 => *bytes = random.noise(),
        _ => random.mutate(bytes),
    }
}

/// JSON has no form for what is unknown; null stands for it.
fn json_of(value: &Value) -> serde_json::Value {
    value.clone().nulls_for_unknowns().to_json().unwrap_or_default()
}

fn read_typed<E: std::fmt::Display>(
    input: &[u8],
    decode: fn(&[u8], &Type) -> Result<Value, E>,
) -> Result<Reading, String> {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (kind, bytes) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let Ok(kind) = Type::from_json(kind) else {
        return Ok(Reading { accepted: false, peak: 0 });
    };
    // The message of an error counts: it is sent.
    let (read, peak) = peak_of(|| decode(bytes, &kind).map_err(|error| error.to_string()));
    if let Ok(value) = &read {
        let again = Value::from_msgpack(&value.to_msgpack(), &kind).map_err(|error| error.to_string());
        if again.as_ref() != Ok(value) {
            return Err(format!("read as {value:?}, and what is written of that as {again:?}"));
        }
        let dynamic = value.clone().into_dynamic();
        if Value::from_msgpack(&dynamic.to_msgpack(), &Type::Dynamic).ok().as_ref() != Some(&dynamic) {
            return Err(format!("{dynamic:?} is another value once it was on the wire"));
        }
    }
    Ok(Reading { accepted: read.is_ok(), peak })
}
