//! The distribution of Kolmogorov's D for one sample of *n* rows.
//!
//! Which formula is precise where follows Simard and L'Ecuyer, "Computing the
//! two-sided Kolmogorov-Smirnov distribution", Journal of Statistical Software
//! 39(11), 2011.

use std::f64::consts::PI;

use statrs::function::gamma::ln_gamma;

/// The chance that D of `n` rows is larger than `d`.
pub fn survival(n: u64, d: f64) -> f64 {
    let rows = n as f64;
    let t = rows * d;
    if d >= 1.0 {
        return 0.0;
    }
    if t <= 0.5 {
        return 1.0;
    }
    if t <= 1.0 {
        // Ruben and Gambino: n! ((2t - 1) / n)^n.
        let ln_cdf = ln_gamma(rows + 1.0) - rows * rows.ln() + rows * (2.0 * t - 1.0).ln();
        return (1.0 - ln_cdf.exp()).clamp(0.0, 1.0);
    }
    if t >= rows - 1.0 {
        return (2.0 * (1.0 - d).powf(rows)).clamp(0.0, 1.0);
    }
    let scaled = t * d;
    if scaled >= 370.0 {
        return 0.0;
    }
    // Twice the one-sided chance is exact from d = 0.5 on, and far in the
    // tail wrong by less than any digit shown (Miller).
    let tail = if n <= 140 { 4.0 } else { 2.2 };
    if d >= 0.5 || scaled >= tail {
        return (2.0 * one_sided(rows, d)).clamp(0.0, 1.0);
    }
    let cdf = if n <= 140 || (n <= 100_000 && rows * d.powf(1.5) <= 1.4) {
        by_matrix_power(n, d)
    } else {
        by_expansion(rows, d)
    };
    (1.0 - cdf).clamp(0.0, 1.0)
}

/// The chance that the one-sided D+ is larger than `d` (Smirnov 1944,
/// Birnbaum and Tingey 1951).
fn one_sided(n: f64, d: f64) -> f64 {
    let ln_factorial = ln_gamma(n + 1.0);
    let last = (n * (1.0 - d)).floor();
    let mut sum = 0.0;
    let mut j = 0.0;
    while j <= last {
        let (up, down) = (d + j / n, 1.0 - d - j / n);
        if down > 0.0 {
            let ln_choose = ln_factorial - ln_gamma(j + 1.0) - ln_gamma(n - j + 1.0);
            sum += (ln_choose + (j - 1.0) * up.ln() + (n - j) * down.ln()).exp();
        }
        j += 1.0;
    }
    d * sum
}

/// P(D <= d), exact: Durbin's matrix as in Marsaglia, Tsang and Wang,
/// Journal of Statistical Software 8(18), 2003.
fn by_matrix_power(n: u64, d: f64) -> f64 {
    let rows = n as f64;
    let k = (rows * d).ceil();
    let h = k - rows * d;
    let size = 2 * (k as usize) - 1;
    let factorial = |i: usize| ln_gamma(i as f64 + 1.0).exp();
    let entry = |row: usize, column: usize| -> f64 {
        // With i = row - column + 1: zero above the first superdiagonal.
        let Some(i) = (row + 1).checked_sub(column) else {
            return 0.0;
        };
        let mut value = 1.0;
        if column == 0 {
            value -= h.powi(row as i32 + 1);
        }
        if row == size - 1 {
            value -= h.powi((size - column) as i32);
        }
        if column == 0 && row == size - 1 && h > 0.5 {
            value += (2.0 * h - 1.0).powi(size as i32);
        }
        value / factorial(i)
    };
    let base = Matrix { size, values: (0..size * size).map(|at| entry(at / size, at % size)).collect(), exponent: 0 };
    let power = base.power(n);
    let middle = (size - 1) / 2;
    let value = power.values.get(middle * size + middle).copied().unwrap_or(0.0);
    let ln = value.ln() + power.exponent as f64 * SCALE.ln() + ln_gamma(rows + 1.0) - rows * rows.ln();
    ln.exp()
}

/// Powers overflow long before the factorial brings them back, so every
/// product is scaled by a power of this, which is exact.
const SCALE: f64 = 4.7634102635436893e+139; // 2^464

struct Matrix {
    size: usize,
    values: Vec<f64>,
    exponent: i64,
}

impl Matrix {
    fn power(self, n: u64) -> Self {
        let mut result: Option<Self> = None;
        let mut square = self;
        let mut left = n;
        loop {
            if left & 1 == 1 {
                result = Some(match result {
                    None => square.times(&Self::unit(square.size)),
                    Some(r) => r.times(&square),
                });
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            square = square.times(&square);
        }
        result.unwrap_or_else(|| Self::unit(square.size))
    }

    fn unit(size: usize) -> Self {
        let diagonal = |at: usize| if at / size == at % size { 1.0 } else { 0.0 };
        Self { size, values: (0..size * size).map(diagonal).collect(), exponent: 0 }
    }

    fn times(&self, other: &Self) -> Self {
        let mut values = vec![0.0; self.size * self.size];
        for (out, row) in values.chunks_exact_mut(self.size).zip(self.values.chunks_exact(self.size)) {
            for (weight, other_row) in row.iter().zip(other.values.chunks_exact(self.size)) {
                for (o, v) in out.iter_mut().zip(other_row) {
                    *o += weight * v;
                }
            }
        }
        let mut exponent = self.exponent + other.exponent;
        if values.iter().any(|v| v.abs() > 1e140) {
            values.iter_mut().for_each(|v| *v /= SCALE);
            exponent += 1;
        }
        Self { size: self.size, values, exponent }
    }
}

/// P(D <= d) for large n: the expansion of Pelz and Good, Journal of the Royal
/// Statistical Society B 38(2), 1976, up to the order n^(-3/2).
fn by_expansion(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let z8 = z.powi(8);
    let (mut k0, mut k1, mut k2, mut k3) = (0.0, 0.0, 0.0, 0.0);
    let (mut k2_whole, mut k3_whole) = (0.0, 0.0);
    for k in (0..200).map(f64::from) {
        // The sums run over all integers and are even about their centre.
        let half = PI.powi(2) * (k + 0.5).powi(2);
        let weight = 2.0 * (-half / (2.0 * z2)).exp();
        k0 += weight;
        k1 += weight * (half - z2);
        k2 += weight * (6.0 * z6 + 2.0 * z4 + half * (2.0 * z4 - 5.0 * z2) + half.powi(2) * (1.0 - 2.0 * z2));
        k3 += weight
            * (half.powi(3) * (5.0 - 30.0 * z2)
                + half.powi(2) * (-60.0 * z2 + 212.0 * z4)
                + half * (135.0 * z4 - 96.0 * z6)
                - (30.0 * z6 + 90.0 * z8));
        let whole = PI.powi(2) * k.powi(2);
        let weight_whole = 2.0 * (-whole / (2.0 * z2)).exp();
        k2_whole += weight_whole * whole;
        k3_whole += weight_whole * (-whole.powi(2) + 3.0 * whole * z2);
        if weight == 0.0 {
            break;
        }
    }
    let unit = (PI / 2.0).sqrt();
    let k0 = unit / z * k0;
    let k1 = unit / (6.0 * z4) * k1;
    let k2 = unit * (k2 / (72.0 * z.powi(7)) - k2_whole / (36.0 * z.powi(3)));
    let k3 = unit * (k3 / (6480.0 * z.powi(10)) + k3_whole / (216.0 * z6));
    k0 + k1 / n.sqrt() + k2 / n + k3 / n.powf(1.5)
}
