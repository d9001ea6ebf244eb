//! Durations in Prometheus form: `90s`, `15m`, `1h30m`, `30d`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time, written the way Prometheus writes it. Two spellings of
/// one length (`60m`, `1h`) are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(std::time::Duration);

/// Unit and its length in milliseconds, longest first: the order in which a
/// duration must be written.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Duration {
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    #[must_use]
    pub const fn as_std(self) -> std::time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a duration: write numbers with units y, w, d, h, m, s, ms from long to short, such as \"90s\", \"15m\", \"1h30m\" or \"30d\""
            )
        };
        let mut rest = text;
        let mut millis: u64 = 0;
        let mut next_unit = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (number, tail) = rest.split_at(digits);
            let number: u64 = number.parse().map_err(|_| wrong())?;
            let unit_length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_length);
            let index = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(wrong)?;
            if index < next_unit {
                return Err(wrong());
            }
            next_unit = index + 1;
            let (_, length) = UNITS[index];
            millis = number.checked_mul(length).and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
            rest = tail;
        }
        if text.is_empty() {
            return Err(wrong());
        }
        Ok(Self(std::time::Duration::from_millis(millis)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        // Weeks and years are never written: `30d` reads better than `4w2d`.
        for (unit, length) in UNITS.iter().skip(2) {
            let length = u128::from(*length);
            if millis >= length {
                write!(f, "{}{unit}", millis / length)?;
                millis %= length;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn equal_lengths_are_equal_whatever_their_spelling() {
        let parse = |text: &str| text.parse::<Duration>().unwrap();
        assert_eq!(parse("60m"), parse("1h"));
        assert_eq!(parse("1d"), parse("24h"));
        assert_eq!(parse("1h30m").to_string(), "1h30m");
        assert_eq!(parse("30d").to_string(), "30d");
        assert_eq!(parse("1500ms").to_string(), "1s500ms");
    }

    #[test]
    fn what_prometheus_would_not_read_is_refused() {
        for bad in ["", "5", "m", "5 m", "5m5h", "5m5m", "-5m", "1.5h", "5min", "99999999999999999999d"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad}");
        }
    }
}
