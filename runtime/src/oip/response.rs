//! The reply to an inference request.

use falaj_engine::infer::{Data, Tensor};
use serde::ser::{Serialize, Serializer};

/// How one output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    Json,
    Binary,
}

/// A reply before it is written.
#[derive(Debug)]
pub struct InferReply<'a> {
    pub model_name: &'a str,
    pub model_version: &'a str,
    /// The variant of the endpoint that answered.
    pub variant: &'a str,
    pub id: &'a str,
    pub outputs: Vec<(&'a str, &'a Tensor, OutputFormat)>,
}

impl InferReply<'_> {
    /// The body, and with any binary output how much of it is JSON.
    ///
    /// # Errors
    /// None in practice: the JSON is written to memory.
    pub fn write(&self) -> serde_json::Result<(Vec<u8>, Option<usize>)> {
        let mut binary = Vec::new();
        let mut any = false;
        let outputs = self.outputs.iter().map(|(name, tensor, format)| {
            let size = (*format == OutputFormat::Binary).then(|| {
                any = true;
                let before = binary.len();
                append(&mut binary, tensor.data());
                BinarySize { binary_data_size: binary.len() - before }
            });
            Output {
                name,
                shape: tensor.shape(),
                datatype: tensor.data().datatype(),
                data: size.is_none().then(|| Json(tensor.data())),
                parameters: size,
            }
        });
        let reply = Reply {
            model_name: self.model_name,
            model_version: self.model_version,
            id: self.id,
            parameters: Parameters { variant: self.variant },
            outputs: outputs.collect(),
        };
        let mut body = Vec::with_capacity(256 + binary.len());
        serde_json::to_writer(&mut body, &reply)?;
        let json_length = body.len();
        body.append(&mut binary);
        Ok((body, any.then_some(json_length)))
    }
}

#[derive(serde::Serialize)]
struct Reply<'a> {
    model_name: &'a str,
    model_version: &'a str,
    id: &'a str,
    parameters: Parameters<'a>,
    outputs: Vec<Output<'a>>,
}

#[derive(serde::Serialize)]
struct Parameters<'a> {
    variant: &'a str,
}

#[derive(serde::Serialize)]
struct Output<'a> {
    name: &'a str,
    shape: &'a [usize],
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<BinarySize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Json<'a>>,
}

#[derive(serde::Serialize)]
struct BinarySize {
    binary_data_size: usize,
}

/// Values as a flat array; JSON has no NaN or infinity, so these are null.
struct Json<'a>(&'a Data);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Data::F32(values) => values.serialize(serializer),
            Data::F64(values) => values.serialize(serializer),
            Data::I32(values) => values.serialize(serializer),
            Data::I64(values) => values.serialize(serializer),
            Data::Bool(values) => values.serialize(serializer),
            Data::Text(values) => values.serialize(serializer),
        }
    }
}

fn append(bytes: &mut Vec<u8>, data: &Data) {
    match data {
        Data::F32(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Data::F64(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Data::I32(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Data::I64(values) => bytes.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Data::Bool(values) => bytes.extend(values.iter().map(|v| u8::from(*v))),
        Data::Text(values) => {
            for text in values {
                // A model's text is far shorter than 4 GiB; a longer one is cut, not wrapped.
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                bytes.extend(length.to_le_bytes());
                bytes.extend(text.as_bytes().iter().take(length as usize));
            }
        }
    }
}
