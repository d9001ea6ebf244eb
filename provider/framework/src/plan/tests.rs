use std::collections::BTreeMap;

use super::{complete, contract, replace};
use crate::{Attr, Model, Refinement, Set, Span, Value};

#[derive(Model, Clone, Debug, PartialEq)]
struct Part {
    #[attr(required)]
    key: Attr<String>,
    #[attr(default = 7)]
    size: Attr<i64>,
    #[attr(computed, depends_on = ["size"])]
    weight: Attr<i64>,
}

#[derive(Model, Clone, Debug, PartialEq)]
struct Thing {
    #[attr(computed, not_null)]
    id: Attr<String>,
    #[attr(required, replace)]
    name: Attr<String>,
    #[attr(optional)]
    label: Attr<String>,
    #[attr(optional)]
    spec: Attr<String>,
    #[attr(computed, depends_on = ["spec"])]
    version: Attr<i64>,
    #[attr(computed, depends_on = ["version"])]
    url: Attr<String>,
    #[attr(computed, depends_on = ["*"])]
    digest: Attr<String>,
    #[attr(optional, computed)]
    zone: Attr<String>,
    #[attr(optional)]
    keep: Attr<Span>,
    #[attr(optional)]
    one: Attr<Part>,
    #[attr(optional)]
    list: Attr<Vec<Part>>,
    #[attr(optional)]
    map: Attr<BTreeMap<String, Part>>,
    #[attr(optional)]
    set: Attr<Set<Part>>,
    #[attr(optional, write_only)]
    secret_wo: Attr<String>,
}

fn thing() -> Thing {
    Thing {
        id: Attr::Null,
        name: "n".into(),
        label: Attr::Null,
        spec: "s".into(),
        version: Attr::Null,
        url: Attr::Null,
        digest: Attr::Null,
        zone: Attr::Null,
        keep: Attr::Null,
        one: Attr::Null,
        list: Attr::Null,
        map: Attr::Null,
        set: Attr::Null,
        secret_wo: Attr::Null,
    }
}

/// What the provider made of `thing`.
fn saved(thing: Thing) -> Thing {
    Thing { id: "id".into(), version: 1.into(), url: "u1".into(), digest: "d1".into(), zone: "z".into(), ..thing }
}

fn part(key: &str) -> Part {
    Part { key: key.into(), size: Attr::Null, weight: Attr::Null }
}

fn saved_part(key: &str, size: i64) -> Part {
    Part { key: key.into(), size: size.into(), weight: (size * 10).into() }
}

/// Plans, holds the plan against the contract, and reads it.
fn plan(config: &Thing, prior: Option<&Thing>) -> Thing {
    let (config, prior) = (Model::to_value(config), prior.map_or(Value::Null, Model::to_value));
    let planned = complete(&Thing::attributes(), &config, &prior);
    let problems = contract::planned(&Thing::attributes(), &config, &prior, &planned);
    assert!(problems.is_empty(), "{problems}");
    <Thing as Model>::from_value(&planned).unwrap_or_else(|error| panic!("{}", error.diagnostic()))
}

#[test]
fn everything_computed_is_unknown_in_a_new_object() {
    let planned = plan(&Thing { one: part("a").into(), ..thing() }, None);
    assert_eq!(planned.id, Attr::Unknown(Refinement::not_null()));
    assert_eq!(planned.zone, Attr::unknown());
    assert_eq!(planned.url, Attr::unknown());
    let one = planned.one.into_known();
    assert_eq!(one, Some(Part { key: "a".into(), size: 7.into(), weight: Attr::unknown() }));
}

#[test]
fn nothing_changes_without_a_change() {
    let config = Thing {
        one: part("a").into(),
        list: vec![part("b"), part("c")].into(),
        map: BTreeMap::from([("k".to_owned(), part("d"))]).into(),
        set: Set(vec![part("e"), part("f")]).into(),
        ..thing()
    };
    let prior = saved(Thing {
        one: saved_part("a", 7).into(),
        list: vec![saved_part("b", 7), saved_part("c", 7)].into(),
        map: BTreeMap::from([("k".to_owned(), saved_part("d", 7))]).into(),
        set: Set(vec![saved_part("f", 7), saved_part("e", 7)]).into(),
        ..thing()
    });
    let planned = plan(&config, Some(&prior));
    assert_eq!(Model::to_value(&planned), Model::to_value(&prior));
}

#[test]
fn a_change_makes_unknown_only_what_depends_on_it() {
    let config = Thing { label: "new".into(), ..thing() };
    let planned = plan(&config, Some(&saved(thing())));
    assert_eq!((planned.version, planned.url), (1.into(), "u1".into()));
    assert_eq!(planned.digest, Attr::unknown());
    assert_eq!((planned.id, planned.zone), ("id".into(), "z".into()));
}

#[test]
fn a_dependency_on_a_computed_attribute_is_followed() {
    let config = Thing { spec: "other".into(), ..thing() };
    let planned = plan(&config, Some(&saved(thing())));
    assert_eq!((planned.version, planned.url), (Attr::unknown(), Attr::unknown()));
    assert_eq!(planned.id, "id".into());
}

#[test]
fn an_interrupted_create_goes_on() {
    let prior = Thing { id: Attr::Null, version: Attr::Null, ..saved(thing()) };
    let planned = plan(&thing(), Some(&prior));
    assert_eq!(planned.id, Attr::Unknown(Refinement::not_null()));
    assert_eq!(planned.version, Attr::Null);
}

#[test]
fn another_spelling_of_a_duration_is_no_change() {
    let keep = |text: &str| text.parse::<Span>().ok().into();
    let prior = saved(Thing { keep: keep("60m"), ..thing() });
    let planned = plan(&Thing { keep: keep("1h"), ..thing() }, Some(&prior));
    assert_eq!(planned.keep.known().map(Span::as_str), Some("60m"));
    assert_eq!(planned.digest, "d1".into());
    let planned = plan(&Thing { keep: keep("2h"), ..thing() }, Some(&prior));
    assert_eq!(planned.keep.known().map(Span::as_str), Some("2h"));
}

#[test]
fn only_the_changed_element_of_a_set_is_new() {
    let config = Thing { set: Set(vec![Part { size: 9.into(), ..part("e") }, part("f")]).into(), ..thing() };
    let prior = saved(Thing { set: Set(vec![saved_part("e", 7), saved_part("f", 7)]).into(), ..thing() });
    let set = plan(&config, Some(&prior)).set.or_default().0;
    assert!(set.contains(&saved_part("f", 7)), "{set:?}");
    assert!(set.contains(&Part { key: "e".into(), size: 9.into(), weight: Attr::unknown() }), "{set:?}");
}

#[test]
fn computed_parts_of_elements_follow_their_own_element() {
    let config = Thing {
        map: BTreeMap::from([
            ("a".to_owned(), Part { size: 8.into(), ..part("a") }),
            ("b".to_owned(), part("b")),
            ("new".to_owned(), part("c")),
        ])
        .into(),
        ..thing()
    };
    let prior = saved(Thing {
        map: BTreeMap::from([
            ("a".to_owned(), saved_part("a", 7)),
            ("b".to_owned(), saved_part("b", 7)),
            ("gone".to_owned(), saved_part("d", 7)),
        ])
        .into(),
        ..thing()
    });
    let map = plan(&config, Some(&prior)).map.or_default();
    let weight = |key: &str| map.get(key).map(|part| part.weight.clone());
    assert_eq!(weight("a"), Some(Attr::unknown()));
    assert_eq!(weight("b"), Some(70.into()));
    assert_eq!(weight("new"), Some(Attr::unknown()));
    assert_eq!(weight("gone"), None);
}

#[test]
fn a_removed_default_is_planned_again() {
    let config = Thing { one: part("a").into(), ..thing() };
    let prior = saved(Thing { one: saved_part("a", 9).into(), ..thing() });
    let one = plan(&config, Some(&prior)).one.into_known();
    assert_eq!(one.map(|one| (one.size, one.weight)), Some((7.into(), Attr::unknown())));
}

#[test]
fn a_write_only_value_is_in_no_plan_and_changes_nothing() {
    let config = Thing { secret_wo: "s".into(), ..thing() };
    let prior = saved(thing());
    assert_eq!(Model::to_value(&plan(&config, Some(&prior))), Model::to_value(&prior));
}

#[test]
fn unknown_configuration_is_planned_as_it_is() {
    let config = Thing { spec: Attr::unknown(), list: Attr::unknown(), ..thing() };
    let planned = plan(&config, Some(&saved(thing())));
    assert_eq!((planned.spec, planned.list, planned.version), (Attr::unknown(), Attr::unknown(), Attr::unknown()));
}

#[test]
fn a_changed_name_needs_a_new_object() {
    let config = Thing { name: "other".into(), label: "x".into(), ..thing() };
    let prior = saved(thing());
    let planned = plan(&config, Some(&prior));
    let paths = replace::paths(&Thing::attributes(), &Model::to_value(&prior), &Model::to_value(&planned));
    assert_eq!(paths, ["name".into()]);
}

#[test]
fn the_contract_names_the_attribute_that_breaks_it() {
    let (config, prior) = (thing(), saved(thing()));
    let problems = |planned: &Thing| {
        let value = |thing| Model::to_value(thing);
        let found = contract::planned(&Thing::attributes(), &value(&config), &value(&prior), &value(planned));
        found.iter().map(|problem| problem.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(problems(&prior), [""; 0]);
    assert_eq!(problems(&Thing { spec: "another".into(), ..prior.clone() }), ["spec"]);
    assert_eq!(problems(&Thing { label: "set".into(), ..prior.clone() }), ["label"]);
    assert_eq!(problems(&Thing { secret_wo: "s".into(), ..prior.clone() }), ["secret_wo"]);
    assert_eq!(problems(&Thing { list: vec![part("a")].into(), ..prior.clone() }), ["list"]);
}

#[test]
fn the_state_must_keep_what_the_plan_promised() {
    let planned = Thing {
        id: Attr::Unknown(Refinement::not_null().with_prefix("a/")),
        version: Attr::Unknown(Refinement::none().with_min(1, true)),
        ..saved(thing())
    };
    let problems = |applied: &Thing| {
        let found = contract::applied(&Thing::attributes(), &Model::to_value(&planned), &Model::to_value(applied));
        found.iter().map(|problem| problem.path.to_string()).collect::<Vec<_>>()
    };
    let good = Thing { id: "a/1".into(), version: 2.into(), ..planned.clone() };
    assert_eq!(problems(&good), [""; 0]);
    assert_eq!(problems(&Thing { id: "b/1".into(), ..good.clone() }), ["id"]);
    assert_eq!(problems(&Thing { id: Attr::Null, ..good.clone() }), ["id"]);
    assert_eq!(problems(&Thing { version: 0.into(), ..good.clone() }), ["version"]);
    assert_eq!(problems(&Thing { url: Attr::unknown(), ..good.clone() }), ["url"]);
    assert_eq!(problems(&Thing { label: "x".into(), ..good }), ["label"]);
}
