//! A drift report as one HTML file: no script, no other file, light and dark.
//!
//! It is written for someone who has to decide, not for a statistician: the
//! verdict as a sentence on top, then what became more or less common, then
//! every feature with its number, its threshold and a picture.

mod chart;
mod summary;
mod text;

use std::fmt::Write;

use falaj_api::monitor::{DriftMethod, DriftReport, FeatureDrift, Performance, Verdict};

use crate::drift::compare::severity;
use text::{count, escape, fixed, percent, short};

pub use summary::summary;

const STYLE: &str = include_str!("style.css");

/// The report as an HTML page. Names and values are escaped, wherever they
/// come from.
pub fn html(report: &DriftReport) -> String {
    let (class, verdict) = match report.verdict {
        Verdict::Drift => ("drift", "Drift"),
        Verdict::NoMaterialDrift => ("stable", "No material drift"),
        Verdict::InsufficientData => ("unknown", "Not enough data"),
    };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{verdict}: {monitor}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <header class=\"verdict {class}\">\n<p class=\"kicker\">Drift report of <b>{monitor}</b></p>\n\
         <h1>{verdict}</h1>\n<p class=\"summary\">{summary}</p>\n</header>\n",
        monitor = escape(&report.monitor),
        summary = escape(&report.summary),
    );
    facts(&mut page, report);
    if let Some(performance) = &report.performance {
        quality(&mut page, performance);
    }
    changes(&mut page, report);
    if let Some(prediction) = &report.prediction {
        predictions(&mut page, prediction);
    }
    features(&mut page, report);
    page.push_str(NOTES);
    let _ = write!(
        page,
        "<footer>Report {}, made {} by Falaj.</footer>\n</main>\n</body>\n</html>\n",
        escape(&report.id),
        moment(&report.at.to_string())
    );
    page
}

/// Writing to a string cannot fail, so what `write!` returns is dropped here
/// and below.
fn facts(page: &mut String, report: &DriftReport) {
    let drifted = report.features.iter().filter(|f| f.drifted).count();
    let facts = [
        ("Endpoint", escape(&report.endpoint)),
        ("Model", format!("{}, version {}", escape(&report.model), report.model_version)),
        ("Looked at", format!("{} to {}", moment(&report.from.to_string()), moment(&report.until.to_string()))),
        ("Predictions looked at", count(report.rows_current)),
        ("Compared with", format!("{} rows known at training", count(report.rows_baseline))),
        ("Features changed", format!("{drifted} of {}", report.features.len())),
    ];
    page.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let _ = writeln!(page, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    page.push_str("</dl>\n");
}

fn quality(page: &mut String, performance: &Performance) {
    let Performance { metric, baseline, current, labelled_rows, min, breached } = performance;
    let difference = current - baseline;
    let floor = match min {
        Some(min) if *breached => format!("below the floor of {}", short(*min)),
        Some(min) => format!("above the floor of {}", short(*min)),
        None => "no floor is declared".to_owned(),
    };
    let _ = write!(
        page,
        "<section>\n<h2>How good the predictions were</h2>\n<div class=\"quality\">\n\
         <div class=\"figure\"><span>{name} at training</span><b>{before}</b></div>\n\
         <div class=\"figure {class}\"><span>{name} now</span><b>{now}</b></div>\n\
         <div class=\"figure\"><span>Change</span><b>{sign}{difference}</b></div>\n\
         </div>\n<p>Measured on the {rows} predictions whose outcome is known; {floor}.</p>\n</section>\n",
        name = escape(&metric_name(metric)),
        before = fixed(*baseline),
        now = fixed(*current),
        class = if *breached { "bad" } else { "" },
        sign = if difference < 0.0 { "\u{2212}" } else { "+" },
        difference = fixed(difference.abs()),
        rows = count(*labelled_rows),
    );
}

fn changes(page: &mut String, report: &DriftReport) {
    let sentences: Vec<String> =
        report.features.iter().filter(|f| f.drifted).take(6).filter_map(summary::change).collect();
    if sentences.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>What changed most</h2>\n<ul class=\"changes\">\n");
    for sentence in sentences {
        let _ = writeln!(page, "<li>{sentence}</li>");
    }
    page.push_str("</ul>\n</section>\n");
}

fn predictions(page: &mut String, prediction: &FeatureDrift) {
    let _ = write!(
        page,
        "<section>\n<h2>What the model answered</h2>\n{legend}{chart}\n<p>{method} {statistic}, threshold {threshold}: \
         the answers {verdict}.</p>\n</section>\n",
        legend = chart::LEGEND,
        chart = chart::large(&prediction.distribution),
        method = method_name(prediction.method),
        statistic = short(prediction.statistic),
        threshold = short(prediction.threshold),
        verdict = if prediction.drifted { "have changed" } else { "have not changed materially" },
    );
}

fn features(page: &mut String, report: &DriftReport) {
    if report.features.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<section>\n<h2>Every feature, most changed first</h2>\n{legend}<div class=\"scroll\">\n<table>\n<thead><tr>\
         <th>Feature</th><th>Verdict</th><th>Distribution</th><th>Change against its threshold</th>\
         <th class=\"number\">Value</th><th class=\"number\">Threshold</th><th>Method</th>\
         <th class=\"number\">Missing</th></tr></thead>\n<tbody>\n",
        legend = chart::LEGEND,
    );
    for feature in &report.features {
        let (class, word) = grade(feature);
        let p_value = feature.p_value.filter(|_| feature.method != DriftMethod::Psi);
        let p_value = p_value.map(|p| if p < 0.001 { ", p &lt; 0.001".to_owned() } else { format!(", p = {p:.3}") });
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{name}</th><td><span class=\"tag {class}\">{word}</span></td><td>{chart}</td>\
             <td>{meter}</td><td class=\"number\">{value}</td><td class=\"number\">{threshold}</td>\
             <td>{method}{p_value}</td><td class=\"number\">{missing}</td></tr>",
            name = escape(&feature.feature),
            chart = chart::small(&feature.distribution),
            meter = chart::meter(severity(feature), class),
            value = fixed(feature.statistic),
            threshold = fixed(feature.threshold),
            method = method_name(feature.method),
            p_value = p_value.unwrap_or_default(),
            missing = missing(feature),
        );
    }
    page.push_str("</tbody>\n</table>\n</div>\n</section>\n");
}

/// How much a feature changed, as a class and a word.
fn grade(feature: &FeatureDrift) -> (&'static str, &'static str) {
    match (feature.drifted, severity(feature)) {
        (true, severity) if severity >= 2.5 => ("strong", "changed strongly"),
        (true, severity) if severity > 1.0 => ("moderate", "changed"),
        (true, _) => ("moderate", "missing values"),
        (false, severity) if severity > 1.0 => ("calm", "could be chance"),
        (false, _) => ("calm", "stable"),
    }
}

fn missing(feature: &FeatureDrift) -> String {
    let (before, now) = (feature.missing_percent_baseline, feature.missing_percent_current);
    if before == 0.0 && now == 0.0 {
        return "none".to_owned();
    }
    format!("{} \u{2192} {}", percent(before / 100.0), percent(now / 100.0))
}

fn method_name(method: DriftMethod) -> &'static str {
    match method {
        DriftMethod::Auto | DriftMethod::Psi => "PSI",
        DriftMethod::KolmogorovSmirnov => "Kolmogorov-Smirnov D",
        DriftMethod::ChiSquared => "Cramér\u{2019}s V (chi-squared)",
        DriftMethod::JensenShannon => "Jensen-Shannon distance",
        DriftMethod::Wasserstein => "Wasserstein, in standard deviations",
    }
}

fn metric_name(metric: &str) -> String {
    match metric {
        "auc" | "rmse" | "mae" => metric.to_uppercase(),
        "r2" => "R\u{b2}".to_owned(),
        other => other.replace('_', " "),
    }
}

/// `2026-11-24 13:05 UTC` of an RFC 3339 timestamp in UTC.
fn moment(timestamp: &str) -> String {
    let minutes: String = timestamp.chars().take(16).collect();
    format!("<time>{} UTC</time>", escape(&minutes.replace('T', " ")))
}

const NOTES: &str = "<section class=\"notes\">\n<h2>How to read this</h2>\n\
<p>A feature has changed when its value is over its threshold. Values measure the size of a change, not how sure one \
can be of it, so they mean the same for a thousand rows and for a million. Where few rows would let chance look like a \
change, the change must also be one that chance explains less than once in a hundred times.</p>\n\
<p><b>PSI</b>, the population stability index, adds up over all groups how much more or less frequent each became: \
under 0.1 little, from 0.25 on a lot. <b>Kolmogorov-Smirnov D</b> is the largest gap between the two cumulative \
curves. <b>Cram\u{e9}r\u{2019}s V</b> goes from 0, same shares, to 1, nothing in common; so does the \
<b>Jensen-Shannon distance</b>. <b>Wasserstein</b> is how far the values moved on average.</p>\n\
<p>Drift says that the people or things the model sees are no longer those it learned from. Whether its answers got \
worse only the outcomes can say.</p>\n</section>\n";
