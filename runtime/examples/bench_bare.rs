//! The least that answers the requests of `make bench`: axum, serde and ONNX
//! Runtime, with nothing checked, kept, counted or routed. What `falaj serve`
//! takes more than this is the price of what it does.
//!
//! `bench_bare MODEL ONNXRUNTIME` says its address in one line, and ends when its
//! standard input does.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use falaj::oip::ModelMetadata;
use falaj_engine::infer::{Data, Format, OnnxRuntime, Session, Tensor, load};
use http::StatusCode;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: String,
    inputs: Vec<Input>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<usize>,
    data: Values,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

#[derive(Serialize)]
struct Reply {
    model_name: &'static str,
    model_version: &'static str,
    id: String,
    outputs: Vec<Output>,
}

#[derive(Serialize)]
struct Output {
    name: String,
    shape: Vec<usize>,
    datatype: &'static str,
    data: Vec<f64>,
}

async fn infer(
    State(session): State<Arc<dyn Session>>,
    Json(request): Json<Request>,
) -> Result<Json<Reply>, StatusCode> {
    let refuse = |_| StatusCode::BAD_REQUEST;
    let inputs = request.inputs.into_iter().map(|input| {
        let data = match input.data {
            Values::Numbers(values) => Data::F64(values),
            Values::Texts(values) => Data::Text(values),
        };
        let tensor = Tensor::new(&input.name, input.shape, data)?;
        Ok((input.name, tensor))
    });
    let inputs = inputs.collect::<falaj_engine::Result<Vec<_>>>().map_err(refuse)?;
    let outputs = session.run(&inputs).map_err(refuse)?.into_iter().map(|(name, tensor)| Output {
        name,
        shape: tensor.shape().to_vec(),
        datatype: tensor.data().datatype(),
        data: tensor.data().to_doubles().unwrap_or_default(),
    });
    Ok(Json(Reply { model_name: "employed", model_version: "1", id: request.id, outputs: outputs.collect() }))
}

async fn metadata(State(session): State<Arc<dyn Session>>) -> Json<ModelMetadata> {
    Json(ModelMetadata::new("employed", vec!["1".to_owned()], "onnx_onnxv1", session.signature()))
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, library] = arguments.as_slice() else { bail!("usage: bench_bare MODEL ONNXRUNTIME") };
    let model = std::fs::read(model).with_context(|| model.display().to_string())?;
    let runtime = OnnxRuntime::load(library)?;
    let copies = std::thread::available_parallelism()?.get();
    let session = load(Format::Onnx, &model, Some(&runtime), copies)?;
    let routes = axum::Router::new()
        .route("/v2/models/employed", get(metadata))
        .route("/v2/models/employed/infer", post(infer))
        .with_state(session);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let mut input = tokio::io::stdin();
    let ended = async move {
        let _ = tokio::io::copy(&mut input, &mut tokio::io::sink()).await;
    };
    axum::serve(listener, routes).with_graceful_shutdown(ended).await?;
    Ok(())
}
