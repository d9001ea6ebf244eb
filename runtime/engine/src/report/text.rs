//! Numbers and names as text for people, safe inside HTML.

/// The text with everything escaped that means something in HTML, in elements
/// and in quoted attributes. Control characters, which HTML cannot hold,
/// become the replacement character.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && !c.is_whitespace() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `68,785`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A share as a percentage with as many digits as tell something.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0 => "0 %".to_owned(),
        p if p < 0.1 => "under 0.1 %".to_owned(),
        p if p < 9.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// Up to three digits behind the point, without zeros at the end.
pub fn short(number: f64) -> String {
    if !number.is_finite() {
        return "\u{2013}".to_owned();
    }
    if number != 0.0 && number.abs() < 0.001 {
        return "under 0.001".to_owned();
    }
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Three digits behind the point, for columns of numbers.
pub fn fixed(number: f64) -> String {
    if number.is_finite() { format!("{number:.3}") } else { "\u{2013}".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!(
            escape("<img src=x onerror='a()'>&\"\u{1}"),
            "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;\u{fffd}"
        );
    }

    #[test]
    fn numbers_are_short_and_grouped() {
        assert_eq!(count(68_785), "68,785");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(short(0.1), "0.1");
        assert_eq!(short(100.0), "100");
        assert_eq!(short(0.39452), "0.395");
        assert_eq!(short(0.00001), "under 0.001");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0312), "3.1 %");
        assert_eq!(percent(0.42), "42 %");
    }
}
