use std::collections::BTreeMap;

/// The encryption context: what a wrapped key is for. Authenticated, never secret.
///
/// Two contexts are equal when they hold the same pairs; order does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    pub fn new() -> Self {
        Self::default()
    }

    /// The same context with one more pair; an earlier value of `name` is replaced.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// One byte string per context: the number of pairs, then each name and value in the order of
    /// the names, every length a big-endian `u32` before its bytes. No two contexts share it.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_len(&mut out, self.0.len());
        for (name, value) in &self.0 {
            for text in [name, value] {
                put_len(&mut out, text.len());
                out.extend_from_slice(text.as_bytes());
            }
        }
        out
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Context {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect())
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    // A context is a handful of names; one of 4 GiB cannot be built in practice, and saturating
    // keeps the encoding total rather than wrapping round to a shorter length.
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_insertion_does_not_matter() {
        let one = Context::new().with("a", "1").with("b", "2");
        let two = Context::new().with("b", "2").with("a", "1");
        assert_eq!(one.canonical(), two.canonical());
    }

    #[test]
    fn moving_a_byte_between_name_and_value_changes_the_bytes() {
        let one = Context::new().with("ab", "c").canonical();
        let two = Context::new().with("a", "bc").canonical();
        assert_ne!(one, two);
    }

    #[test]
    fn the_canonical_bytes_are_as_published() {
        let bytes = Context::new().with("k", "v").canonical();
        assert_eq!(bytes, [0, 0, 0, 1, 0, 0, 0, 1, b'k', 0, 0, 0, 1, b'v']);
    }
}
