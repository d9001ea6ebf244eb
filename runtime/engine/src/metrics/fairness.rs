//! How often each group of people gets the favourable answer.

use std::collections::BTreeMap;

use falaj_api::model::Parity;

/// Groups with fewer rows are shown but not held against the others: at 30
/// rows the standard error of a rate is still up to 9 points.
pub const SMALLEST_GROUP: u64 = 30;

/// Demographic parity: the selection rate of every group, and the largest
/// difference between two groups of at least [`SMALLEST_GROUP`] rows (0 if
/// fewer than two are that large). Rows without a group are the group `""`.
pub fn demographic_parity<'a>(
    groups: impl IntoIterator<Item = Option<&'a str>>,
    selected: impl IntoIterator<Item = bool>,
) -> Parity {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (group, selected) in groups.into_iter().zip(selected) {
        let count = counts.entry(group.unwrap_or_default()).or_default();
        count.0 += 1;
        count.1 += u64::from(selected);
    }
    let rate = |(rows, chosen): &(u64, u64)| *chosen as f64 / *rows as f64;
    let large = || counts.values().filter(|(rows, _)| *rows >= SMALLEST_GROUP).map(rate);
    let (highest, lowest) = (large().reduce(f64::max), large().reduce(f64::min));
    Parity {
        gap: highest.zip(lowest).map_or(0.0, |(high, low)| high - low),
        selection_rates: counts.iter().map(|(group, c)| ((*group).to_owned(), rate(c))).collect(),
    }
}
