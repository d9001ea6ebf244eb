//! The rows of the file, as request bodies.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};
use arrow::array::{Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use falaj_engine::column;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::Args;
use crate::oip::ModelMetadata;

/// The inputs of every row, and their labels.
pub struct Rows {
    inputs: Vec<Input>,
    labels: Option<Vec<f64>>,
    length: usize,
}

struct Input {
    name: String,
    datatype: String,
    values: Values,
}

enum Values {
    Numbers(Vec<f64>),
    Whole(Vec<f64>),
    Truths(Vec<f64>),
    Texts(StringArray),
}

impl Rows {
    /// The columns of the file that the model takes.
    pub fn read(args: &Args, model: &ModelMetadata, columns: &BTreeMap<String, String>) -> Result<Self> {
        let path = &args.parquet;
        let about = || format!("reading {}", path.display());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).with_context(about)?);
        let reader = reader.with_context(about)?;
        let reader = match args.limit {
            Some(limit) => reader.with_limit(limit),
            None => reader,
        };
        let schema = reader.schema().clone();
        let batches = reader.build().with_context(about)?.collect::<Result<Vec<_>, _>>().with_context(about)?;
        let batch = concat_batches(&schema, &batches)?;
        if let Some((input, _)) = columns.iter().find(|(input, _)| !model.inputs.iter().any(|i| i.name == **input)) {
            let names: Vec<&str> = model.inputs.iter().map(|i| i.name.as_str()).collect();
            bail!("--map names {input:?}, but the inputs of the model are {}", names.join(", "));
        }
        let mut inputs = Vec::new();
        for tensor in &model.inputs {
            let column = columns.get(&tensor.name).unwrap_or(&tensor.name);
            if args.exclude.contains(column) {
                continue;
            }
            let values = values(&batch, column, &tensor.datatype)
                .with_context(|| format!("input {:?}; --map says which column holds it", tensor.name))?;
            inputs.push(Input { name: tensor.name.clone(), datatype: tensor.datatype.clone(), values });
        }
        let labels = args.labels.as_ref().map(|labels| column::numeric(&batch, labels)).transpose()?;
        Ok(Self { inputs, labels, length: batch.num_rows() })
    }

    pub fn len(&self) -> usize {
        self.length
    }

    /// One per row; NaN where there is none.
    pub fn labels(&self) -> Option<&[f64]> {
        self.labels.as_deref()
    }

    /// The body of a request for these rows.
    pub fn body(&self, id: &str, rows: Range<usize>) -> Result<Vec<u8>> {
        #[derive(serde::Serialize)]
        struct Request<'a> {
            id: &'a str,
            inputs: Vec<Tensor<'a>>,
        }
        #[derive(serde::Serialize)]
        struct Tensor<'a> {
            name: &'a str,
            shape: [usize; 2],
            datatype: &'a str,
            data: Slice<'a>,
        }
        let inputs = self.inputs.iter().map(|input| Tensor {
            name: &input.name,
            shape: [rows.len(), 1],
            datatype: &input.datatype,
            data: Slice(&input.values, rows.clone()),
        });
        Ok(serde_json::to_vec(&Request { id, inputs: inputs.collect() })?)
    }
}

fn values(batch: &RecordBatch, column: &str, datatype: &str) -> Result<Values> {
    Ok(match datatype {
        "BYTES" => Values::Texts(column::text(batch, column)?),
        "BOOL" => Values::Truths(column::numeric(batch, column)?),
        "FP32" | "FP64" => Values::Numbers(column::numeric(batch, column)?),
        _ => Values::Whole(column::numeric(batch, column)?),
    })
}

/// Some rows of one input, as a JSON array; what is missing is null.
struct Slice<'a>(&'a Values, Range<usize>);

impl Serialize for Slice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(values, rows) = self;
        let mut array = serializer.serialize_seq(Some(rows.len()))?;
        for row in rows.clone() {
            let number = |values: &[f64]| values.get(row).copied().filter(|v| v.is_finite());
            match values {
                Values::Numbers(values) => array.serialize_element(&number(values))?,
                Values::Whole(values) => array.serialize_element(&number(values).map(|v| v as i64))?,
                Values::Truths(values) => array.serialize_element(&number(values).map(|v| v != 0.0))?,
                Values::Texts(texts) => {
                    let text = (row < texts.len() && texts.is_valid(row)).then(|| texts.value(row));
                    array.serialize_element(&text)?;
                }
            }
        }
        array.end()
    }
}
