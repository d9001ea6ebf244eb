//! A model as an ONNX graph.
//!
//! Numbers are stacked, missing ones replaced by the mean, standardised and
//! multiplied with their rows of the first layer. Categories are looked up:
//! each text is marked with the number of its feature, one label encoder finds
//! the row of the first layer that belongs to it (a row of zeros for unseen
//! values), and these rows are added up. That needs about a dozen nodes,
//! however many features there are, where one-hot vectors need several for
//! each.

use falaj_api::feature_store::DataType;
use prost::Message;

use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute, element,
};
use crate::model::encoder::{Encoding, Feature};
use crate::model::{LABEL, Layer, Model, PREDICTION, PROBABILITY, Task};
use crate::{Error, Result};

/// `StringConcat` came with this version of the operator set (2023).
const OPERATOR_SET: i64 = 20;
const ML_OPERATOR_SET: i64 = 3;
const IR_VERSION: i64 = 9;
const ML_DOMAIN: &str = "ai.onnx.ml";

/// The model as the bytes of an ONNX file; the same model always gives the
/// same bytes.
///
/// # Errors
/// If the layers do not fit each other, or a feature has the name of an output.
pub fn to_onnx(model: &Model) -> Result<Vec<u8>> {
    model.check()?;
    let outputs = match model.task {
        Task::Classification => vec![(PROBABILITY, element::DOUBLE), (LABEL, element::INT64)],
        Task::Regression => vec![(PREDICTION, element::DOUBLE)],
    };
    let mut graph = Graph::default();
    for feature in model.encoder.features() {
        if outputs.iter().any(|(name, _)| *name == feature.name) {
            return Err(Error::Data(format!(
                "a feature cannot be called {:?}: that is the name of the model's output",
                feature.name
            )));
        }
        graph.inputs.push(column(&feature.name, element_of(feature)));
    }
    let mut layers = model.layers.iter();
    let mut value = match layers.next() {
        Some(first) => graph.first_layer(model, first),
        None => return Err(Error::Artifact("a model without layers".to_owned())),
    };
    for layer in layers {
        let active = graph.node("Relu", &[&value]);
        let inputs = layer.weights.len() / layer.outputs().max(1);
        let weights = graph.doubles(&layer.weights, &[inputs, layer.outputs()]);
        let product = graph.node("MatMul", &[&active, &weights]);
        let bias = graph.doubles(&layer.bias, &[layer.outputs()]);
        value = graph.node("Add", &[&product, &bias]);
    }
    match model.task {
        Task::Regression => graph.named_node("Identity", &[&value], PREDICTION),
        Task::Classification => {
            graph.named_node("Sigmoid", &[&value], PROBABILITY);
            let half = graph.doubles(&[0.5], &[1, 1]);
            let positive = graph.node("GreaterOrEqual", &[PROBABILITY, &half]);
            graph.named_node("Cast", &[&positive], LABEL);
            graph.attribute(int("to", i64::from(element::INT64)));
        }
    }
    Ok(model_proto(graph, outputs.iter().map(|(name, kind)| column(name, *kind)).collect()).encode_to_vec())
}

#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
}

impl Graph {
    /// The first layer on the encoded features: its sum before activation.
    fn first_layer(&mut self, model: &Model, layer: &Layer) -> String {
        let bias = self.doubles(&layer.bias, &[1, layer.outputs()]);
        let mut value = bias;
        if let Some(numbers) = self.numbers(model, layer) {
            value = self.node("Add", &[&numbers, &value]);
        }
        if let Some(categories) = self.categories(model, layer) {
            value = self.node("Add", &[&categories, &value]);
        }
        value
    }

    fn numbers(&mut self, model: &Model, layer: &Layer) -> Option<String> {
        let (mut names, mut means, mut deviations) = (Vec::new(), Vec::new(), Vec::new());
        for feature in model.encoder.features() {
            if let Encoding::Standardise { mean, deviation } = feature.encoding {
                means.push(mean);
                deviations.push(deviation);
                names.push(match feature.data_type {
                    DataType::Bool => {
                        let number = self.node("Cast", &[&feature.name]);
                        self.attribute(int("to", i64::from(element::DOUBLE)));
                        number
                    }
                    _ => feature.name.clone(),
                });
            }
        }
        let count = names.len();
        if count == 0 {
            return None;
        }
        let raw = self.concat(&names);
        let means = self.doubles(&means, &[1, count]);
        let deviations = self.doubles(&deviations, &[1, count]);
        let missing = self.node("IsNaN", &[&raw]);
        let present = self.node("Where", &[&missing, &means, &raw]);
        let centred = self.node("Sub", &[&present, &means]);
        let standard = self.node("Div", &[&centred, &deviations]);
        let rows = layer.weights.get(..count * layer.outputs()).unwrap_or_default();
        let weights = self.doubles(rows, &[count, layer.outputs()]);
        Some(self.node("MatMul", &[&standard, &weights]))
    }

    fn categories(&mut self, model: &Model, layer: &Layer) -> Option<String> {
        let (mut names, mut marks, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for feature in model.encoder.features() {
            if let Encoding::OneHot { values } = &feature.encoding {
                let mark = format!("{}:", names.len());
                keys.extend(values.iter().map(|value| format!("{mark}{value}").into_bytes()));
                marks.push(mark.into_bytes());
                names.push(feature.name.clone());
            }
        }
        if keys.is_empty() {
            return None;
        }
        let raw = self.concat(&names);
        let marks = self.tensor(TensorProto {
            dims: vec![1, marks.len() as i64],
            data_type: element::STRING,
            string_data: marks,
            ..TensorProto::default()
        });
        let marked = self.node("StringConcat", &[&marks, &raw]);
        let unseen = keys.len() as i64;
        let rows = self.node("LabelEncoder", &[&marked]);
        self.ml_domain();
        self.attribute(ints("values_int64s", (0..unseen).collect()));
        self.attribute(strings("keys_strings", keys));
        self.attribute(int("default_int64", unseen));
        let start = model.encoder.numbers() * layer.outputs();
        let mut weights = layer.weights.get(start..).unwrap_or_default().to_vec();
        weights.resize(weights.len() + layer.outputs(), 0.0);
        let table = self.doubles(&weights, &[unseen as usize + 1, layer.outputs()]);
        let chosen = self.node("Gather", &[&table, &rows]);
        let axis = self.tensor(TensorProto {
            dims: vec![1],
            data_type: element::INT64,
            int64_data: vec![1],
            ..TensorProto::default()
        });
        let sum = self.node("ReduceSum", &[&chosen, &axis]);
        self.attribute(int("keepdims", 0));
        Some(sum)
    }

    /// Columns side by side.
    fn concat(&mut self, names: &[String]) -> String {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let stacked = self.node("Concat", &names);
        self.attribute(int("axis", 1));
        stacked
    }

    /// Adds a node and returns the name of its value.
    fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        // A name that no feature has: columns cannot begin like this one.
        let name = format!("{INTERNAL}{}", self.nodes.len());
        self.named_node(operator, inputs, &name);
        name
    }

    fn named_node(&mut self, operator: &str, inputs: &[&str], output: &str) {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: format!("{INTERNAL}node_{}", self.nodes.len()),
            op_type: operator.to_owned(),
            ..NodeProto::default()
        });
    }

    /// Gives the newest node an attribute.
    fn attribute(&mut self, attribute: AttributeProto) {
        if let Some(node) = self.nodes.last_mut() {
            node.attribute.push(attribute);
        }
    }

    /// Moves the newest node to the operators for classical models.
    fn ml_domain(&mut self) {
        if let Some(node) = self.nodes.last_mut() {
            node.domain = ML_DOMAIN.to_owned();
        }
    }

    fn doubles(&mut self, values: &[f64], dims: &[usize]) -> String {
        self.tensor(TensorProto {
            dims: dims.iter().map(|size| *size as i64).collect(),
            data_type: element::DOUBLE,
            double_data: values.to_vec(),
            ..TensorProto::default()
        })
    }

    fn tensor(&mut self, tensor: TensorProto) -> String {
        let name = format!("{INTERNAL}constant_{}", self.initializers.len());
        self.initializers.push(TensorProto { name: name.clone(), ..tensor });
        name
    }
}

/// What names inside the graph begin with; a feature's name is an identifier.
const INTERNAL: &str = "/falaj/";

fn model_proto(graph: Graph, outputs: Vec<ValueInfoProto>) -> ModelProto {
    let operators = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
    ModelProto {
        ir_version: IR_VERSION,
        producer_name: "falaj".to_owned(),
        graph: Some(GraphProto {
            node: graph.nodes,
            name: "model".to_owned(),
            initializer: graph.initializers,
            input: graph.inputs,
            output: outputs,
        }),
        opset_import: vec![operators("", OPERATOR_SET), operators(ML_DOMAIN, ML_OPERATOR_SET)],
        metadata_props: vec![StringStringEntryProto {
            key: "missing_values".to_owned(),
            value: "NaN for numbers, the empty text for categories".to_owned(),
        }],
    }
}

fn element_of(feature: &Feature) -> i32 {
    match feature.data_type {
        DataType::Int64 | DataType::Float64 => element::DOUBLE,
        DataType::Bool => element::BOOL,
        DataType::String => element::STRING,
    }
}

/// An input or output of shape `[N, 1]`.
fn column(name: &str, elem_type: i32) -> ValueInfoProto {
    let rows = DimensionProto { dim_value: None, dim_param: Some("N".to_owned()) };
    let one = DimensionProto { dim_value: Some(1), dim_param: None };
    let shape = Some(TensorShapeProto { dim: vec![rows, one] });
    let tensor_type = Some(TensorTypeProto { elem_type, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, kind: attribute::INT, ..AttributeProto::default() }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { name: name.to_owned(), ints, kind: attribute::INTS, ..AttributeProto::default() }
}

fn strings(name: &str, strings: Vec<Vec<u8>>) -> AttributeProto {
    AttributeProto { name: name.to_owned(), strings, kind: attribute::STRINGS, ..AttributeProto::default() }
}
