//! `linear`: least squares with a ridge penalty.

use candle_core::{Device, Tensor};
use falaj_api::model::Ridge;

use super::{Observer, Problem, Trainer, blocks, solve::solve};
use crate::model::{Layer, Task};
use crate::{Error, Result};

/// Minimises the mean of half the squared error plus half of `l2` times the
/// squared weights; the intercept is free. Solved in one step from the normal
/// equations in double precision.
pub struct Linear<'a>(pub &'a Ridge);

/// How many row blocks the sums run over, whatever the number of threads.
pub(super) const BLOCKS: usize = 64;

impl Trainer for Linear<'_> {
    fn task(&self, _: &[f64]) -> Result<Task> {
        Ok(Task::Regression)
    }

    fn fit(&self, problem: &Problem<'_>, observer: &dyn Observer) -> Result<Vec<Layer>> {
        let width = width(problem)?;
        let sums = blocks::sum(problem.rows.len(), BLOCKS, problem.threads, |range| {
            if observer.cancelled() {
                return Err(Error::Cancelled);
            }
            let (x, y) = design(problem, range)?;
            moments(&x, &x, &y)
        })?;
        observer.progress(0.8, "solving");
        let (products, targets) = sums.split_at(width * width);
        let mut matrix = products.to_vec();
        add_ridge(&mut matrix, width, self.0.l2 * problem.rows.len() as f64);
        Ok(vec![layer(solve(matrix, targets.to_vec())?)])
    }
}

/// The most coefficients that are solved for: their matrix takes 200 MB.
const MOST_COEFFICIENTS: usize = 5_000;

/// How many coefficients there are, the intercept included.
pub(super) fn width(problem: &Problem<'_>) -> Result<usize> {
    let width = problem.encoded.width() + 1;
    if width > MOST_COEFFICIENTS {
        return Err(Error::Training(format!(
            "the features make {width} columns once categories are encoded, more than the {MOST_COEFFICIENTS} that can \
             be solved for; leave out categories with many values, or use mlp"
        )));
    }
    Ok(width)
}

/// The rows of a block with a column of ones behind, and their labels.
pub(super) fn design(problem: &Problem<'_>, range: std::ops::Range<usize>) -> Result<(Tensor, Tensor)> {
    let rows = problem.rows.get(range).unwrap_or_default();
    let width = problem.encoded.width() + 1;
    let mut values = problem.encoded.dense(rows, 1);
    for one in values.iter_mut().skip(width - 1).step_by(width) {
        *one = 1.0;
    }
    let label = |row: &u32| problem.labels.get(*row as usize).copied().unwrap_or(f64::NAN);
    let labels: Vec<f64> = rows.iter().map(label).collect();
    let x = Tensor::from_vec(values, (rows.len(), width), &Device::Cpu)?;
    let y = Tensor::from_vec(labels, (rows.len(), 1), &Device::Cpu)?;
    Ok((x, y))
}

/// `x' w` and `x' y`, one after the other.
pub(super) fn moments(x: &Tensor, weighted: &Tensor, y: &Tensor) -> Result<Vec<f64>> {
    let transposed = x.t()?;
    let mut sums = transposed.matmul(weighted)?.flatten_all()?.to_vec1::<f64>()?;
    sums.extend(transposed.matmul(y)?.flatten_all()?.to_vec1::<f64>()?);
    Ok(sums)
}

/// Adds the penalty to the diagonal; the last row is the intercept, which is
/// free but for the last digit that keeps the matrix definite.
pub(super) fn add_ridge(matrix: &mut [f64], width: usize, penalty: f64) {
    let diagonal = matrix.iter_mut().step_by(width + 1);
    for value in diagonal.take(width - 1) {
        *value += penalty;
    }
}

/// The only layer of a model whose last coefficient is the intercept.
pub(super) fn layer(mut coefficients: Vec<f64>) -> Layer {
    let intercept = coefficients.pop().unwrap_or_default();
    Layer { weights: coefficients, bias: vec![intercept] }
}
