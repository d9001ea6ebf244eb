//! The long-open bugs of the Go framework that are not bugs here: defaults
//! inside sets, computed values that wander between elements, plans in which
//! everything is "known after apply", timeouts that nobody sees. The numbers
//! are of issues of hashicorp/terraform-plugin-framework.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tfplugin::testing::{Action, Host, Instance};
use tfplugin::{
    Attr, Context, DefaultTimeouts, Diagnostics, Empty, Failure, Import, Model, Plan, Provider, Registry, Resource,
    Set, Timeouts, Value,
};

/// A firewall, as an API knows one.
#[derive(Model, Debug, Clone, Default)]
struct WallModel {
    #[attr(computed, not_null)]
    id: Attr<String>,
    #[attr(optional)]
    label: Attr<String>,
    #[attr(optional)]
    size: Attr<i64>,
    /// Follows the size and nothing else.
    #[attr(computed, depends_on = ["size"])]
    url: Attr<String>,
    /// Follows anything, but not how long operations may take.
    #[attr(computed, depends_on = ["*"])]
    digest: Attr<i64>,
    /// Was added by a release that older states know nothing of.
    #[attr(computed)]
    added: Attr<String>,
    /// The same, and promised.
    #[attr(computed, not_null)]
    promised: Attr<String>,
    #[attr(optional)]
    rules: Attr<Set<Rule>>,
    #[attr(optional)]
    steps: Attr<Vec<Rule>>,
    #[attr(optional)]
    groups: Attr<BTreeMap<String, Group>>,
    #[attr(optional)]
    timeouts: Attr<Timeouts>,
}

#[derive(Model, Debug, Clone, Default)]
struct Rule {
    #[attr(required)]
    port: Attr<i64>,
    #[attr(default = "tcp")]
    protocol: Attr<String>,
    #[attr(default = false)]
    open: Attr<bool>,
    /// The API gives one to each rule, for life.
    #[attr(computed)]
    number: Attr<i64>,
}

#[derive(Model, Debug, Clone, Default)]
struct Group {
    #[attr(optional)]
    rules: Attr<Set<Rule>>,
}

/// The calls that reached the resource's code, and the last number given.
#[derive(Default)]
struct Api {
    calls: Mutex<Vec<String>>,
    numbers: Mutex<i64>,
}

struct Wall;

impl Wall {
    /// Does what an API does with what it is not told.
    fn complete(ctx: &Context<Api>, call: &str, wall: &mut WallModel) -> Result<(), Diagnostics> {
        let api = ctx.shared()?;
        let calls = {
            let mut calls = api.calls.lock().expect("no panic while counting");
            calls.push(format!("{call} within {}s", ctx.timeout().as_secs()));
            calls.len()
        };
        let mut last = api.numbers.lock().expect("no panic while counting");
        let groups = wall.groups.known_mut().into_iter().flat_map(BTreeMap::values_mut);
        let grouped = groups.filter_map(|group| group.rules.known_mut()).flat_map(|rules| rules.0.iter_mut());
        let rules = wall.rules.known_mut().into_iter().flat_map(|rules| rules.0.iter_mut());
        for rule in rules.chain(wall.steps.known_mut().into_iter().flatten()).chain(grouped) {
            if rule.number.is_unknown() {
                *last += 1;
                rule.number = (*last).into();
            }
        }
        let text = |attr: &mut Attr<String>, value: String| {
            if attr.is_unknown() {
                *attr = value.into();
            }
        };
        text(&mut wall.id, "wall-1".into());
        text(&mut wall.url, format!("https://wall/{}", wall.size.known().copied().unwrap_or_default()));
        text(&mut wall.added, "by the create".into());
        text(&mut wall.promised, "kept".into());
        if wall.digest.is_unknown() {
            wall.digest = i64::try_from(calls).ok().into();
        }
        Ok(())
    }
}

impl Resource for Wall {
    type Shared = Api;
    type Model = WallModel;
    const NAME: &'static str = "bugs_wall";

    fn default_timeouts(&self) -> DefaultTimeouts {
        DefaultTimeouts { create: Duration::from_secs(600), ..DefaultTimeouts::default() }
    }

    async fn create(&self, ctx: &Context<Api>, plan: Plan<WallModel>) -> Result<WallModel, Failure<WallModel>> {
        let mut wall = plan.planned;
        Self::complete(ctx, "create", &mut wall)?;
        Ok(wall)
    }

    /// Answers the rules in an order of its own, as APIs do.
    async fn read(&self, _ctx: &Context<Api>, mut wall: WallModel) -> Result<Option<WallModel>, Diagnostics> {
        if let Some(rules) = wall.rules.known_mut() {
            rules.0.reverse();
        }
        Ok(Some(wall))
    }

    async fn update(&self, ctx: &Context<Api>, plan: Plan<WallModel>) -> Result<WallModel, Failure<WallModel>> {
        let mut wall = plan.planned;
        Self::complete(ctx, "update", &mut wall)?;
        Ok(wall)
    }

    async fn delete(&self, _ctx: &Context<Api>, _wall: WallModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// The API knows nothing of timeouts.
    async fn import(&self, _ctx: &Context<Api>, import: Import) -> Result<WallModel, Diagnostics> {
        let text = |text: &str| Attr::from(text);
        Ok(WallModel {
            id: import.id().map(str::to_owned).into(),
            url: text("https://wall/0"),
            digest: 1.into(),
            added: text("by the create"),
            promised: text("kept"),
            ..WallModel::default()
        })
    }
}

struct Bugs;

impl Provider for Bugs {
    type Config = Empty;
    type Shared = Api;
    const NAME: &'static str = "bugs";

    fn register(&self, registry: &mut Registry<Api>) {
        registry.resource(Wall);
    }

    async fn configure(&self, _ctx: &Context<Api>, _config: Empty) -> Result<Api, Diagnostics> {
        Ok(Api::default())
    }
}

async fn host() -> Host<Bugs> {
    Host::configured(Bugs, json!({})).await.expect("the provider is configured")
}

fn calls(host: &Host<Bugs>) -> Vec<String> {
    host.shared().map(|api| api.calls.lock().expect("calls").clone()).unwrap_or_default()
}

fn elements(value: &Value) -> Vec<WallRule> {
    match value {
        Value::List(elements) | Value::Set(elements) => {
            let mut rules: Vec<WallRule> = elements.iter().map(WallRule::of).collect();
            if matches!(value, Value::Set(_)) {
                rules.sort();
            }
            rules
        }
        _ => Vec::new(),
    }
}

/// A rule in a form that is easily compared: `number` is `None` while unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct WallRule {
    port: i64,
    protocol: String,
    open: bool,
    number: Option<i64>,
}

impl WallRule {
    fn of(value: &Value) -> Self {
        let rule = <Rule as Model>::from_value(value).expect("a rule");
        Self {
            port: rule.port.into_known().unwrap_or_default(),
            protocol: rule.protocol.into_known().unwrap_or_default(),
            open: rule.open.into_known().unwrap_or_default(),
            number: rule.number.into_known(),
        }
    }
}

fn rule(port: i64, protocol: &str, number: Option<i64>) -> WallRule {
    WallRule { port, protocol: protocol.into(), open: false, number }
}

async fn applied(host: &Host<Bugs>, config: Json) -> Result<Instance<Bugs>, Diagnostics> {
    let mut wall = host.resource("bugs_wall");
    wall.apply(config).await?;
    Ok(wall)
}

/// #783: with two elements, the defaults of one were taken for the other's, or
/// the provider crashed.
#[tokio::test]
async fn every_element_of_a_set_gets_its_own_defaults_and_then_nothing_changes() -> Result<(), Diagnostics> {
    let host = host().await;
    let config = json!({ "rules": [{ "port": 80 }, { "port": 443, "protocol": "udp" }, { "port": 22, "open": true }] });
    let mut wall = host.resource("bugs_wall");
    let step = wall.apply(config.clone()).await?;
    let planned = elements(step.planned.get("rules"));
    let ssh = WallRule { open: true, ..rule(22, "tcp", None) };
    assert_eq!(planned, [ssh, rule(80, "tcp", None), rule(443, "udp", None)]);
    for _ in 0..3 {
        assert_eq!(wall.apply(config.clone()).await?.action, Action::NoOp);
    }
    Ok(())
}

/// #783, deeper: a set of objects inside a map of objects.
#[tokio::test]
async fn defaults_of_a_set_inside_a_map_are_filled_in_too() -> Result<(), Diagnostics> {
    let config =
        json!({ "groups": { "a": { "rules": [{ "port": 1 }, { "port": 2 }] }, "b": {}, "c": { "rules": [] } } });
    let wall = applied(&host().await, config).await?;
    let groups = wall.state().get("groups");
    assert_eq!(
        elements(groups.get("a").get("rules")).iter().map(|rule| &rule.protocol).collect::<Vec<_>>(),
        ["tcp"; 2]
    );
    assert_eq!((groups.get("b").get("rules"), groups.get("c").get("rules")), (&Value::Null, &Value::Set(Vec::new())));
    Ok(())
}

/// #867: to change one element showed a change of all of them.
#[tokio::test]
async fn a_change_of_one_element_of_a_set_leaves_the_others_with_their_defaults() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = applied(&host, json!({ "rules": [{ "port": 80 }, { "port": 443 }] })).await?;
    let before = elements(wall.state().get("rules"));
    let step = wall.apply(json!({ "rules": [{ "port": 80 }, { "port": 443, "protocol": "udp" }] })).await?;
    assert_eq!(step.action, Action::Update);
    assert_eq!(elements(step.planned.get("rules")), [before[0].clone(), rule(443, "udp", None)]);
    // A default that is written out is the default.
    let config =
        json!({ "rules": [{ "port": 443, "protocol": "udp" }, { "port": 80, "protocol": "tcp", "open": false }] });
    assert_eq!(wall.apply(config).await?.action, Action::NoOp);
    Ok(())
}

/// #1036: each plan proposed another default than the one before.
#[tokio::test]
async fn a_value_that_is_taken_out_of_an_element_goes_back_to_the_default_once() -> Result<(), Diagnostics> {
    let host = host().await;
    let other = json!({ "rules": [{ "port": 80, "protocol": "udp" }, { "port": 81, "protocol": "udp" }] });
    let mut wall = applied(&host, other).await?;
    let before = elements(wall.state().get("rules"));
    let config = json!({ "rules": [{ "port": 80 }, { "port": 81, "protocol": "udp" }] });
    let step = wall.apply(config.clone()).await?;
    assert_eq!(step.action, Action::Update);
    // It is the same element, so it keeps its number.
    assert_eq!(elements(step.planned.get("rules")), [rule(80, "tcp", before[0].number), before[1].clone()]);
    for _ in 0..3 {
        assert_eq!(wall.apply(config.clone()).await?.action, Action::NoOp);
    }
    Ok(())
}

/// #1036, from the other end: what only the order of the elements tells.
#[tokio::test]
async fn a_set_with_defaults_in_another_order_is_the_same_set() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall =
        applied(&host, json!({ "rules": [{ "port": 1 }, { "port": 2, "open": true }, { "port": 3 }] })).await?;
    let turned = json!({ "rules": [{ "port": 3 }, { "port": 1 }, { "port": 2, "open": true }] });
    assert_eq!(wall.apply(turned).await?.action, Action::NoOp);
    Ok(())
}

/// #709: a computed value was looked up by the position of its element, so that
/// it went to another one when an element was added or taken out.
#[tokio::test]
async fn a_computed_value_stays_with_its_element_of_a_set() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = applied(&host, json!({ "rules": [{ "port": 1 }, { "port": 2 }, { "port": 3 }] })).await?;
    let before = elements(wall.state().get("rules"));
    let step = wall.apply(json!({ "rules": [{ "port": 4 }, { "port": 3 }, { "port": 1 }] })).await?;
    assert_eq!(elements(step.planned.get("rules")), [before[0].clone(), before[2].clone(), rule(4, "tcp", None)]);
    Ok(())
}

/// #709: the same in a list.
#[tokio::test]
async fn a_computed_value_stays_with_its_element_of_a_list() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = applied(&host, json!({ "steps": [{ "port": 1 }, { "port": 2 }, { "port": 3 }] })).await?;
    let before = elements(wall.state().get("steps"));
    // The first is gone, so every other one moves.
    let step = wall.apply(json!({ "steps": [{ "port": 2 }, { "port": 3 }] })).await?;
    assert_eq!(elements(step.planned.get("steps")), before[1..]);
    // One is put in front.
    let step = wall.apply(json!({ "steps": [{ "port": 9 }, { "port": 2 }, { "port": 3 }] })).await?;
    assert_eq!(elements(step.planned.get("steps")), [rule(9, "tcp", None), before[1].clone(), before[2].clone()]);
    // Changed where it is, it is the same element.
    let step = wall.apply(json!({ "steps": [{ "port": 9 }, { "port": 2, "open": true }, { "port": 3 }] })).await?;
    assert_eq!(elements(step.planned.get("steps"))[1], WallRule { open: true, ..before[1].clone() });
    Ok(())
}

/// #1197: a computed value that was null is kept as null, which is right where
/// the object was there, and wrong where it was not: in a new element, or of an
/// attribute that promises a value.
#[tokio::test]
async fn a_null_is_kept_where_it_was_a_value_and_not_where_there_was_nothing() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = applied(&host, json!({ "label": "a", "steps": [{ "port": 1 }] })).await?;
    // A state of the release before `added` and `promised`.
    let mut saved = wall.state().to_json().expect("known state");
    for newer in ["added", "promised"] {
        saved.as_object_mut().expect("an object").remove(newer);
    }
    wall.restore(0, saved).await?;
    let step = wall.apply(json!({ "label": "b", "steps": [{ "port": 1 }, { "port": 2 }] })).await?;
    assert_eq!(step.planned.get("added"), &Value::Null);
    assert!(step.planned.get("promised").is_unknown());
    assert_eq!(elements(step.planned.get("steps"))[1], rule(2, "tcp", None));
    assert_eq!(wall.state().get("promised"), &Value::from("kept"));
    Ok(())
}

/// #599: any change made every computed attribute "known after apply".
#[tokio::test]
async fn a_label_does_not_make_unknown_what_does_not_depend_on_it() -> Result<(), Diagnostics> {
    let host = host().await;
    let rules = json!([{ "port": 1 }]);
    let mut wall = applied(&host, json!({ "label": "a", "size": 1, "rules": rules, "steps": rules })).await?;
    let step = wall.plan(json!({ "label": "b", "size": 1, "rules": rules, "steps": rules })).await?;
    let unknown = |planned: &Value| -> Vec<String> {
        let entries = planned.as_map().into_iter().flatten();
        entries.filter(|(_, value)| !value.is_wholly_known()).map(|(name, _)| name.clone()).collect()
    };
    assert_eq!((step.action, unknown(&step.planned)), (Action::Update, vec!["digest".to_owned()]));
    let step = wall.plan(json!({ "label": "a", "size": 2, "rules": rules, "steps": rules })).await?;
    assert_eq!(unknown(&step.planned), ["digest", "url"]);
    Ok(())
}

/// #68: there were no timeouts at all.
#[tokio::test]
async fn an_operation_knows_how_long_it_may_take() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = applied(&host, json!({ "timeouts": { "update": "90s" } })).await?;
    wall.apply(json!({ "label": "x", "timeouts": { "update": "90s" } })).await?;
    assert_eq!(calls(&host), ["create within 600s", "update within 90s"]);
    Ok(())
}

/// #400: to add timeouts, to change them or to take them away made computed
/// attributes unknown and called the API.
#[tokio::test]
async fn timeouts_come_change_and_go_without_a_call_or_an_unknown_value() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = applied(&host, json!({ "size": 1 })).await?;
    for timeouts in [json!({ "create": "1m" }), json!({ "create": "2m", "delete": "1h" }), Json::Null] {
        let step = wall.apply(json!({ "size": 1, "timeouts": timeouts })).await?;
        assert_eq!((step.action, step.replace), (Action::Update, Vec::new()), "{timeouts}");
        assert!(step.planned.is_wholly_known(), "{timeouts}");
    }
    assert_eq!(calls(&host), ["create within 600s"]);
    Ok(())
}

/// #802: after an import, where no timeouts are known, the next plan replaced
/// the object.
#[tokio::test]
async fn timeouts_of_an_imported_object_are_no_reason_to_replace_it() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut wall = host.resource("bugs_wall");
    wall.import("wall-1").await?;
    assert_eq!(wall.apply(json!({})).await?.action, Action::NoOp);
    let step = wall.apply(json!({ "timeouts": { "create": "1m" } })).await?;
    assert_eq!((step.action, step.replace), (Action::Update, Vec::new()));
    assert_eq!(wall.apply(json!({ "timeouts": { "create": "60s" } })).await?.action, Action::NoOp);
    assert_eq!(calls(&host), [""; 0]);
    Ok(())
}
