//! Rules for configured values: the contract's own parsers.

use std::str::FromStr;

use tfplugin::Value;
use tfplugin::schema::Validator;

pub(super) fn text(check: impl Fn(&str) -> Result<(), String> + Send + Sync + 'static) -> Validator {
    Validator::new(move |value| match value.as_str() {
        Some(text) => check(text).map_err(|problem| format!("is not right: {problem}")),
        None => Ok(()),
    })
}

fn parses<T: FromStr<Err = String>>() -> Validator {
    text(|text| text.parse::<T>().map(|_| ()))
}

/// A name of a declared object.
pub fn name() -> Validator {
    text(falaj_api::name::check)
}

/// A cloud-qualified region.
pub fn region() -> Validator {
    parses::<falaj_api::Region>()
}

/// An ISO 3166-1 country code, or `EU`.
pub fn jurisdiction() -> Validator {
    text(falaj_api::region::check_jurisdiction)
}

/// The URI of a key.
pub fn key_uri() -> Validator {
    parses::<falaj_api::KeyUri>()
}

/// A duration that the runtime reads too.
pub fn duration() -> Validator {
    parses::<falaj_api::Duration>()
}

/// A moment in UTC.
pub fn timestamp() -> Validator {
    text(|text| {
        text.parse::<jiff::Timestamp>().map(|_| ()).map_err(|_| {
            format!("{text:?} is not a moment: write it as RFC 3339 does, such as \"2015-01-01T00:00:00Z\"")
        })
    })
}

/// Whether two spellings are one moment.
pub fn same_moment(a: &Value, b: &Value) -> bool {
    let moment = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    matches!((moment(a), moment(b)), (Some(a), Some(b)) if a == b)
}

/// A user, a group or a service.
pub fn principal() -> Validator {
    text(|text| match text.split_once(':') {
        Some(("user" | "group" | "service", name)) if !name.is_empty() => Ok(()),
        _ => Err(format!("{text:?} is not a principal: write user:NAME, group:NAME or service:NAME")),
    })
}

/// An ISO 4217 code, by its form.
pub fn currency() -> Validator {
    text(|text| {
        if text.len() == 3 && text.chars().all(|c| c.is_ascii_uppercase()) {
            return Ok(());
        }
        Err(format!("{text:?} is not a currency: write three capitals as in ISO 4217, such as \"AED\""))
    })
}

/// Five fields of cron, by their number; the runtime reads them.
pub fn cron() -> Validator {
    text(|text| match text.split_whitespace().count() {
        5 => Ok(()),
        fields => Err(format!(
            "{text:?} has {fields} fields, not five: minute, hour, day of month, month, day of week, such as \"*/15 * * * *\""
        )),
    })
}

/// A whole number of at least `least`.
pub fn at_least(least: u32) -> Validator {
    Validator::new(move |value| match value {
        Value::Number(number) if number.as_f64() < f64::from(least) => {
            Err(format!("must be at least {least}; {number} was given"))
        }
        _ => Ok(()),
    })
}

/// A number above zero.
pub fn positive() -> Validator {
    Validator::new(|value| match value {
        Value::Number(number) if number.as_f64() <= 0.0 => Err(format!("must be above 0; {number} was given")),
        _ => Ok(()),
    })
}

/// A share between none and all, both excluded.
pub fn share_percent() -> Validator {
    Validator::new(|value| match value {
        Value::Number(number) if !(number.as_f64() > 0.0 && number.as_f64() < 100.0) => {
            Err(format!("must be above 0 and below 100; {number} was given"))
        }
        _ => Ok(()),
    })
}

/// A source that the runtime reads itself.
pub fn source_uri() -> Validator {
    text(|text| match text.strip_prefix("file://") {
        Some(path) if path.starts_with('/') => Ok(()),
        _ => Err(format!(
            "{text:?} is not a source: write \"file:///absolute/path\" of a file on the runtime's machine, or use path to upload one"
        )),
    })
}

#[cfg(test)]
mod tests {
    use tfplugin::Value;

    #[test]
    fn a_wrong_value_is_answered_with_a_right_one() {
        for (rule, wrong, hint) in [
            (super::name(), "Retail", "people"),
            (super::region(), "me-central-1", "aws:me-central-1"),
            (super::jurisdiction(), "UAE", "AE"),
            (super::key_uri(), "vault://x", "aws-kms://"),
            (super::duration(), "5 minutes", "15m"),
            (super::timestamp(), "2015", "2015-01-01T00:00:00Z"),
            (super::principal(), "ml-people", "group:NAME"),
            (super::currency(), "dirham", "AED"),
            (super::cron(), "* * * *", "*/15"),
            (super::source_uri(), "s3:bucket", "file:///"),
        ] {
            let problem = rule.check(&Value::from(wrong)).unwrap_err();
            assert!(problem.contains(hint), "{wrong}: {problem}");
            assert_eq!(rule.check(&Value::unknown()), Ok(()));
        }
    }

    #[test]
    fn one_moment_in_two_zones_is_the_same() {
        assert!(super::same_moment(&Value::from("2015-01-01T04:00:00+04:00"), &Value::from("2015-01-01T00:00:00Z")));
        assert!(!super::same_moment(&Value::from("2015-01-01T00:00:00Z"), &Value::from("2015-01-02T00:00:00Z")));
    }
}
