//! Solving symmetric positive definite systems.

use crate::{Error, Result};

/// Solves `A x = b` by Cholesky's decomposition; `a` is row-major, symmetric
/// and positive definite, and only its lower triangle is read.
///
/// # Errors
/// [`Error::Training`] if the matrix is not positive definite.
pub fn solve(mut a: Vec<f64>, mut b: Vec<f64>) -> Result<Vec<f64>> {
    let n = b.len();
    for j in 0..n {
        let (above, below) = a.split_at_mut((j + 1) * n);
        let row_j = &mut above[j * n..];
        let square = row_j[j] - row_j[..j].iter().map(|v| v * v).sum::<f64>();
        if !(square > 0.0 && square.is_finite()) {
            return Err(Error::Training(
                "the features determine each other, so the weights are not unique; a larger l2 makes them so"
                    .to_owned(),
            ));
        }
        row_j[j] = square.sqrt();
        for row_i in below.chunks_exact_mut(n) {
            let product: f64 = row_i[..j].iter().zip(&row_j[..j]).map(|(x, y)| x * y).sum();
            row_i[j] = (row_i[j] - product) / row_j[j];
        }
    }
    for i in 0..n {
        let row = &a[i * n..];
        let known: f64 = row[..i].iter().zip(&b).map(|(l, y)| l * y).sum();
        b[i] = (b[i] - known) / row[i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| a[k * n + i] * b[k]).sum();
        b[i] = (b[i] - known) / a[i * n + i];
    }
    Ok(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_system_is_solved() {
        let x = solve(vec![4.0, 2.0, 0.4, 2.0, 5.0, 1.0, 0.4, 1.0, 3.0], vec![9.2, 15.0, 11.4]);
        for (x, expected) in x.expect("positive definite").iter().zip([1.0, 2.0, 3.0]) {
            assert!((x - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn a_singular_system_is_an_error() {
        assert!(solve(vec![1.0, 1.0, 1.0, 1.0], vec![1.0, 1.0]).is_err());
    }
}
