//! The values of one tensor, from JSON or binary, as what the model takes.
//!
//! A value passes two checks: it has to be one of the datatype the request
//! declares, and it has to be exactly representable in the datatype the model
//! takes. So a whole number may be sent as `INT64` to a model that takes `FP64`,
//! and 2^53 + 1 may not.

use std::fmt;

use falaj_engine::infer::Data;
use half::{bf16, f16};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Datatype;

/// Reads the `data` of a tensor: nested as the shape says, or flat.
///
/// # Errors
/// A sentence about the first value that does not fit.
pub fn from_json(json: &RawValue, shape: &[usize], wire: Datatype, target: Datatype) -> Result<Data, String> {
    // A value takes two bytes at least, so a claimed shape reserves no more than was sent.
    let capacity = count(shape)?.min(json.get().len() / 2 + 1);
    collect(target, wire, capacity, |sink| {
        let mut reader = serde_json::Deserializer::from_str(json.get());
        let seed = Nested { sink, shape, depth: 0 };
        seed.deserialize(&mut reader).map_err(|e| without_position(&e))?;
        Ok(())
    })
}

/// Reads a tensor of the binary tensor data extension.
///
/// # Errors
/// A sentence about what does not fit.
pub fn from_binary(bytes: &[u8], shape: &[usize], wire: Datatype, target: Datatype) -> Result<Data, String> {
    let count = count(shape)?;
    if let Some(size) = wire.size()
        && count.checked_mul(size) != Some(bytes.len())
    {
        let name = wire.name();
        return Err(format!(
            "the shape {shape:?} of {name} takes {count} x {size} bytes, but binary_data_size is {}",
            bytes.len()
        ));
    }
    collect(target, wire, count.min(bytes.len()), |sink| match wire {
        Datatype::Bool => bytes.iter().try_for_each(|b| sink.truth(*b != 0)),
        Datatype::Uint8 => bytes.iter().try_for_each(|b| sink.whole((*b).into())),
        Datatype::Int8 => bytes.iter().try_for_each(|b| sink.whole(b.cast_signed().into())),
        Datatype::Uint16 => each(bytes, |b| sink.whole(u16::from_le_bytes(b).into())),
        Datatype::Int16 => each(bytes, |b| sink.whole(i16::from_le_bytes(b).into())),
        Datatype::Uint32 => each(bytes, |b| sink.whole(u32::from_le_bytes(b).into())),
        Datatype::Int32 => each(bytes, |b| sink.whole(i32::from_le_bytes(b).into())),
        Datatype::Uint64 => each(bytes, |b| sink.whole(u64::from_le_bytes(b).into())),
        Datatype::Int64 => each(bytes, |b| sink.whole(i64::from_le_bytes(b).into())),
        Datatype::Fp16 => each(bytes, |b| sink.real(f16::from_le_bytes(b).into())),
        Datatype::Bf16 => each(bytes, |b| sink.real(bf16::from_le_bytes(b).into())),
        Datatype::Fp32 => each(bytes, |b| sink.real(f32::from_le_bytes(b).into())),
        Datatype::Fp64 => each(bytes, |b| sink.real(f64::from_le_bytes(b))),
        Datatype::Bytes => {
            let mut rest = bytes;
            for index in 0..count {
                let cut = || format!("element {index} is cut off: each is a u32 length, little-endian, then its bytes");
                let (length, after) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|e| e.to_string())?;
                let (text, after) = after.split_at_checked(length).ok_or_else(cut)?;
                let text = std::str::from_utf8(text).map_err(|_| format!("element {index} is not UTF-8 text"))?;
                sink.text(text)?;
                rest = after;
            }
            if rest.is_empty() { Ok(()) } else { Err(format!("{} bytes stand after the last element", rest.len())) }
        }
    })
}

/// How many values a tensor of this shape has.
fn count(shape: &[usize]) -> Result<usize, String> {
    let count = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    count.ok_or_else(|| format!("the shape {shape:?} is too large"))
}

fn each<const N: usize>(bytes: &[u8], push: impl FnMut([u8; N]) -> Result<(), String>) -> Result<(), String> {
    bytes.as_chunks::<N>().0.iter().copied().try_for_each(push)
}

/// Fills the vector that the target datatype needs.
fn collect(
    target: Datatype,
    wire: Datatype,
    capacity: usize,
    fill: impl FnOnce(&mut dyn Sink) -> Result<(), String>,
) -> Result<Data, String> {
    fn run<T: Element>(
        wire: Datatype,
        target: Datatype,
        capacity: usize,
        fill: impl FnOnce(&mut dyn Sink) -> Result<(), String>,
    ) -> Result<Vec<T>, String> {
        let mut sink = Values { wire, target, values: Vec::with_capacity(capacity) };
        fill(&mut sink)?;
        Ok(sink.values)
    }
    Ok(match target {
        Datatype::Fp64 => Data::F64(run(wire, target, capacity, fill)?),
        Datatype::Fp32 => Data::F32(run(wire, target, capacity, fill)?),
        Datatype::Int64 => Data::I64(run(wire, target, capacity, fill)?),
        Datatype::Int32 => Data::I32(run(wire, target, capacity, fill)?),
        Datatype::Bool => Data::Bool(run(wire, target, capacity, fill)?),
        Datatype::Bytes => Data::Text(run(wire, target, capacity, fill)?),
        other => return Err(format!("the model takes {}, which this server does not run", other.name())),
    })
}

/// Takes values one by one.
trait Sink {
    fn whole(&mut self, value: i128) -> Result<(), String>;
    fn real(&mut self, value: f64) -> Result<(), String>;
    fn truth(&mut self, value: bool) -> Result<(), String>;
    fn text(&mut self, value: &str) -> Result<(), String>;
    /// JSON's null: a missing value.
    fn missing(&mut self) -> Result<(), String>;
    fn len(&self) -> usize;
}

struct Values<T> {
    wire: Datatype,
    target: Datatype,
    values: Vec<T>,
}

impl<T: Element> Values<T> {
    fn push(&mut self, value: Option<T>, shown: &dyn fmt::Display) -> Result<(), String> {
        match value {
            Some(value) => {
                self.values.push(value);
                Ok(())
            }
            None => Err(format!(
                "element {} is {shown}, which {} of the model's input cannot hold exactly",
                self.values.len(),
                self.target.name()
            )),
        }
    }

    fn not_of_wire(&self, shown: &dyn fmt::Display) -> String {
        format!("element {} is {shown}, which is not {}", self.values.len(), self.wire.name())
    }
}

impl<T: Element> Sink for Values<T> {
    fn whole(&mut self, value: i128) -> Result<(), String> {
        let range = match self.wire {
            Datatype::Uint8 => 0..=u8::MAX.into(),
            Datatype::Uint16 => 0..=u16::MAX.into(),
            Datatype::Uint32 => 0..=u32::MAX.into(),
            Datatype::Uint64 => 0..=u64::MAX.into(),
            Datatype::Int8 => i8::MIN.into()..=i8::MAX.into(),
            Datatype::Int16 => i16::MIN.into()..=i16::MAX.into(),
            Datatype::Int32 => i32::MIN.into()..=i32::MAX.into(),
            Datatype::Int64 => i64::MIN.into()..=i64::MAX.into(),
            Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => return self.real(value as f64),
            Datatype::Bool if value == 0 || value == 1 => return self.truth(value == 1),
            Datatype::Bool | Datatype::Bytes => return Err(self.not_of_wire(&value)),
        };
        if !range.contains(&value) {
            return Err(self.not_of_wire(&value));
        }
        self.push(T::from_whole(value), &value)
    }

    fn real(&mut self, value: f64) -> Result<(), String> {
        let rounded = match self.wire {
            Datatype::Fp64 => value,
            Datatype::Fp32 => f64::from(value as f32),
            Datatype::Fp16 => f64::from(f16::from_f64(value)),
            Datatype::Bf16 => f64::from(bf16::from_f64(value)),
            _ => return Err(self.not_of_wire(&value)),
        };
        if value.is_finite() && !rounded.is_finite() {
            return Err(self.not_of_wire(&value));
        }
        self.push(T::from_real(rounded), &value)
    }

    fn truth(&mut self, value: bool) -> Result<(), String> {
        if self.wire != Datatype::Bool {
            return Err(self.not_of_wire(&value));
        }
        self.push(T::from_truth(value), &value)
    }

    fn text(&mut self, value: &str) -> Result<(), String> {
        if self.wire != Datatype::Bytes {
            return Err(self.not_of_wire(&"a string"));
        }
        self.push(T::from_text(value), &"a string")
    }

    fn missing(&mut self) -> Result<(), String> {
        self.push(T::missing(), &"null")
    }

    fn len(&self) -> usize {
        self.values.len()
    }
}

/// An element type that models take. Each conversion is exact or `None`.
trait Element: Sized {
    fn from_whole(_: i128) -> Option<Self> {
        None
    }
    fn from_real(_: f64) -> Option<Self> {
        None
    }
    fn from_truth(_: bool) -> Option<Self> {
        None
    }
    fn from_text(_: &str) -> Option<Self> {
        None
    }
    fn missing() -> Option<Self> {
        None
    }
}

/// The whole number of the same value, up to 2^63.
fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() <= 9.3e18).then_some(value as i128)
}

impl Element for f64 {
    fn from_whole(value: i128) -> Option<Self> {
        Some(value as f64).filter(|near| *near as i128 == value)
    }
    fn from_real(value: f64) -> Option<Self> {
        Some(value)
    }
    fn from_truth(value: bool) -> Option<Self> {
        Some(u8::from(value).into())
    }
    fn missing() -> Option<Self> {
        Some(Self::NAN)
    }
}

impl Element for f32 {
    fn from_whole(value: i128) -> Option<Self> {
        Some(value as f32).filter(|near| *near as i128 == value)
    }
    fn from_real(value: f64) -> Option<Self> {
        Some(value as f32).filter(|near| f64::from(*near) == value || value.is_nan())
    }
    fn from_truth(value: bool) -> Option<Self> {
        Some(u8::from(value).into())
    }
    fn missing() -> Option<Self> {
        Some(Self::NAN)
    }
}

impl Element for i64 {
    fn from_whole(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
    fn from_real(value: f64) -> Option<Self> {
        whole(value)?.try_into().ok()
    }
    fn from_truth(value: bool) -> Option<Self> {
        Some(value.into())
    }
}

impl Element for i32 {
    fn from_whole(value: i128) -> Option<Self> {
        value.try_into().ok()
    }
    fn from_real(value: f64) -> Option<Self> {
        whole(value)?.try_into().ok()
    }
    fn from_truth(value: bool) -> Option<Self> {
        Some(value.into())
    }
}

impl Element for bool {
    fn from_whole(value: i128) -> Option<Self> {
        (value == 0 || value == 1).then_some(value == 1)
    }
    fn from_real(value: f64) -> Option<Self> {
        Self::from_whole(whole(value)?)
    }
    fn from_truth(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Element for String {
    fn from_text(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
    fn missing() -> Option<Self> {
        Some(Self::new())
    }
}

/// An array at some depth of the nesting, or a value inside one.
struct Nested<'a> {
    sink: &'a mut dyn Sink,
    shape: &'a [usize],
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    /// Whether it was an array.
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.depth == 0 { "an array of values" } else { "a value" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        use serde::de::Error;

        let Self { sink, shape, depth } = self;
        let too_deep = || A::Error::custom(format!("the values are nested deeper than the shape {shape:?}"));
        let size = *shape.get(depth).ok_or_else(too_deep)?;
        let before = sink.len();
        let (mut length, mut arrays) = (0, 0);
        while let Some(is_array) = items.next_element_seed(Nested { sink: &mut *sink, shape, depth: depth + 1 })? {
            length += 1;
            arrays += usize::from(is_array);
        }
        let flat = depth == 0 && arrays == 0;
        let fits = if flat {
            shape.iter().product::<usize>() == sink.len() - before
        } else {
            length == size && (arrays == length) == (depth + 1 < shape.len())
        };
        if fits {
            return Ok(true);
        }
        Err(A::Error::custom(format!(
            "the shape is {shape:?}, but the data has {} values{}",
            sink.len() - before,
            if flat { "" } else { ", nested otherwise" }
        )))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<bool, E> {
        inside(self.depth, || self.sink.whole(value.into()))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<bool, E> {
        inside(self.depth, || self.sink.whole(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<bool, E> {
        inside(self.depth, || self.sink.real(value))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<bool, E> {
        inside(self.depth, || self.sink.truth(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<bool, E> {
        inside(self.depth, || self.sink.text(value))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<bool, E> {
        inside(self.depth, || self.sink.missing())
    }
}

fn inside<E: serde::de::Error>(depth: usize, push: impl FnOnce() -> Result<(), String>) -> Result<bool, E> {
    if depth == 0 {
        return Err(E::custom("data has to be an array"));
    }
    push().map_err(E::custom)?;
    Ok(false)
}

/// The message alone: line and column are those of the fragment, not of the body.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}
