//! What happened, in a sentence.

use falaj_api::monitor::{DriftMethod, FeatureDrift, Performance, Verdict};

use super::text::{escape, fixed, percent, short};
use super::{method_name, metric_name};
use crate::drift::compare::{FEWEST_ROWS, Outcome};
use crate::drift::distribution::OTHERS;

/// The verdict as a sentence or two for a person; plain text.
pub fn summary(outcome: &Outcome, performance: Option<&Performance>) -> String {
    let all = outcome.features.len();
    let drifted: Vec<&FeatureDrift> = outcome.features.iter().filter(|f| f.drifted).collect();
    let mut text = match outcome.verdict {
        Verdict::InsufficientData => format!(
            "Only {} {} came in; at least {FEWEST_ROWS} are needed to say whether anything changed.",
            outcome.rows_current,
            if outcome.rows_current == 1 { "prediction" } else { "predictions" },
        ),
        Verdict::NoMaterialDrift => match outcome.features.first() {
            Some(most) => format!(
                "None of {all} features changed materially; the largest change is {} ({}, threshold {}).",
                most.feature,
                value(most),
                short(most.threshold)
            ),
            None => "The answers have not changed materially.".to_owned(),
        },
        Verdict::Drift if drifted.is_empty() => {
            "The answers of the model changed materially, though none of its features did.".to_owned()
        }
        Verdict::Drift => {
            let named: Vec<String> = drifted.iter().take(5).map(|f| format!("{} ({})", f.feature, value(f))).collect();
            let more = drifted.len().saturating_sub(5);
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{} of {all} features changed materially: {}{others}.", drifted.len(), named.join(", "))
        }
    };
    if let Some(performance) = performance {
        text.push(' ');
        text.push_str(&quality(performance));
    }
    text
}

fn quality(performance: &Performance) -> String {
    let Performance { metric, baseline, current, min, breached, .. } = performance;
    let floor = match min {
        Some(min) if *breached => format!(", below the floor of {}", short(*min)),
        _ => String::new(),
    };
    format!("{} is {}, {} at training{floor}.", metric_name(metric), fixed(*current), fixed(*baseline))
}

fn value(feature: &FeatureDrift) -> String {
    let missing = feature.missing_percent_current - feature.missing_percent_baseline;
    if feature.drifted && feature.statistic <= feature.threshold && missing != 0.0 {
        return format!(
            "missing {}, was {}",
            percent(feature.missing_percent_current / 100.0),
            percent(feature.missing_percent_baseline / 100.0)
        );
    }
    let method = match feature.method {
        DriftMethod::ChiSquared => "Cram\u{e9}r\u{2019}s V",
        DriftMethod::Wasserstein => "Wasserstein",
        other => method_name(other),
    };
    format!("{method} {}", short(feature.statistic))
}

/// What became more and less frequent in a feature, as HTML.
pub(super) fn change(feature: &FeatureDrift) -> Option<String> {
    let bins = &feature.distribution;
    let shares = bins.baseline.iter().zip(&bins.current);
    let moves = bins.bins.iter().zip(shares).map(|(bin, (before, now))| (bin, *before, *now));
    let moves: Vec<(&String, f64, f64)> = moves.filter(|(bin, _, _)| *bin != OTHERS).collect();
    let difference = |(_, before, now): &(&String, f64, f64)| now - before;
    let up = moves.iter().max_by(|a, b| difference(a).total_cmp(&difference(b)))?;
    let down = moves.iter().min_by(|a, b| difference(a).total_cmp(&difference(b)))?;
    let say = |(bin, before, now): &(&String, f64, f64), word: &str| {
        format!("<q>{}</q> {word} from {} to {}", escape(&in_words(bin)), percent(*before), percent(*now))
    };
    let mut parts = Vec::new();
    if difference(up) > 0.005 {
        parts.push(say(up, "rose"));
    }
    if difference(down) < -0.005 {
        parts.push(say(down, "fell"));
    }
    let missing = feature.missing_percent_current - feature.missing_percent_baseline;
    if missing.abs() >= 1.0 {
        parts.push(format!(
            "missing values went from {} to {}",
            percent(feature.missing_percent_baseline / 100.0),
            percent(feature.missing_percent_current / 100.0)
        ));
    }
    if parts.is_empty() {
        return None;
    }
    Some(format!("<b>{}</b>: {}", escape(&feature.feature), parts.join(", ")))
}

/// `20 to 30` of `[20, 30)`.
fn in_words(bin: &str) -> String {
    let interval = bin.strip_prefix('[').and_then(|rest| rest.strip_suffix(')')).and_then(|rest| rest.split_once(", "));
    match interval {
        Some((from, until)) => format!("{from} to {until}"),
        None => bin.to_owned(),
    }
}
