//! Two samples as a handful of bins that a person can look at.

use falaj_api::monitor::Distribution;

use super::{Categories, Numbers, Sample};

/// At most this many bars for categories, the last of them for all others.
const MOST_CATEGORIES: usize = 14;

/// The bar for the categories that have none of their own.
pub const OTHERS: &str = "all others";

/// Numbers with no more values than this get a bar for each.
const MOST_VALUES: usize = 12;

/// Shares by category or interval, of the rows that have a value. The tests do
/// not use these bins: they are for the eye.
pub fn distribution(baseline: &Sample, current: &Sample) -> Distribution {
    match (baseline, current) {
        (Sample::Numeric(baseline), Sample::Numeric(current)) => numbers(baseline, current),
        (Sample::Categorical(baseline), Sample::Categorical(current)) => categories(baseline, current),
        _ => Distribution { bins: Vec::new(), baseline: Vec::new(), current: Vec::new() },
    }
}

fn categories(baseline: &Categories, current: &Categories) -> Distribution {
    let mut cells = baseline.aligned(current);
    // In the order of the names where all fit, else the most frequent first.
    let mut others = None;
    if cells.len() > MOST_CATEGORIES {
        cells.sort_by(|a, b| (b.1 + b.2).cmp(&(a.1 + a.2)).then(a.0.cmp(b.0)));
        let rest = cells.split_off(MOST_CATEGORIES - 1);
        others = Some(rest.iter().fold((0, 0), |sum, cell| (sum.0 + cell.1, sum.1 + cell.2)));
    } else {
        cells.sort_by(|a, b| match (a.0.parse::<f64>(), b.0.parse::<f64>()) {
            (Ok(a), Ok(b)) => a.total_cmp(&b),
            _ => a.0.cmp(b.0),
        });
    }
    let mut bins: Vec<String> = cells.iter().map(|(value, _, _)| (*value).to_owned()).collect();
    let (mut before, mut after): (Vec<u64>, Vec<u64>) = cells.iter().map(|(_, a, b)| (*a, *b)).unzip();
    if let Some((a, b)) = others {
        bins.push(OTHERS.to_owned());
        before.push(a);
        after.push(b);
    }
    Distribution { bins, baseline: shares(&before), current: shares(&after) }
}

fn numbers(baseline: &Numbers, current: &Numbers) -> Distribution {
    let values = distinct(baseline, current);
    let (bins, edges) = if values.len() <= MOST_VALUES {
        let edges = values.iter().skip(1).copied().collect();
        (values.iter().map(ToString::to_string).collect(), edges)
    } else {
        let edges = even_edges(baseline, current);
        (labels(&edges), edges)
    };
    Distribution { bins, baseline: shares(&baseline.histogram(&edges)), current: shares(&current.histogram(&edges)) }
}

/// The values in either sample; stops once there are too many.
fn distinct(baseline: &Numbers, current: &Numbers) -> Vec<f64> {
    let mut values = Vec::new();
    for sample in [baseline.sorted(), current.sorted()] {
        for run in sample.chunk_by(|a, b| a == b) {
            values.extend(run.first());
            if values.len() > 2 * MOST_VALUES + 1 {
                return values;
            }
        }
    }
    values.sort_unstable_by(f64::total_cmp);
    values.dedup();
    values
}

/// Multiples of a round step over where nearly all rows of both samples lie.
fn even_edges(baseline: &Numbers, current: &Numbers) -> Vec<f64> {
    let bound = |q: f64, pick: fn(f64, f64) -> f64| {
        [baseline, current].into_iter().filter_map(|s| s.quantile(q)).reduce(pick).unwrap_or_default()
    };
    let (low, high) = (bound(0.005, f64::min), bound(0.995, f64::max));
    let rough = (high - low) / 14.0;
    if !(rough > 0.0 && rough.is_finite()) {
        return vec![low];
    }
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= rough).unwrap_or(10.0);
    let step = factor * power;
    let (first, last) = ((low / step).floor() as i64 + 1, (high / step).ceil() as i64 - 1);
    // Dividing by the reciprocal keeps 0.3 from becoming 0.30000000000000004.
    let edge = |i: i64| if step < 1.0 { i as f64 / (1.0 / step).round() } else { i as f64 * step };
    (first..=last.max(first)).map(edge).collect()
}

fn labels(edges: &[f64]) -> Vec<String> {
    let mut labels = Vec::new();
    labels.extend(edges.first().map(|edge| format!("under {edge}")));
    labels.extend(edges.windows(2).filter_map(|pair| match pair {
        [from, to] => Some(format!("[{from}, {to})")),
        _ => None,
    }));
    labels.extend(edges.last().map(|edge| format!("{edge} and over")));
    labels
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let all = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|count| *count as f64 / all).collect()
}
