//! Pictures as inline SVG; colours come from the page's style sheet.

use std::fmt::Write;

use falaj_api::monitor::Distribution;

use super::text::{escape, percent};

/// What the two kinds of bars are.
pub const LEGEND: &str = "<p class=\"legend\"><span class=\"key before\"></span>at training <span class=\"key \
                          now\"></span>now</p>\n";

/// A distribution the size of a table cell; shares show when hovered over.
pub fn small(distribution: &Distribution) -> String {
    bars(distribution, 180.0, 44.0, false)
}

/// A distribution as wide as the page, with its bins named.
pub fn large(distribution: &Distribution) -> String {
    bars(distribution, 760.0, 180.0, true)
}

/// Wide bars are the baseline, narrow ones in front of them are now.
fn bars(distribution: &Distribution, width: f64, height: f64, named: bool) -> String {
    let rows = distribution.bins.iter().zip(distribution.baseline.iter().zip(&distribution.current));
    let highest = distribution.baseline.iter().chain(&distribution.current).copied().fold(1e-9, f64::max);
    let slot = width / distribution.bins.len().max(1) as f64;
    let foot = if named { 22.0 } else { 0.0 };
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {}\" role=\"img\" aria-label=\"shares at training and now\">",
        height + foot
    );
    for (index, (bin, (before, now))) in rows.enumerate() {
        let left = index as f64 * slot;
        let tall = |share: f64| (share / highest * (height - 2.0)).max(if share > 0.0 { 1.0 } else { 0.0 });
        let _ = write!(
            svg,
            "<g><title>{bin}: {before_text} at training, {now_text} now</title>\
             <rect class=\"slot\" x=\"{left:.1}\" y=\"0\" width=\"{slot:.1}\" height=\"{height}\"/>\
             <rect class=\"before\" x=\"{before_left:.1}\" y=\"{before_top:.1}\" width=\"{before_width:.1}\" \
             height=\"{before_tall:.1}\"/>\
             <rect class=\"now\" x=\"{now_left:.1}\" y=\"{now_top:.1}\" width=\"{now_width:.1}\" \
             height=\"{now_tall:.1}\"/>",
            bin = escape(bin),
            before_text = percent(*before),
            now_text = percent(*now),
            before_left = left + slot * 0.08,
            before_top = height - tall(*before),
            before_width = slot * 0.84,
            before_tall = tall(*before),
            now_left = left + slot * 0.32,
            now_top = height - tall(*now),
            now_width = slot * 0.36,
            now_tall = tall(*now),
        );
        if named {
            let middle = left + slot / 2.0;
            let _ =
                write!(svg, "<text x=\"{middle:.1}\" y=\"{:.1}\">{}</text>", height + 16.0, escape(&axis_label(bin)));
        }
        svg.push_str("</g>");
    }
    let _ = write!(svg, "<line class=\"axis\" x1=\"0\" y1=\"{height}\" x2=\"{width}\" y2=\"{height}\"/></svg>");
    svg
}

/// `0.2` of `[0.2, 0.3)`: where a bin begins is enough under an axis.
fn axis_label(bin: &str) -> String {
    match bin.strip_prefix('[').and_then(|rest| rest.split_once(',')) {
        Some((from, _)) => from.to_owned(),
        None => bin.replace("under ", "< ").replace(" and over", "+"),
    }
}

/// How far a value is along to its threshold, which is the mark; it ends at
/// four times the threshold.
pub fn meter(severity: f64, class: &str) -> String {
    let (width, end) = (160.0, 4.0);
    let filled = (severity.clamp(0.0, end) / end * width).max(1.0);
    let mark = width / end;
    format!(
        "<svg class=\"meter\" viewBox=\"0 0 {width} 14\" role=\"img\" aria-label=\"{severity:.1} times its threshold\">\
         <title>{severity:.1} times its threshold</title><rect class=\"track\" y=\"3\" width=\"{width}\" height=\"8\" \
         rx=\"4\"/><rect class=\"{class}\" y=\"3\" width=\"{filled:.1}\" height=\"8\" rx=\"4\"/><line class=\"mark\" \
         x1=\"{mark}\" y1=\"0\" x2=\"{mark}\" y2=\"14\"/></svg>"
    )
}
