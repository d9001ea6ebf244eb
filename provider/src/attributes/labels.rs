//! Labels: those of the object over those of the provider.

use std::collections::BTreeMap;

use tfplugin::Attr;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// The provider's labels, and the object's own over them.
pub fn merge(provider: &Attr<Labels>, own: &Attr<Labels>) -> Attr<Labels> {
    if provider.is_unknown() || own.is_unknown() {
        return Attr::unknown();
    }
    let mut merged = provider.clone().or_default();
    merged.extend(own.clone().or_default());
    Attr::Known(merged)
}

/// The object's own labels among those that the runtime has: what was its own
/// before, and what the provider does not explain.
pub fn own(provider: &Attr<Labels>, before: &Attr<Labels>, found: &Labels) -> Labels {
    let was_own = |name: &str| before.known().is_some_and(|labels| labels.contains_key(name));
    let explained = |name: &str, value: &str| {
        provider.known().and_then(|labels| labels.get(name)).is_some_and(|provided| provided == value)
    };
    let own = found.iter().filter(|(name, value)| was_own(name) || !explained(name, value));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use tfplugin::Attr;

    use super::{Labels, merge, own};

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn own_labels_are_found_again_among_the_merged_ones() {
        let provider = Attr::Known(labels(&[("cost_center", "retail"), ("team", "a")]));
        let mine = labels(&[("team", "b"), ("stage", "x")]);
        let merged = merge(&provider, &Attr::Known(mine.clone())).into_known().unwrap();
        assert_eq!(merged, labels(&[("cost_center", "retail"), ("stage", "x"), ("team", "b")]));
        assert_eq!(own(&provider, &Attr::Null, &merged), mine);
        assert_eq!(own(&provider, &Attr::Known(mine.clone()), &merged), mine);
    }

    #[test]
    fn a_label_that_repeats_the_providers_stays_the_objects_own() {
        let provider = Attr::Known(labels(&[("team", "a")]));
        let mine = Attr::Known(labels(&[("team", "a")]));
        assert_eq!(own(&provider, &mine, &labels(&[("team", "a")])), labels(&[("team", "a")]));
    }
}
