//! Pairs that may turn out otherwise once all of a configuration is known. What a
//! first plan says an apply must find again, so it may only build on the others.

use super::same_configured;
use crate::Value;
use crate::schema::{Attribute, Kind};

/// The pairs of a list without the uncertain ones.
pub fn of_list(
    attributes: &[Attribute],
    elements: &[Value],
    others: &[Value],
    pairs: Vec<Option<usize>>,
) -> Vec<Option<usize>> {
    if elements.iter().all(Value::is_wholly_known) {
        return pairs;
    }
    // One that has its equal in its own place keeps it, whatever becomes of the rest.
    let kept = |index: usize| {
        let pair = elements.get(index).zip(others.get(index));
        pair.is_some_and(|(element, other)| element.is_wholly_known() && same_configured(attributes, element, other))
    };
    let reach = |index: usize, element: &Value| -> Vec<usize> {
        if kept(index) {
            return vec![index];
        }
        let reached = |(place, other): &(usize, &Value)| {
            !kept(*place) && (*place == index || may_become(attributes, element, other))
        };
        others.iter().enumerate().filter(reached).map(|(place, _)| place).collect()
    };
    let reaches: Vec<Vec<usize>> = elements.iter().enumerate().map(|(index, element)| reach(index, element)).collect();
    // With nothing but its own place in reach, an element stays there.
    let settled = |index: usize, reach: &[usize], alone: bool| alone && reach == [index];
    without_uncertain(elements, &reaches, pairs, settled)
}

/// The pairs of a set without the uncertain ones.
pub fn of_set(
    attributes: &[Attribute],
    elements: &[Value],
    others: &[Value],
    pairs: Vec<Option<usize>>,
) -> Vec<Option<usize>> {
    // Where the user gives all or nothing of an object, no two fit the same.
    if elements.iter().all(Value::is_wholly_known) || !attributes.iter().any(may_be_left_out) {
        return pairs;
    }
    let reach = |element: &Value| -> Vec<usize> {
        let reached = |(_, other): &(usize, &Value)| may_become(attributes, element, other);
        others.iter().enumerate().filter(reached).map(|(place, _)| place).collect()
    };
    let reaches: Vec<Vec<usize>> = elements.iter().map(reach).collect();
    without_uncertain(elements, &reaches, pairs, |_, _, _| false)
}

fn may_be_left_out(attribute: &Attribute) -> bool {
    let nested = matches!(&attribute.kind, Kind::Nested(_, nested) if nested.iter().any(may_be_left_out));
    (attribute.is_computed() && attribute.is_configurable()) || nested
}

/// Elements that reach for the same partner, or do so by way of others, choose
/// together: what is not known of one makes the choice of all of them uncertain.
fn without_uncertain(
    elements: &[Value],
    reaches: &[Vec<usize>],
    pairs: Vec<Option<usize>>,
    settled: impl Fn(usize, &[usize], bool) -> bool,
) -> Vec<Option<usize>> {
    let groups = groups(reaches);
    let one = |(index, (pair, group)): (usize, (Option<usize>, &usize))| {
        let members = || groups.iter().zip(elements).filter(|(other, _)| *other == group).map(|(_, element)| element);
        if members().all(Value::is_wholly_known) {
            return pair;
        }
        let reach = reaches.get(index)?;
        if settled(index, reach, members().count() == 1) { Some(index) } else { None }
    };
    pairs.into_iter().zip(&groups).enumerate().map(one).collect()
}

/// For each element the least element of its group.
fn groups(reaches: &[Vec<usize>]) -> Vec<usize> {
    let mut groups: Vec<usize> = (0..reaches.len()).collect();
    for (later, reach) in reaches.iter().enumerate() {
        for (earlier, other) in reaches.iter().enumerate().take(later) {
            if reach.iter().any(|place| other.contains(place)) {
                let (one, two) = (groups.get(earlier).copied(), groups.get(later).copied());
                let joined = one.min(two);
                groups.iter_mut().filter(|group| Some(**group) == one || Some(**group) == two).for_each(|group| {
                    *group = joined.unwrap_or(*group);
                });
            }
        }
    }
    groups
}

/// Whether an element may be the same object as `other` once all of it is known.
fn may_become(attributes: &[Attribute], config: &Value, other: &Value) -> bool {
    let known = |attribute: &&Attribute| config.get(attribute.name).is_wholly_known();
    let known: Vec<Attribute> = attributes.iter().filter(known).cloned().collect();
    config.is_unknown() || same_configured(&known, config, other)
}

#[cfg(test)]
mod tests {
    use super::super::Partners;
    use super::super::Place::Index;
    use super::*;
    use crate::Type;
    use crate::schema::{Mode, Nesting};

    fn attributes() -> Vec<Attribute> {
        vec![
            Attribute::new("key", Kind::Plain(Type::String), Mode::Required),
            Attribute::new("zone", Kind::Plain(Type::String), Mode::OptionalComputed),
        ]
    }

    fn element(key: Value, zone: Value) -> Value {
        Value::from_iter([("key", key), ("zone", zone)])
    }

    /// By element, the zone of its partner; null without one.
    fn partners(nesting: Nesting, keys: Vec<Value>) -> Vec<Value> {
        let collect =
            |elements: Vec<Value>| if nesting == Nesting::Set { Value::Set(elements) } else { Value::List(elements) };
        let count = keys.len();
        let config = collect(keys.into_iter().map(|key| element(key, Value::Null)).collect());
        let prior = collect(vec![element("a".into(), "1".into()), element("b".into(), "2".into())]);
        let attributes = attributes();
        let partners = Partners::new(nesting, &attributes, &config, &prior);
        (0..count).map(|index| partners.of(Index(index)).get("zone").clone()).collect()
    }

    #[test]
    fn an_element_that_moved_keeps_a_partner_only_if_no_unknown_one_may_take_it() {
        let known = partners(Nesting::List, vec!["b".into(), "a".into()]);
        assert_eq!(known, ["2".into(), "1".into()]);
        // The second may turn out to be `b`, and then it is in its own place.
        assert_eq!(partners(Nesting::List, vec!["b".into(), Value::unknown()]), [Value::Null, Value::Null]);
    }

    #[test]
    fn an_element_in_its_place_keeps_its_partner_beside_an_unknown_one() {
        assert_eq!(partners(Nesting::List, vec!["a".into(), Value::unknown()]), ["1".into(), "2".into()]);
        let added = partners(Nesting::List, vec!["a".into(), "b".into(), Value::unknown()]);
        assert_eq!(added, ["1".into(), "2".into(), Value::Null]);
    }

    #[test]
    fn in_a_set_an_element_that_may_be_any_leaves_no_pair_certain() {
        assert_eq!(partners(Nesting::Set, vec!["a".into(), "c".into()]), ["1".into(), Value::Null]);
        assert_eq!(partners(Nesting::Set, vec!["a".into(), Value::unknown()]), [Value::Null, Value::Null]);
    }
}
