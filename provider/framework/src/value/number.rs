//! Numbers of the Terraform language, kept exactly.

use std::cmp::Ordering;
use std::fmt;

/// Digits beyond which a number from outside is refused, so that a hostile
/// exponent cannot ask for gigabytes of zeros.
const MAX_DIGITS: usize = 4096;
/// How many places an exponent may move the point. Hosts write numbers without
/// one; this is more than a double ever needs.
const MAX_EXPONENT: u64 = 512;

/// A decimal number of any precision.
///
/// Held in one canonical form, so equal numbers compare equal however they
/// were written: as an integer if it is one and fits 64 bits, else as a double
/// if that is exact, else as its decimal digits. `0.1` is not exact as a
/// double and therefore stays `0.1`.
#[derive(Clone, PartialEq)]
pub struct Number(Repr);

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Repr {
    Int(i64),
    Float(f64),
    Decimal(Box<str>),
}

impl Number {
    /// Reads decimal notation, with or without an exponent.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = plain_digits(text)?;
        if let Ok(int) = plain.parse::<i64>() {
            return Some(Self(Repr::Int(int)));
        }
        let float: f64 = plain.parse().ok()?;
        let fraction = plain.split_once('.').map_or(0, |(_, digits)| digits.len());
        if float.is_finite() && format!("{float:.fraction$}") == plain && exact(float, fraction) {
            return Some(Self(Repr::Float(float)));
        }
        Some(Self(Repr::Decimal(plain.into())))
    }

    /// The exact value of a double, as the wire carries it. `None` if it is
    /// infinite or not a number.
    pub fn from_exact(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        // Every integral double between these bounds is an `i64`.
        let bound = 2f64.powi(63);
        if float.fract() == 0.0 && (-bound..bound).contains(&float) {
            return format!("{float:.0}").parse().ok().map(|int| Self(Repr::Int(int)));
        }
        Some(Self(Repr::Float(float)))
    }

    /// The number a person means by a double: its shortest decimal form.
    /// `None` if it is infinite or not a number.
    pub fn from_f64(float: f64) -> Option<Self> {
        float.is_finite().then(|| Self::parse(&format!("{float}"))).flatten()
    }

    /// The integer it is, if it is one that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(int) => Some(*int),
            Repr::Float(_) | Repr::Decimal(_) => None,
        }
    }

    /// The nearest double.
    pub fn as_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(int) => *int as f64,
            Repr::Float(float) => *float,
            Repr::Decimal(digits) => digits.parse().unwrap_or(f64::NAN),
        }
    }

    pub(crate) fn repr(&self) -> &Repr {
        &self.0
    }
}

/// Whether `fraction` decimal digits suffice to write the double exactly: a
/// double with k binary fraction digits needs just k decimal ones.
fn exact(float: f64, fraction: usize) -> bool {
    let scale = i32::try_from(fraction).map_or(f64::INFINITY, |digits| 2f64.powi(digits));
    (float * scale).fract() == 0.0
}

/// All the digits of a double, of which its shortest form says only enough to
/// find it again among doubles.
fn exact_digits(float: f64) -> String {
    // No double has more binary, and so decimal, fraction digits.
    let digits = if float.fract() == 0.0 { format!("{float:.0}") } else { format!("{float:.1074}") };
    plain_digits(&digits).unwrap_or(digits)
}

/// Plain notation without exponent, leading or trailing zeros or a plus sign.
fn plain_digits(text: &str) -> Option<String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if exponent.unsigned_abs() > MAX_EXPONENT {
        return None;
    }
    let point = i64::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let padded = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => format!("{digits:0<point$}."),
        Ok(point) => format!("{}.{}", digits.get(..point)?, digits.get(point..)?),
        Err(_) => format!(".{}{digits}", "0".repeat(usize::try_from(-point).ok()?)),
    };
    let (whole, fraction) = padded.split_once('.')?;
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    let sign = if negative && (whole != "0" || !fraction.is_empty()) { "-" } else { "" };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

impl From<i64> for Number {
    fn from(int: i64) -> Self {
        Self(Repr::Int(int))
    }
}

impl From<u32> for Number {
    fn from(int: u32) -> Self {
        Self(Repr::Int(int.into()))
    }
}

impl From<i32> for Number {
    fn from(int: i32) -> Self {
        Self(Repr::Int(int.into()))
    }
}

impl From<u64> for Number {
    fn from(int: u64) -> Self {
        Self::parse(&int.to_string()).unwrap_or(Self(Repr::Decimal(int.to_string().into())))
    }
}

impl PartialOrd for Number {
    /// By value; numbers too close for a double to tell apart compare by it.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.partial_cmp(b),
            _ => self.as_f64().partial_cmp(&other.as_f64()),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Int(int) => write!(f, "{int}"),
            Repr::Float(float) => f.write_str(&exact_digits(*float)),
            Repr::Decimal(digits) => f.write_str(digits),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_equal_however_written() {
        for (a, b) in [("1", "1.0"), ("1e3", "1000"), ("-0", "0"), ("0.50", "5e-1"), ("+7", "007")] {
            assert_eq!(Number::parse(a), Number::parse(b), "{a} {b}");
        }
        assert_eq!(Number::parse("0.5"), Number::from_exact(0.5));
        assert_eq!(Number::parse("1"), Number::from_exact(1.0));
        assert_eq!(Number::parse("9223372036854775808"), Number::from_exact(9_223_372_036_854_775_808.0));
    }

    #[test]
    fn a_tenth_is_not_the_double_nearest_to_it() {
        assert_ne!(Number::parse("0.1"), Number::from_exact(0.1));
        assert_eq!(Number::parse("0.1"), Number::from_f64(0.1));
        assert!(matches!(Number::parse("0.1").map(|n| n.0), Some(Repr::Decimal(_))));
        assert!(matches!(Number::parse("0.25").map(|n| n.0), Some(Repr::Float(_))));
    }

    #[test]
    fn integers_beyond_two_to_the_53_are_kept() {
        let big = Number::parse("9007199254740993");
        assert_eq!(big.and_then(|n| n.as_i64()), Some(9_007_199_254_740_993));
        let bigger = "18446744073709551617.5";
        assert_eq!(Number::parse(bigger).map(|n| n.to_string()).as_deref(), Some(bigger));
    }

    #[test]
    fn a_double_is_written_with_all_its_digits() {
        let written = |float: f64| Number::from_exact(float).map(|number| number.to_string());
        assert_eq!(written(2f64.powi(64)).as_deref(), Some("18446744073709551616"));
        assert_eq!(written(2f64.powi(-20)).as_deref(), Some("0.00000095367431640625"));
        assert_eq!(written(0.5).as_deref(), Some("0.5"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for bad in ["", ".", "-", "1x", "1e", "1e99999999999", "1e999999", "inf", "NaN", "--1", "0x1"] {
            assert_eq!(Number::parse(bad), None, "{bad}");
        }
    }
}
