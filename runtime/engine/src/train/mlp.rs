//! `mlp`: a multilayer perceptron.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use falaj_api::model::Mlp;

use super::{Observer, Problem, Trainer, blocks, both_classes, classes, evaluate::pick};
use crate::model::{Layer, Task};
use crate::random::Stream;
use crate::{Error, Result};

/// Minimises the mean log loss (or half the squared error of a standardised
/// label) plus half of `l2` times the squared weights, by Adam over
/// minibatches in single precision. Hidden layers are ReLU with He's uniform
/// initialisation.
pub struct Perceptron<'a>(pub &'a Mlp);

/// A minibatch is cut into this many blocks, whatever the number of threads.
const BLOCKS: usize = 4;

const INITIAL_WEIGHTS: u64 = 2;
const SHUFFLE: u64 = 3;
const DROPOUT: u64 = 4;

impl Trainer for Perceptron<'_> {
    fn task(&self, labels: &[f64]) -> Result<Task> {
        self.check()?;
        match classes(labels) {
            Some(task) => both_classes(labels).map(|()| task),
            None => Ok(Task::Regression),
        }
    }

    fn fit(&self, problem: &Problem<'_>, observer: &dyn Observer) -> Result<Vec<Layer>> {
        let (centre, unit) = target_scale(problem);
        let targets: Vec<f64> = problem.labels.iter().map(|l| (l - centre) / unit).collect();
        let weights = self.initial_weights(problem)?;
        let parameters = ParamsAdamW { lr: self.0.learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
        let mut optimizer = AdamW::new(weights.clone(), parameters)?;
        let mut order = problem.rows.to_vec();
        let mut shuffle = Stream::new(problem.seed, SHUFFLE);
        let mut dropout = Stream::new(problem.seed, DROPOUT);
        for epoch in 0..self.0.epochs {
            shuffle.shuffle(&mut order);
            let mut loss = 0.0;
            for batch in order.chunks(self.0.batch_size as usize) {
                if observer.cancelled() {
                    return Err(Error::Cancelled);
                }
                let masks = self.dropout_masks(batch.len(), &mut dropout);
                loss += self.step(problem, &targets, batch, &masks, &weights, &mut optimizer)?;
            }
            let loss = loss / order.len() as f64;
            observer.progress(
                f64::from(epoch + 1) / f64::from(self.0.epochs),
                &format!("epoch {} of {}, loss {loss:.5}", epoch + 1, self.0.epochs),
            );
        }
        layers(&weights, centre, unit)
    }
}

impl Perceptron<'_> {
    fn check(&self) -> Result<()> {
        let mlp = self.0;
        let positive = mlp.epochs > 0 && mlp.batch_size > 0 && mlp.hidden_layers.iter().all(|units| *units > 0);
        if positive && (0.0..1.0).contains(&mlp.dropout) && mlp.learning_rate > 0.0 {
            return Ok(());
        }
        Err(Error::Training(
            "mlp needs epochs, batch_size, learning_rate and the units of each hidden layer over 0, and dropout in \
             0..1"
                .to_owned(),
        ))
    }

    /// Weight and bias of each layer, one after the other.
    fn initial_weights(&self, problem: &Problem<'_>) -> Result<Vec<Var>> {
        let mut stream = Stream::new(problem.seed, INITIAL_WEIGHTS);
        let mut inputs = problem.encoded.width();
        let mut weights = Vec::new();
        let hidden = self.0.hidden_layers.iter().map(|units| *units as usize);
        for outputs in hidden.chain([1]) {
            let bound = (6.0 / inputs.max(1) as f64).sqrt();
            let draw = |_| ((stream.unit() * 2.0 - 1.0) * bound) as f32;
            let values: Vec<f32> = (0..inputs * outputs).map(draw).collect();
            weights.push(Var::from_vec(values, (inputs, outputs), &Device::Cpu)?);
            weights.push(Var::zeros(outputs, DType::F32, &Device::Cpu)?);
            inputs = outputs;
        }
        Ok(weights)
    }

    /// For each hidden layer the factors of each row's units: 0, or what makes
    /// up for the units that are 0. Empty without dropout.
    fn dropout_masks(&self, rows: usize, stream: &mut Stream) -> Vec<Vec<f32>> {
        let rate = self.0.dropout;
        if rate == 0.0 {
            return Vec::new();
        }
        let kept = (1.0 / (1.0 - rate)) as f32;
        let mut mask = |units: &u32| {
            let draw = |_| if stream.unit() < rate { 0.0 } else { kept };
            (0..rows * *units as usize).map(draw).collect()
        };
        self.0.hidden_layers.iter().map(&mut mask).collect()
    }

    /// One step of the optimizer; returns the sum of the rows' losses.
    fn step(
        &self,
        problem: &Problem<'_>,
        targets: &[f64],
        batch: &[u32],
        masks: &[Vec<f32>],
        weights: &[Var],
        optimizer: &mut AdamW,
    ) -> Result<f64> {
        let parts = blocks::map(batch.len(), BLOCKS, problem.threads, |range| {
            let rows = batch.get(range.clone()).unwrap_or_default();
            let dense: Vec<f32> = problem.encoded.dense(rows, 0).into_iter().map(|v| v as f32).collect();
            let y: Vec<f32> = pick(targets, rows).into_iter().map(|v| v as f32).collect();
            let x = Tensor::from_vec(dense, (rows.len(), problem.encoded.width()), &Device::Cpu)?;
            let y = Tensor::from_vec(y, (rows.len(), 1), &Device::Cpu)?;
            let output = self.forward(x, weights, masks, &range)?;
            let losses = match problem.task {
                // ln(1 + e^z) - y z, written so that e^z cannot overflow.
                Task::Classification => {
                    ((output.relu()? + ((output.abs()?.neg()?.exp()? + 1.0)?.log()?))? - (output * y)?)?
                }
                Task::Regression => ((output - y)?.sqr()? * 0.5)?,
            };
            let loss = losses.sum_all()?;
            let gradients = (loss.clone() / batch.len() as f64)?.backward()?;
            Ok((loss.to_scalar::<f32>()?, gradients))
        })?;
        let mut parts = parts.into_iter();
        let Some((loss, mut total)) = parts.next() else {
            return Ok(0.0);
        };
        let mut loss = f64::from(loss);
        for (more, gradients) in parts {
            loss += f64::from(more);
            for weight in weights {
                if let (Some(sum), Some(gradient)) = (total.get(weight), gradients.get(weight)) {
                    let sum = (sum + gradient)?;
                    total.insert(weight, sum);
                }
            }
        }
        for weight in weights.iter().step_by(2) {
            if let Some(gradient) = total.get(weight) {
                let penalised = (gradient + (weight.as_tensor() * self.0.l2)?)?;
                total.insert(weight, penalised);
            }
        }
        optimizer.step(&total)?;
        Ok(loss)
    }

    fn forward(
        &self,
        x: Tensor,
        weights: &[Var],
        masks: &[Vec<f32>],
        range: &std::ops::Range<usize>,
    ) -> Result<Tensor> {
        let mut values = x;
        let last = self.0.hidden_layers.len();
        for (index, layer) in weights.chunks_exact(2).enumerate() {
            let [weight, bias] = layer else { continue };
            values = values.matmul(weight)?.broadcast_add(bias)?;
            if index < last {
                values = values.relu()?;
            }
            if let Some(mask) = masks.get(index) {
                let units = weight.dim(1)?;
                let mask = mask.get(range.start * units..range.end * units).unwrap_or_default();
                values = (values * Tensor::from_slice(mask, (range.len(), units), &Device::Cpu)?)?;
            }
        }
        Ok(values)
    }
}

/// What the label is centred on and divided by.
fn target_scale(problem: &Problem<'_>) -> (f64, f64) {
    if problem.task == Task::Classification {
        return (0.0, 1.0);
    }
    let labels = pick(problem.labels, problem.rows);
    let count = labels.len().max(1) as f64;
    let mean = labels.iter().sum::<f64>() / count;
    let deviation = (labels.iter().map(|l| (l - mean).powi(2)).sum::<f64>() / count).sqrt();
    (mean, if deviation > 0.0 { deviation } else { 1.0 })
}

/// The weights in double precision, the label's scale folded into the last.
fn layers(weights: &[Var], centre: f64, unit: f64) -> Result<Vec<Layer>> {
    let doubles = |tensor: &Var| -> Result<Vec<f64>> {
        let values = tensor.as_tensor().flatten_all()?.to_vec1::<f32>()?;
        Ok(values.into_iter().map(f64::from).collect())
    };
    let mut layers = Vec::new();
    for layer in weights.chunks_exact(2) {
        let [weight, bias] = layer else { continue };
        layers.push(Layer { weights: doubles(weight)?, bias: doubles(bias)? });
    }
    if let Some(last) = layers.last_mut() {
        last.weights.iter_mut().for_each(|w| *w *= unit);
        last.bias.iter_mut().for_each(|b| *b = *b * unit + centre);
    }
    Ok(layers)
}
