//! Rules for what goes to Kubernetes, so that it is refused at plan and with its
//! path, not by the API server half-way.

use std::net::IpAddr;

use tfplugin::Value;
use tfplugin::schema::Validator;

use super::rules::text;

/// An image by digest.
pub fn image() -> Validator {
    text(|text| {
        let digest = text.split_once("@sha256:");
        let right = digest.is_some_and(|(name, digest)| {
            !name.is_empty()
                && !name.contains(char::is_whitespace)
                && digest.len() == 64
                && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        });
        right.then_some(()).ok_or_else(|| {
            format!("{text:?} does not name an image by digest: write NAME@sha256:DIGEST, as `falaj image push` prints it, since a tag can come to mean another image")
        })
    })
}

/// The name of a namespace.
pub fn namespace() -> Validator {
    text(|text| {
        is_label(text).then_some(()).ok_or_else(|| {
            format!("{text:?} is not the name of a namespace: at most 63 lower-case letters, digits and hyphens, such as \"falaj-retail\"")
        })
    })
}

/// The name of an object, such as a Secret.
pub fn object_name() -> Validator {
    text(|text| {
        (text.len() <= 253 && text.split('.').all(is_label)).then_some(()).ok_or_else(|| {
            format!("{text:?} is not the name of an object in Kubernetes: lower-case letters, digits, hyphens and dots")
        })
    })
}

/// The key of a label.
pub fn label_key() -> Validator {
    text(|text| {
        let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
        let right = is_word(name) && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label));
        right
            .then_some(())
            .ok_or_else(|| format!("{text:?} is not the key of a label: write it as \"topology.kubernetes.io/region\""))
    })
}

/// The value of a label.
pub fn label_value() -> Validator {
    text(|text| {
        (text.is_empty() || is_word(text)).then_some(()).ok_or_else(|| {
            format!("{text:?} is not the value of a label: at most 63 letters, digits, hyphens, dots and underscores")
        })
    })
}

/// An amount of a resource, such as `500m` or `10Gi`.
pub fn quantity() -> Validator {
    text(|text| {
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = &text[number.len()..];
        let right = number.parse::<f64>().is_ok_and(|number| number.is_finite() && number >= 0.0)
            && !number.starts_with(['+', '-'])
            && ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].contains(&unit);
        right.then_some(()).ok_or_else(|| {
            format!("{text:?} is not an amount: write it as Kubernetes does, such as \"500m\" or \"10Gi\"")
        })
    })
}

/// A block of addresses.
pub fn cidr() -> Validator {
    text(|text| {
        let right = text.split_once('/').is_some_and(|(address, bits)| {
            let most = match address.parse() {
                Ok(IpAddr::V4(_)) => 32,
                Ok(IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        });
        right.then_some(()).ok_or_else(|| {
            format!("{text:?} is not a block of addresses: write it in CIDR form, such as \"10.20.0.0/16\" or \"203.0.113.7/32\"")
        })
    })
}

/// An address of an API server.
pub fn host() -> Validator {
    text(|text| {
        let rest = text.strip_prefix("https://").unwrap_or_default();
        (!rest.is_empty() && !rest.contains(char::is_whitespace)).then_some(()).ok_or_else(|| {
            format!(
                "{text:?} is not the address of an API server: write it with https, such as \"https://10.0.0.1:6443\""
            )
        })
    })
}

/// Certificates, PEM.
pub fn certificate() -> Validator {
    text(|text| {
        text.contains("-----BEGIN CERTIFICATE-----").then_some(()).ok_or_else(|| {
            "is not a certificate in PEM: it begins with -----BEGIN CERTIFICATE-----; read it with file() or base64decode()".to_owned()
        })
    })
}

/// The same rule for each key of a map.
pub fn keys(rule: Validator) -> Validator {
    Validator::new(move |value| match value {
        Value::Map(entries) => entries.keys().try_for_each(|key| rule.check(&Value::from(key.as_str()))),
        _ => Ok(()),
    })
}

/// The name of a variable.
pub fn variable() -> Validator {
    text(|text| {
        let right = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !right {
            return Err(format!(
                "{text:?} is not the name of a variable: letters, digits and underscores, such as \"AWS_REGION\""
            ));
        }
        if text == "FALAJ_NODE_NAME" || text == "FALAJ_POD_NAME" {
            return Err(format!("{text:?} is set by the provider: leave it out"));
        }
        Ok(())
    })
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_word(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

#[cfg(test)]
mod tests {
    use tfplugin::Value;

    #[test]
    fn a_wrong_value_is_answered_with_a_right_one() {
        let digest = "0123456789abcdef".repeat(4);
        for (rule, right, wrong, hint) in [
            (super::image(), format!("r:5000/falaj@sha256:{digest}"), "falaj:latest", "@sha256:"),
            (super::namespace(), "falaj-retail".into(), "Falaj", "falaj-retail"),
            (super::object_name(), "aws.credentials".into(), "aws_credentials", "hyphens"),
            (super::label_key(), "topology.kubernetes.io/region".into(), "a b", "topology"),
            (super::label_value(), "me-central-1".into(), "onprem:x", "letters"),
            (super::quantity(), "1.5Gi".into(), "10 GB", "10Gi"),
            (super::quantity(), "250m".into(), "-1", "500m"),
            (super::cidr(), "10.0.0.0/8".into(), "10.0.0.0", "CIDR"),
            (super::cidr(), "fd00::/8".into(), "10.0.0.0/33", "CIDR"),
            (super::host(), "https://1.2.3.4:6443".into(), "1.2.3.4", "https"),
            (super::variable(), "AWS_REGION".into(), "AWS-REGION", "AWS_REGION"),
        ] {
            assert_eq!(rule.check(&Value::from(right.as_str())), Ok(()), "{right}");
            let problem = rule.check(&Value::from(wrong)).unwrap_err();
            assert!(problem.contains(hint), "{wrong}: {problem}");
            assert_eq!(rule.check(&Value::unknown()), Ok(()));
        }
    }
}
