//! Values in all their states at every depth: read from a host and given back
//! to it without loss.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use tfplugin::testing::{Action, Host};
use tfplugin::{
    Attr, Context, Diagnostics, Empty, Failure, Model, Number, Plan, Provider, Refinement, Registry, Resource, Set,
    Type, Value,
};

#[derive(Model, Debug, Clone, Default)]
struct BoxModel {
    /// Refined by declaration, each in the way of its type.
    #[attr(computed, refined = Refinement::not_null().with_prefix("box/"))]
    id: Attr<String>,
    #[attr(computed, refined = Refinement::not_null().with_min(1, true).with_max(9, false))]
    shelf: Attr<i64>,
    #[attr(computed, refined = Refinement::not_null().with_length(Some(1), Some(3)))]
    keys: Attr<Vec<String>>,
    #[attr(computed)]
    made: Attr<Value>,
    /// Refined by the resource's code.
    #[attr(computed)]
    place: Attr<Inner>,
    #[attr(optional)]
    number: Attr<Number>,
    #[attr(optional)]
    numbers: Attr<BTreeSet<i64>>,
    #[attr(optional)]
    any: Attr<Value>,
    #[attr(optional)]
    inner: Attr<Inner>,
    #[attr(optional)]
    list: Attr<Vec<Inner>>,
    #[attr(optional)]
    map: Attr<BTreeMap<String, Inner>>,
    #[attr(optional)]
    set: Attr<Set<Leaf>>,
    #[attr(optional)]
    deep: Attr<BTreeMap<String, Vec<Attr<String>>>>,
}

#[derive(Model, Debug, Clone, Default)]
struct Inner {
    #[attr(optional)]
    text: Attr<String>,
    #[attr(optional)]
    any: Attr<Value>,
    #[attr(computed, refined = Refinement::none().with_prefix("leaf-"))]
    label: Attr<String>,
}

#[derive(Model, Debug, Clone, Default)]
struct Leaf {
    #[attr(optional)]
    number: Attr<Number>,
    #[attr(optional)]
    text: Attr<String>,
}

struct Boxes;

impl Resource for Boxes {
    type Shared = ();
    type Model = BoxModel;
    const NAME: &'static str = "values_box";
    const VERSION: i64 = 1;

    async fn plan(&self, _: &Context<()>, plan: &mut Plan<BoxModel>) -> Result<(), Diagnostics> {
        if plan.is_create() {
            plan.planned.place = Inner {
                text: Attr::Unknown(Refinement::not_null().with_prefix("here/")),
                any: Attr::unknown(),
                label: "leaf-0".into(),
            }
            .into();
        }
        Ok(())
    }

    async fn create(&self, _: &Context<()>, plan: Plan<BoxModel>) -> Result<BoxModel, Failure<BoxModel>> {
        let mut made = plan.planned;
        let broken = made.inner.known().is_some_and(|inner| inner.text.as_deref() == Some("break the promises"));
        made.id = if broken { "elsewhere" } else { "box/1" }.into();
        made.shelf = if broken { 9 } else { 1 }.into();
        made.keys = vec!["k".to_owned(); if broken { 4 } else { 2 }].into();
        made.made = Value::from_iter([("n", Value::from(1)), ("l", Value::List(vec![true.into(), "x".into()]))]).into();
        if let Some(place) = made.place.known_mut() {
            place.text = if broken { "there" } else { "here/1" }.into();
            place.any = Value::from("a thing").into();
        }
        let maps = made.map.known_mut().into_iter().flat_map(BTreeMap::values_mut);
        for inner in made.inner.known_mut().into_iter().chain(made.list.known_mut().into_iter().flatten()).chain(maps) {
            inner.label = "leaf-1".into();
        }
        Ok(made)
    }

    async fn read(&self, _: &Context<()>, state: BoxModel) -> Result<Option<BoxModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, _: &Context<()>, plan: Plan<BoxModel>) -> Result<BoxModel, Failure<BoxModel>> {
        let mut made = plan.planned;
        for inner in made.list.known_mut().into_iter().flatten().filter(|inner| inner.label.is_unknown()) {
            inner.label = "leaf-2".into();
        }
        Ok(made)
    }

    async fn delete(&self, _: &Context<()>, _: BoxModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Version 0 called the number a size.
    async fn upgrade(&self, _version: i64, mut state: Json) -> Result<Json, Diagnostics> {
        state["number"] = state["size"].take();
        Ok(state)
    }
}

struct Values;

impl Provider for Values {
    type Config = Empty;
    type Shared = ();
    const NAME: &'static str = "values";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Boxes);
    }

    async fn configure(&self, _: &Context<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

async fn host() -> Host<Values> {
    Host::configured(Values, json!({})).await.expect("the provider is configured")
}

/// An otherwise empty configuration with these attributes.
fn config<const N: usize>(given: [(&str, Value); N]) -> Value {
    let mut config = Model::to_value(&BoxModel::default());
    if let Value::Map(entries) = &mut config {
        entries.extend(given.map(|(name, value)| (name.to_owned(), value)));
    }
    config
}

fn number(digits: &str) -> Value {
    Number::parse(digits).map(Value::Number).expect("a number")
}

fn inner(text: Value, any: Value) -> Value {
    Value::from_iter([("text", text), ("any", any), ("label", Value::Null)])
}

#[tokio::test]
async fn what_is_declared_of_an_unknown_value_is_planned_and_kept() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut made = host.resource("values_box");
    let step = made.apply(json!({ "inner": { "text": "x" } })).await?;
    let known = |value: &Value| match value {
        Value::Unknown(known) => known.clone(),
        other => panic!("{other:?}"),
    };
    let planned = &step.planned;
    assert_eq!(known(planned.get("id")), Refinement::not_null().with_prefix("box/"));
    assert_eq!(known(planned.get("shelf")), Refinement::not_null().with_min(1, true).with_max(9, false));
    assert_eq!(known(planned.get("keys")), Refinement::not_null().with_length(Some(1), Some(3)));
    assert_eq!(known(planned.get("inner").get("label")), Refinement::none().with_prefix("leaf-"));
    assert_eq!(known(planned.get("place").get("text")), Refinement::not_null().with_prefix("here/"));
    assert_eq!(planned.get("place").get("label"), &Value::from("leaf-0"));
    Ok(())
}

#[tokio::test]
async fn a_broken_promise_is_told_attribute_by_attribute() {
    let config = json!({ "inner": { "text": "break the promises" } });
    let errors = host().await.resource("values_box").apply(config).await.expect_err("it is refused");
    let paths: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(paths, ["id", "shelf", "keys", "place.text"]);
}

#[tokio::test]
async fn unknown_values_are_read_and_planned_at_every_depth() -> Result<(), Diagnostics> {
    let host = host().await;
    let unknown = || Value::Unknown(Refinement::not_null().with_prefix("later/"));
    let any = Value::from_iter([("known", Value::from(1)), ("later", Value::unknown())]);
    let kind = Type::Object(vec![("known".into(), Type::Number), ("later".into(), Type::String)]);
    let any = Value::Dynamic(Box::new((kind, any)));
    let deep = Value::from_iter([("a", Value::List(vec!["x".into(), unknown(), Value::Null]))]);
    let given = [
        ("any", any.clone()),
        ("inner", inner(unknown(), any.clone())),
        (
            "list",
            Value::List(vec![inner("x".into(), Value::Null), inner(unknown(), Value::unknown()), Value::unknown()]),
        ),
        ("map", Value::from_iter([("k", inner(Value::Null, Value::unknown()))])),
        ("set", Value::Set(vec![leaf(unknown()), leaf("x".into())])),
        ("numbers", Value::Set(vec![1.into(), Value::unknown()])),
        ("number", Value::Unknown(Refinement::none().with_min(3, false))),
        ("deep", deep.clone()),
    ];
    let step = host.resource("values_box").plan(config(given.clone())).await?;
    for (name, value) in given {
        let mut planned = step.planned.get(name).clone();
        forget_labels(&mut planned);
        assert_eq!(planned, value, "{name}");
    }
    Ok(())
}

fn leaf(text: Value) -> Value {
    Value::from_iter([("number", Value::Null), ("text", text)])
}

/// What the provider adds to an inner object is not compared.
fn forget_labels(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            if let Some(label) = entries.get_mut("label") {
                *label = Value::Null;
            }
            entries.values_mut().for_each(forget_labels);
        }
        Value::List(elements) | Value::Set(elements) => elements.iter_mut().for_each(forget_labels),
        _ => {}
    }
}

#[tokio::test]
async fn no_digit_of_a_number_is_lost_on_the_wire_in_state_or_in_an_upgrade() -> Result<(), Diagnostics> {
    let host = host().await;
    for digits in [
        "9007199254740993",
        "-9223372036854775809",
        "18446744073709551617",
        "0.1234567890123456789012345",
        "123456789012345678901234567890.5",
        "0.1",
    ] {
        let mut made = host.resource("values_box");
        let any = Value::Dynamic(Box::new((Type::Tuple(vec![Type::Number]), Value::List(vec![number(digits)]))));
        let given = config([("number", number(digits)), ("any", any.clone()), ("set", Value::Set(vec![of(digits)]))]);
        // The refresh after the apply goes through JSON, as saved state does.
        made.apply(given.clone()).await?;
        assert_eq!(made.state().get("number"), &number(digits));
        assert_eq!(made.state().get("any"), &any);
        assert_eq!(made.apply(given).await?.action, Action::NoOp, "{digits}");

        made.restore_text(0, &format!(r#"{{ "id": "box/1", "size": {digits} }}"#)).await?;
        assert_eq!(made.state().get("number"), &number(digits), "upgraded");
    }
    Ok(())
}

fn of(digits: &str) -> Value {
    Value::from_iter([("number", number(digits)), ("text", Value::Null)])
}

#[tokio::test]
async fn a_set_is_a_set_by_value() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut made = host.resource("values_box");
    let set = |leaves: &[(&str, &str)]| {
        let leaf = |(digits, text): &(&str, &str)| {
            Value::from_iter([("number", number(digits)), ("text", Value::from(*text))])
        };
        config([
            ("set", Value::Set(leaves.iter().map(leaf).collect())),
            ("numbers", Value::Set(vec![2.into(), 1.into()])),
        ])
    };
    made.apply(set(&[("1", "a"), ("2", "b")])).await?;
    // In another order, and with numbers written in another way.
    assert_eq!(made.apply(set(&[("2.0", "b"), ("1e0", "a")])).await?.action, Action::NoOp);
    assert_eq!(made.apply(set(&[("2", "b")])).await?.action, Action::Update);
    let errors = made.apply(set(&[("2", "b"), ("2.0", "b")])).await.expect_err("it is refused");
    assert!(errors.to_string().contains("Two elements of a set are equal"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn a_value_of_any_type_may_become_another_and_be_none() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut made = host.resource("values_box");
    let typed = |kind: Json, value: Json| json!({ "list": [{ "any": { "type": kind, "value": value } }] });
    made.apply(typed(json!("string"), json!("1"))).await?;
    // The text is not the number.
    assert_eq!(made.apply(typed(json!("number"), json!(1))).await?.action, Action::Update);
    let nested = json!(["object", { "a": ["list", "bool"], "b": "dynamic" }]);
    let value = json!({ "a": [true], "b": { "type": "string", "value": "x" } });
    assert_eq!(made.apply(typed(nested.clone(), value.clone())).await?.action, Action::Update);
    assert_eq!(made.apply(typed(nested, value)).await?.action, Action::NoOp);
    assert_eq!(made.apply(json!({ "list": [{}] })).await?.action, Action::Update);
    let made_up = made.state().get("made").to_json();
    let kind = json!(["object", { "l": ["tuple", ["bool", "string"]], "n": "number" }]);
    assert_eq!(made_up, Some(json!({ "type": kind, "value": { "l": [true, "x"], "n": 1 } })));
    Ok(())
}
