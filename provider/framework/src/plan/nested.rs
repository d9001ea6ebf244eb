//! Walking nested objects side by side.

mod uncertain;

use std::collections::BTreeMap;

use crate::Value;
use crate::schema::{Attribute, Kind, Nesting};

/// Which element of one collection goes with which of another: by key in a map,
/// by equal configured values in a set, and in a list by these too before by
/// position, so that an element that moved takes its computed values along.
pub struct Partners<'o> {
    nesting: Nesting,
    others: &'o Value,
    /// For a list or a set, by position of the element; `None` pairs a list by
    /// position alone.
    pairs: Option<Vec<Option<usize>>>,
}

impl<'o> Partners<'o> {
    /// Pairs the elements of `config` with those of `others`.
    pub fn new(nesting: Nesting, attributes: &[Attribute], config: &Value, others: &'o Value) -> Self {
        let pairs = match (nesting, config, others) {
            (Nesting::Set, Value::Set(elements), Value::Set(others)) => {
                Some(uncertain::of_set(attributes, elements, others, pair(attributes, elements, others)))
            }
            (Nesting::List, Value::List(elements), Value::List(others)) => {
                Some(uncertain::of_list(attributes, elements, others, pair_moved(attributes, elements, others)))
            }
            _ => None,
        };
        Self { nesting, others, pairs }
    }

    /// The same, with the elements of a list paired by position, as the host does.
    pub fn in_place(nesting: Nesting, attributes: &[Attribute], config: &Value, others: &'o Value) -> Self {
        match nesting {
            Nesting::List => Self { nesting, others, pairs: None },
            _ => Self::new(nesting, attributes, config, others),
        }
    }

    /// The partner of an element; null if there is none.
    pub fn of(&self, place: Place<'_>) -> &'o Value {
        let paired = |index: usize| match &self.pairs {
            Some(pairs) => pairs.get(index).copied().flatten(),
            None => Some(index),
        };
        let found = match (self.nesting, place, self.others) {
            (Nesting::Map, Place::Key(key), Value::Map(others)) => others.get(key),
            (Nesting::List, Place::Index(index), Value::List(others))
            | (Nesting::Set, Place::Index(index), Value::Set(others)) => {
                paired(index).and_then(|partner| others.get(partner))
            }
            _ => None,
        };
        found.unwrap_or(&Value::Null)
    }
}

/// Gives each element of a set a partner of its own: one that has the defaults too
/// where the configuration leaves them out, else one that equals what is configured.
fn pair(attributes: &[Attribute], elements: &[Value], others: &[Value]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; elements.len()];
    pair_where(&mut pairs, others.len(), |element, other| {
        let (element, other) = (elements.get(element), others.get(other));
        element.zip(other).is_some_and(|(element, other)| {
            same_configured(attributes, element, other) && same_defaults(attributes, element, other)
        })
    });
    pair_where(&mut pairs, others.len(), |element, other| {
        let (element, other) = (elements.get(element), others.get(other));
        element.zip(other).is_some_and(|(element, other)| same_configured(attributes, element, other))
    });
    pairs
}

/// Pairs those that have no partner yet. An element that leaves much to the provider
/// may fit several; those that fit fewest choose first, of equals the earlier.
fn pair_where(pairs: &mut [Option<usize>], others: usize, fits: impl Fn(usize, usize) -> bool) {
    let free: Vec<usize> = (0..others).filter(|other| !pairs.contains(&Some(*other))).collect();
    let fitting = |element: usize| free.iter().copied().filter(|other| fits(element, *other)).collect();
    let unpaired = pairs.iter().enumerate().filter(|(_, pair)| pair.is_none());
    let mut open: Vec<(usize, Vec<usize>)> = unpaired.map(|(element, _)| (element, fitting(element))).collect();
    while let Some(position) = (0..open.len()).min_by_key(|position| open.get(*position).map(|(_, fits)| fits.len())) {
        let (element, fits) = open.remove(position);
        let Some(chosen) = fits.first().copied() else {
            continue;
        };
        if let Some(pair) = pairs.get_mut(element) {
            *pair = Some(chosen);
        }
        open.iter_mut().for_each(|(_, fits)| fits.retain(|other| *other != chosen));
    }
}

/// Whether what the configuration leaves to a default has it.
fn same_defaults(attributes: &[Attribute], config: &Value, other: &Value) -> bool {
    attributes.iter().all(|attribute| {
        let (mine, theirs) = (config.get(attribute.name), other.get(attribute.name));
        let same = |(mine, theirs): (&Value, &Value)| match &attribute.kind {
            Kind::Nested(_, nested) => same_defaults(nested, mine, theirs),
            Kind::Plain(_) => true,
        };
        match (&attribute.default, &attribute.kind, mine, theirs) {
            (Some(default), _, Value::Null, _) => default == theirs,
            (_, Kind::Nested(Nesting::Single, _), Value::Map(_), Value::Map(_)) => same((mine, theirs)),
            (_, Kind::Nested(Nesting::List, _), Value::List(mine), Value::List(theirs)) => {
                mine.iter().zip(theirs).all(same)
            }
            (_, Kind::Nested(Nesting::Map, _), Value::Map(mine), Value::Map(theirs)) => {
                mine.values().zip(theirs.values()).all(same)
            }
            _ => true,
        }
    })
}

/// Gives each element of a list a partner: the equal one in its place, else an
/// equal one that moved, else what is in its place and nobody's partner.
fn pair_moved(attributes: &[Attribute], elements: &[Value], others: &[Value]) -> Vec<Option<usize>> {
    let fits = |element: &Value, other: usize| {
        others.get(other).is_some_and(|other| same_configured(attributes, element, other))
    };
    let in_place = elements.iter().enumerate().map(|(index, element)| fits(element, index).then_some(index));
    let mut pairs: Vec<Option<usize>> = in_place.collect();
    let mut free: Vec<bool> = (0..others.len()).map(|other| pairs.get(other).is_none_or(Option::is_none)).collect();
    let is_free = |free: &[bool], other: usize| free.get(other) == Some(&true);
    for (pair, element) in pairs.iter_mut().zip(elements).filter(|(pair, _)| pair.is_none()) {
        *pair = (0..others.len()).find(|other| is_free(&free, *other) && fits(element, *other));
        claim(&mut free, *pair);
    }
    for (index, pair) in pairs.iter_mut().enumerate().filter(|(_, pair)| pair.is_none()) {
        *pair = is_free(&free, index).then_some(index);
        claim(&mut free, *pair);
    }
    pairs
}

fn claim(free: &mut [bool], taken: Option<usize>) {
    if let Some(place) = taken.and_then(|taken| free.get_mut(taken)) {
        *place = false;
    }
}

/// The configured element that a planned element was made from: planning keeps
/// the order even of sets.
pub fn configured<'o>(place: Place<'_>, config: &'o Value) -> &'o Value {
    let found = match (place, config) {
        (Place::Index(index), Value::List(elements) | Value::Set(elements)) => elements.get(index),
        (Place::Key(key), Value::Map(entries)) => entries.get(key),
        _ => None,
    };
    found.unwrap_or(&Value::Null)
}

/// An element's place in its collection.
#[derive(Clone, Copy)]
pub enum Place<'e> {
    /// In a list or a set.
    Index(usize),
    /// In a map.
    Key(&'e str),
}

/// Whether two elements of a set are one object: equal in all that the user
/// may set and did set in `config`.
fn same_configured(attributes: &[Attribute], config: &Value, other: &Value) -> bool {
    attributes.iter().all(|attribute| {
        let (mine, theirs) = (config.get(attribute.name), other.get(attribute.name));
        if attribute.write_only || (mine.is_null() && attribute.is_computed()) {
            return true;
        }
        match &attribute.kind {
            Kind::Nested(nesting, nested) => same_elements(*nesting, nested, mine, theirs),
            Kind::Plain(_) => mine == theirs || same_meaning(attribute, mine, theirs),
        }
    })
}

/// Whether two spellings mean the same, by what the attribute says.
fn same_meaning(attribute: &Attribute, mine: &Value, theirs: &Value) -> bool {
    let known = |value: &Value| !value.is_null() && !value.is_unknown();
    known(mine) && known(theirs) && attribute.same.is_some_and(|same| same(mine, theirs))
}

fn same_elements(nesting: Nesting, attributes: &[Attribute], config: &Value, other: &Value) -> bool {
    let same = |(mine, theirs): (&Value, &Value)| same_configured(attributes, mine, theirs);
    match (nesting, config, other) {
        (Nesting::Single, Value::Map(_), Value::Map(_)) => same((config, other)),
        (Nesting::List, Value::List(mine), Value::List(theirs)) => {
            mine.len() == theirs.len() && mine.iter().zip(theirs).all(same)
        }
        (Nesting::Map, Value::Map(mine), Value::Map(theirs)) => {
            mine.keys().eq(theirs.keys()) && mine.values().zip(theirs.values()).all(same)
        }
        (Nesting::Set, Value::Set(mine), Value::Set(theirs)) => {
            mine.len() == theirs.len() && mine.iter().all(|mine| theirs.iter().any(|theirs| same((mine, theirs))))
        }
        _ => config == other,
    }
}

/// Applies `change` to each nested object of a known value; null and unknown
/// stay as they are.
pub fn map_objects(nesting: Nesting, value: Value, mut change: impl FnMut(Place<'_>, Value) -> Value) -> Value {
    let mut elements = |elements: Vec<Value>| -> Vec<Value> {
        elements.into_iter().enumerate().map(|(index, element)| change(Place::Index(index), element)).collect()
    };
    match (nesting, value) {
        (Nesting::List, Value::List(list)) => Value::List(elements(list)),
        (Nesting::Set, Value::Set(set)) => Value::Set(elements(set)),
        (Nesting::Map, Value::Map(entries)) => Value::Map(
            entries
                .into_iter()
                .map(|(key, element)| {
                    let changed = change(Place::Key(&key), element);
                    (key, changed)
                })
                .collect(),
        ),
        (Nesting::Single, object @ Value::Map(_)) => change(Place::Index(0), object),
        (_, other) => other,
    }
}

/// Takes the entries of a known object; empty for anything else.
pub fn entries(value: Value) -> BTreeMap<String, Value> {
    match value {
        Value::Map(entries) => entries,
        _ => BTreeMap::new(),
    }
}
