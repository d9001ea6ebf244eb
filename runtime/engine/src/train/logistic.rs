//! `logistic`: logistic regression with a ridge penalty.

use falaj_api::model::Ridge;

use super::linear::{BLOCKS, add_ridge, design, layer, moments, width};
use super::{Observer, Problem, Trainer, blocks, both_classes, classes, solve::solve};
use crate::model::{Layer, Task, logistic};
use crate::{Error, Result};
use candle_core::{Device, Tensor};

/// Minimises the mean log loss plus half of `l2` times the squared weights;
/// the intercept is free. Newton's method in double precision, with the step
/// halved while it makes things worse.
pub struct Logistic<'a>(pub &'a Ridge);

/// A step that promises to lower the loss by less than this is the last.
const TOLERANCE: f64 = 1e-12;

impl Trainer for Logistic<'_> {
    fn task(&self, labels: &[f64]) -> Result<Task> {
        let task = classes(labels).ok_or_else(|| {
            Error::Data("logistic needs a label of 0 and 1 (or false and true); use linear for numbers".to_owned())
        })?;
        both_classes(labels)?;
        Ok(task)
    }

    fn fit(&self, problem: &Problem<'_>, observer: &dyn Observer) -> Result<Vec<Layer>> {
        let width = width(problem)?;
        let mut at = Point::new(self.0.l2, problem, vec![0.0; width], observer)?;
        for iteration in 0..self.0.max_iterations {
            observer.progress(
                f64::from(iteration) / f64::from(self.0.max_iterations),
                &format!("iteration {}, loss {:.6}", iteration + 1, at.loss),
            );
            let step = solve(at.hessian.clone(), at.gradient.clone())?;
            // Half the decrement squared is what the quadratic model gains.
            let gain: f64 = step.iter().zip(&at.gradient).map(|(s, g)| s * g).sum::<f64>() / 2.0;
            if gain < TOLERANCE {
                return Ok(vec![layer(at.weights)]);
            }
            let mut size = 1.0;
            loop {
                let weights = at.weights.iter().zip(&step).map(|(w, s)| w - size * s).collect();
                let next = Point::new(self.0.l2, problem, weights, observer)?;
                if next.loss <= at.loss {
                    at = next;
                    break;
                }
                size /= 2.0;
                if size < 1e-6 {
                    // No better point along the step: rounding is all that is left.
                    return Ok(vec![layer(at.weights)]);
                }
            }
        }
        observer.progress(1.0, "stopped at max_iterations, before the loss settled");
        Ok(vec![layer(at.weights)])
    }
}

/// The penalised mean loss at some weights, with its derivatives.
struct Point {
    weights: Vec<f64>,
    loss: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl Point {
    fn new(l2: f64, problem: &Problem<'_>, weights: Vec<f64>, observer: &dyn Observer) -> Result<Self> {
        let width = weights.len();
        let rows = problem.rows.len() as f64;
        let column = Tensor::from_slice(&weights, (width, 1), &Device::Cpu)?;
        let sums = blocks::sum(problem.rows.len(), BLOCKS, problem.threads, |range| {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            let (x, y) = design(problem, range)?;
            let logits = x.matmul(&column)?.flatten_all()?.to_vec1::<f64>()?;
            let labels = y.flatten_all()?.to_vec1::<f64>()?;
            let chances: Vec<f64> = logits.iter().map(|z| logistic(*z)).collect();
            let errors: Vec<f64> = chances.iter().zip(&labels).map(|(p, y)| p - y).collect();
            let variances: Vec<f64> = chances.iter().map(|p| p * (1.0 - p)).collect();
            // ln(1 + e^z) - y z, written so that e^z cannot overflow.
            let losses = logits.iter().zip(&labels).map(|(z, y)| z.max(0.0) + (-z.abs()).exp().ln_1p() - y * z);
            let loss: f64 = losses.sum();
            let (count, cpu) = (errors.len(), &Device::Cpu);
            let errors = Tensor::from_vec(errors, (count, 1), cpu)?;
            let variances = Tensor::from_vec(variances, (count, 1), cpu)?;
            let mut sums = moments(&x, &x.broadcast_mul(&variances)?, &errors)?;
            sums.push(loss);
            Ok(sums)
        })?;
        let mut sums: Vec<f64> = sums.iter().map(|s| s / rows).collect();
        let mut loss = sums.pop().unwrap_or(f64::NAN);
        let mut gradient = sums.split_off(width * width);
        for (g, w) in gradient.iter_mut().zip(&weights).take(width - 1) {
            *g += l2 * w;
            loss += l2 / 2.0 * w * w;
        }
        add_ridge(&mut sums, width, l2);
        Ok(Self { weights, loss, gradient, hessian: sums })
    }
}
