//! An inference request: JSON, and with the binary extension tensor bytes after it.

use std::borrow::Cow;

use falaj_api::model::TensorSpec;
use falaj_engine::infer::{Tensor, Tensors};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Datatype, Error, values};

/// Longest request id in bytes.
const MAX_ID: usize = 256;

/// One input of a model, ready to check requests against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputSpec {
    pub name: String,
    pub datatype: Datatype,
    /// -1: any length.
    pub shape: Vec<i64>,
}

impl InputSpec {
    /// The spec of a signature's input; `None` if its datatype is not one of the protocol's.
    pub fn new(spec: &TensorSpec) -> Option<Self> {
        let datatype = Datatype::from_name(&spec.datatype)?;
        Some(Self { name: spec.name.clone(), datatype, shape: spec.shape.clone() })
    }
}

/// A request as it stands in its body. Unknown members and parameters are
/// left alone.
#[derive(Debug, Deserialize)]
pub struct InferRequest<'a> {
    id: Option<String>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
    #[serde(borrow)]
    outputs: Option<Vec<Output<'a>>>,
    /// What follows the JSON.
    #[serde(skip)]
    binary: &'a [u8],
}

/// An output that the caller asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestedOutput<'a> {
    pub name: &'a str,
    pub binary: bool,
}

/// The parameters that mean something here, of a request, an input or an output.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    binary_data_output: Option<bool>,
    binary_data: Option<bool>,
    binary_data_size: Option<usize>,
    classification: Option<u64>,
    shared_memory_region: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<u64>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    parameters: Option<Parameters>,
}

impl<'a> InferRequest<'a> {
    /// Reads a body. `json_length` is the value of [`super::HEADER_LENGTH`], if
    /// the request has it.
    ///
    /// # Errors
    /// If the JSON is not a request, or the lengths do not add up.
    pub fn parse(body: &'a [u8], json_length: Option<&str>) -> Result<Self, Error> {
        let (json, binary) = match json_length {
            None => (body, &body[body.len()..]),
            Some(text) => {
                let split = text.parse().ok().and_then(|length| body.split_at_checked(length));
                split.ok_or_else(|| {
                    let length = body.len();
                    Error::bad_request(format!(
                        "Inference-Header-Content-Length is {text:?}, but it has to be the length of the JSON at the \
                         start of a body of {length} bytes"
                    ))
                })?
            }
        };
        let mut request: Self = serde_json::from_slice(json)
            .map_err(|e| Error::bad_request(format!("the body is not an inference request: {e}")))?;
        request.binary = binary;
        if let Some(id) = &request.id
            && (id.len() > MAX_ID || id.chars().any(char::is_control))
        {
            let problem = format!("the request's id has to be at most {MAX_ID} bytes without control characters");
            return Err(Error::bad_request(problem));
        }
        Ok(request)
    }

    /// The caller's id, if it gave one.
    pub fn take_id(&mut self) -> Option<String> {
        self.id.take().filter(|id| !id.is_empty())
    }

    /// Whether outputs are wanted as binary data where they do not say themselves.
    pub fn binary_by_default(&self) -> bool {
        self.parameters.as_ref().and_then(|p| p.binary_data_output).unwrap_or(false)
    }

    /// The outputs that the caller asks for; `None`: all of them.
    ///
    /// # Errors
    /// If one asks for the classification extension, which is not offered.
    pub fn outputs(&self) -> Result<Option<Vec<RequestedOutput<'_>>>, Error> {
        let by_default = self.binary_by_default();
        let Some(outputs) = self.outputs.as_ref().filter(|outputs| !outputs.is_empty()) else { return Ok(None) };
        let wanted = outputs.iter().map(|output| {
            let parameters = output.parameters.as_ref();
            if parameters.is_some_and(|p| p.classification.is_some() || p.shared_memory_region.is_some()) {
                let problem = "the classification and shared memory extensions are not offered here";
                return Err(Error::bad_request(format!("output {:?}: {problem}", output.name)));
            }
            let binary = parameters.and_then(|p| p.binary_data).unwrap_or(by_default);
            Ok(RequestedOutput { name: &output.name, binary })
        });
        wanted.collect::<Result<_, _>>().map(Some)
    }

    /// The inputs in the order of the model's, as the model takes them.
    ///
    /// # Errors
    /// Naming the first input that is missing, unknown, given twice, or not what
    /// the model takes.
    pub fn tensors(&self, specs: &[InputSpec]) -> Result<Tensors, Error> {
        let mut binary = self.binary;
        let mut tensors: Vec<Option<Tensor>> = specs.iter().map(|_| None).collect();
        let mut rows: Option<(&str, usize)> = None;
        // Binary data stands in the order of the request's inputs.
        for (place, input) in self.inputs.iter().enumerate() {
            let (spec, slot) = slot(specs, &mut tensors, place, &input.name)?;
            if slot.is_some() {
                return Err(Error::input(&input.name, "given twice"));
            }
            let tensor = input.tensor(spec, &mut binary).map_err(|problem| Error::input(&spec.name, problem))?;
            if spec.shape.first() == Some(&-1) {
                let own = tensor.shape().first().copied().unwrap_or_default();
                let (first, expected) = *rows.get_or_insert((&spec.name, own));
                if own != expected {
                    let problem = format!("has {own} rows, where input {first:?} has {expected}");
                    return Err(Error::input(&spec.name, problem));
                }
            }
            *slot = Some(tensor);
        }
        if !binary.is_empty() {
            let problem = format!("{} bytes of binary data belong to no input", binary.len());
            return Err(Error::bad_request(problem));
        }
        let named = specs.iter().zip(tensors).map(|(spec, tensor)| match tensor {
            Some(tensor) => Ok((spec.name.clone(), tensor)),
            None => {
                let (datatype, shape) = (spec.datatype.name(), &spec.shape);
                let problem = format!("missing; the model takes it as {datatype} of shape {shape:?}");
                Err(Error::input(&spec.name, problem))
            }
        });
        named.collect()
    }
}

/// The spec of this name and where its tensor goes. Callers mostly send the
/// inputs in the order of the model's, so that place is looked at first.
fn slot<'s, 't>(
    specs: &'s [InputSpec],
    tensors: &'t mut [Option<Tensor>],
    place: usize,
    name: &str,
) -> Result<(&'s InputSpec, &'t mut Option<Tensor>), Error> {
    let is_here = specs.get(place).is_some_and(|spec| spec.name == name);
    let index = if is_here { Some(place) } else { specs.iter().position(|spec| spec.name == name) };
    index.and_then(|index| Some((specs.get(index)?, tensors.get_mut(index)?))).ok_or_else(|| {
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        Error::input(name, format!("the model has no such input; it takes {}", names.join(", ")))
    })
}

impl Input<'_> {
    /// The tensor, taking its share of the binary data if it is sent that way.
    fn tensor(&self, spec: &InputSpec, binary: &mut &[u8]) -> Result<Tensor, String> {
        let target = spec.datatype;
        let wire = Datatype::from_name(&self.datatype).ok_or_else(|| {
            format!("the datatype {:?} is not one of the protocol's, which are {}", self.datatype, Datatype::names())
        })?;
        if (wire == Datatype::Bytes) != (target == Datatype::Bytes) {
            return Err(format!("the datatype is {}, but the model takes {}", wire.name(), target.name()));
        }
        let shape = fit(&self.shape, &spec.shape)?;
        let parameters = self.parameters.as_ref();
        if parameters.is_some_and(|p| p.shared_memory_region.is_some()) {
            return Err("the shared memory extension is not offered here; send the data".to_owned());
        }
        let data = match (self.data, parameters.and_then(|p| p.binary_data_size)) {
            (Some(json), None) => values::from_json(json, &shape, wire, target)?,
            (None, Some(size)) => {
                let (own, rest) = binary.split_at_checked(size).ok_or_else(|| {
                    format!("binary_data_size is {size}, but only {} bytes follow the JSON", binary.len())
                })?;
                *binary = rest;
                values::from_binary(own, &shape, wire, target)?
            }
            (None, None) => return Err("has neither data nor binary_data_size".to_owned()),
            (Some(_), Some(_)) => return Err("has both data and binary_data_size; send one".to_owned()),
        };
        Tensor::new(&self.name, shape, data).map_err(|e| e.to_string())
    }
}

/// The shape as the model takes it: a last dimension of 1 may be left out or added.
fn fit(given: &[u64], wanted: &[i64]) -> Result<Vec<usize>, String> {
    let sizes = given.iter().map(|size| usize::try_from(*size).ok());
    let mut shape = sizes.collect::<Option<Vec<usize>>>().unwrap_or_default();
    match (shape.len().checked_sub(wanted.len()), wanted.last(), shape.last()) {
        (Some(1), _, Some(1)) => {
            shape.pop();
        }
        (None, Some(1 | -1), _) if shape.len() + 1 == wanted.len() => shape.push(1),
        _ => {}
    }
    let fits = |(size, wanted): (&usize, &i64)| *wanted == -1 || usize::try_from(*wanted) == Ok(*size);
    let same = shape.len() == wanted.len() && shape.iter().zip(wanted).all(fits);
    if same && !shape.contains(&0) {
        return Ok(shape);
    }
    let wanted = format!("{wanted:?}").replace("-1", "N");
    Err(format!("the shape is {given:?}, but the model takes {wanted} with at least one row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs() -> Vec<InputSpec> {
        [("age", Datatype::Fp64), ("count", Datatype::Int32), ("sector", Datatype::Bytes)]
            .map(|(name, datatype)| InputSpec { name: name.to_owned(), datatype, shape: vec![-1, 1] })
            .to_vec()
    }

    fn outcome(body: &[u8], json_length: Option<&str>) -> Result<usize, Error> {
        let request = InferRequest::parse(body, json_length)?;
        request.outputs()?;
        request.tensors(&specs()).map(|tensors| tensors.len())
    }

    #[test]
    fn no_body_makes_it_panic() {
        let json = br#"{"id":"1","parameters":{"binary_data_output":true},"outputs":[{"name":"p"}],"inputs":[
            {"name":"age","shape":[2,1],"datatype":"FP16","parameters":{"binary_data_size":4}},
            {"name":"count","shape":[2],"datatype":"INT64","data":[[1],[-2]]},
            {"name":"sector","shape":[2,1],"datatype":"BYTES","parameters":{"binary_data_size":10}}]}"#;
        let body = [&json[..], &[0x00, 0x3c, 0x00, 0x40], b"\x01\0\0\0a\x01\0\0\0b"].concat();
        let length = json.len().to_string();
        assert_eq!(outcome(&body, Some(&length)), Ok(3));

        // A generator of its own: the same bodies on every run.
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let pieces: [&[u8]; 8] = [b"[", b"]", b"{", b"\"", b"null", b"-1", b"1e999", b"18446744073709551616"];
        let mut accepted = 0;
        for _ in 0..20_000 {
            let mut body = body.clone();
            for _ in 0..=draw(3) {
                let at = draw(body.len());
                match draw(4) {
                    0 => body[at] = draw(256) as u8,
                    1 => drop(body.drain(at..(at + 1 + draw(8)).min(body.len()))),
                    2 => body.truncate(at.max(1)),
                    _ => drop(body.splice(at..at, pieces[draw(pieces.len())].iter().copied())),
                }
            }
            accepted += usize::from(outcome(&body, Some(&length)).is_ok());
            assert!(outcome(&body, None).is_err(), "binary data without its length");
        }
        assert!((1..20_000).contains(&accepted), "{accepted}");
    }

    #[test]
    fn a_last_dimension_of_one_may_be_left_out_or_added() {
        assert_eq!(fit(&[3], &[-1, 1]), Ok(vec![3, 1]));
        assert_eq!(fit(&[3, 1], &[-1]), Ok(vec![3]));
        assert_eq!(fit(&[3, 2], &[-1, 2]), Ok(vec![3, 2]));
        for (given, wanted) in [(&[3, 2][..], &[-1, 1][..]), (&[3], &[-1, 2]), (&[0], &[-1, 1]), (&[], &[-1, 1])] {
            assert!(fit(given, wanted).is_err(), "{given:?} {wanted:?}");
        }
    }
}
