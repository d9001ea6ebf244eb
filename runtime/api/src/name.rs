//! Names of declared objects.

/// Checks a name: 2 to 63 characters, lower-case ASCII letters, digits and
/// hyphens, starting with a letter and ending with a letter or digit.
///
/// Names become parts of ids, certificate names and Kubernetes objects, so
/// the rule is DNS-1123's label with a letter in front.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub fn check(name: &str) -> Result<(), String> {
    let shape = || {
        let mut characters = name.chars();
        let first = characters.next()?;
        let last = name.chars().next_back()?;
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (first.is_ascii_lowercase() && last != '-' && name.chars().all(inner)).then_some(())
    };
    if !(2..=63).contains(&name.len()) || shape().is_none() {
        return Err(format!(
            "{name:?} is not a valid name: use 2 to 63 lower-case letters, digits and hyphens, \
             starting with a letter and ending with a letter or digit, such as \"people\" or \"credit-risk\""
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_dns_label_that_starts_with_a_letter_is_a_name() {
        for good in ["ab", "people", "credit-risk-2", &"a".repeat(63)] {
            assert_eq!(super::check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn traversal_case_and_look_alikes_are_refused() {
        for bad in [
            "",
            "a",
            "..",
            "../x",
            "People",
            "-a",
            "a-",
            "1a",
            "a_b",
            "a b",
            "а-cyrillic",
            "a\u{202e}b",
            &"a".repeat(64),
        ] {
            assert!(super::check(bad).is_err(), "{bad}");
        }
    }
}
