//! What the framework promises a provider's author, each rule with the
//! smallest resource that shows it.

use std::sync::Mutex;

use serde_json::{Value as Json, json};
use tfplugin::proto::tfplugin6 as proto;
use tfplugin::proto::tfplugin6::provider_server::Provider as _;
use tfplugin::testing::{Action, Host};
use tfplugin::{
    Attr, Context, Diagnostic, Diagnostics, Empty, Failure, Model, Number, Plan, Provider, Registry, Resource, Set,
    Span, Value,
};

#[derive(Model, Debug, Clone, Default)]
struct ThingModel {
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// What the resource's code does: see `Thing`.
    #[attr(optional)]
    does: Attr<String>,
    #[attr(optional)]
    names: Attr<Vec<String>>,
    #[attr(optional)]
    rate: Attr<f64>,
    #[attr(optional)]
    every: Attr<Span>,
    #[attr(optional)]
    parts: Attr<Set<Part>>,
    #[attr(optional)]
    plain: Attr<Plain>,
    #[attr(computed, local)]
    summary: Attr<String>,
    #[attr(optional)]
    any: Attr<Value>,
}

#[derive(Model, Debug, Clone)]
struct Part {
    #[attr(required)]
    name: Attr<String>,
    #[attr(default = 1)]
    size: Attr<i64>,
}

/// Fields without a place for unknown: the attribute around them has one.
#[derive(Model, Debug, Clone)]
struct Plain {
    host: String,
    port: Option<u32>,
}

/// Counts the calls that reach the resource's code.
#[derive(Default)]
struct Calls(Mutex<Vec<&'static str>>);

struct Thing;

impl Thing {
    fn count(ctx: &Context<Calls>, call: &'static str) -> Result<(), Diagnostic> {
        ctx.shared()?.0.lock().expect("no panic while counting").push(call);
        Ok(())
    }
}

impl Resource for Thing {
    type Shared = Calls;
    type Model = ThingModel;
    const NAME: &'static str = "rules_thing";
    const VERSION: i64 = 2;

    async fn plan(&self, _ctx: &Context<Calls>, plan: &mut Plan<ThingModel>) -> Result<(), Diagnostics> {
        plan.planned.summary = format!("does {}", plan.planned.does.as_deref().unwrap_or("nothing")).into();
        match plan.planned.does.as_deref() {
            Some("plan another value") => plan.planned.rate = 7.0.into(),
            Some("replace when the rate changes") => plan.require_replace("rate"),
            _ => {}
        }
        Ok(())
    }

    async fn create(&self, ctx: &Context<Calls>, plan: Plan<ThingModel>) -> Result<ThingModel, Failure<ThingModel>> {
        Self::count(ctx, "create")?;
        let mut thing = plan.planned;
        match thing.does.as_deref() {
            Some("return another value") => thing.rate = 8.0.into(),
            Some("forget the id") => return Ok(thing),
            Some("wait for the stop") => {
                ctx.cancellation().cancelled().await;
                return Ok(thing);
            }
            _ => {}
        }
        thing.id = "1".into();
        ctx.set_private(*b"made");
        Ok(thing)
    }

    async fn read(&self, ctx: &Context<Calls>, mut state: ThingModel) -> Result<Option<ThingModel>, Diagnostics> {
        if ctx.private() != b"made" && state.does.as_deref() != Some("come from an old release") {
            return Err(Diagnostic::error("The private bytes are lost").into());
        }
        // As an API would answer: the same duration in other words.
        if state.every.known().is_some_and(|every| every.as_str() == "90m") {
            state.every = "1h30m".parse::<Span>().ok().into();
        }
        Ok(Some(state))
    }

    async fn update(&self, ctx: &Context<Calls>, plan: Plan<ThingModel>) -> Result<ThingModel, Failure<ThingModel>> {
        Self::count(ctx, "update")?;
        Ok(plan.planned)
    }

    async fn delete(&self, ctx: &Context<Calls>, _state: ThingModel) -> Result<(), Diagnostics> {
        Ok(Self::count(ctx, "delete")?)
    }

    async fn upgrade(&self, version: i64, mut state: Json) -> Result<Json, Diagnostics> {
        if version != 1 {
            return Err(Diagnostic::error("Version 0 was never released").into());
        }
        let does = state["action"].take();
        state["does"] = does;
        Ok(state)
    }
}

struct Rules;

impl Provider for Rules {
    type Config = Empty;
    type Shared = Calls;
    const NAME: &'static str = "rules";

    fn register(&self, registry: &mut Registry<Calls>) {
        registry.resource(Thing);
    }

    async fn configure(&self, _ctx: &Context<Calls>, _config: Empty) -> Result<Calls, Diagnostics> {
        Ok(Calls::default())
    }
}

async fn host() -> Host<Rules> {
    Host::configured(Rules, json!({})).await.expect("the provider is configured")
}

/// A configuration with parts unknown: the model says what is set.
fn config(model: ThingModel) -> Value {
    Model::to_value(&model)
}

fn paths(errors: &Diagnostics) -> Vec<String> {
    errors.iter().map(|error| error.path.to_string()).collect()
}

#[tokio::test]
async fn a_wrong_plan_is_told_by_its_attribute() {
    let config = json!({ "does": "plan another value", "rate": 1.5 });
    let errors = host().await.resource("rules_thing").apply(config).await.expect_err("it is refused");
    assert_eq!(paths(&errors), ["rate"]);
    assert!(errors.to_string().contains("bug in the provider"), "{errors}");
}

#[tokio::test]
async fn a_wrong_result_is_told_by_its_attribute() {
    let host = host().await;
    let config = json!({ "does": "return another value", "rate": 1.5 });
    let errors = host.resource("rules_thing").apply(config).await.expect_err("it is refused");
    assert_eq!(paths(&errors), ["rate"]);

    let config = json!({ "does": "forget the id" });
    let errors = host.resource("rules_thing").apply(config).await.expect_err("it is refused");
    assert_eq!(paths(&errors), ["id"]);
}

#[tokio::test]
async fn a_promised_value_that_an_interruption_left_out_is_an_error() {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        host.stop();
    };
    let (result, ()) = tokio::join!(thing.apply(json!({ "does": "wait for the stop" })), stop);
    let errors = result.expect_err("it is refused");
    assert!(errors.to_string().contains("Interrupted before `id` was known"), "{errors}");
    assert!(thing.is_tainted());
}

#[tokio::test]
async fn the_hook_may_ask_for_a_new_object_and_is_heard_only_on_a_change() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    let config = |rate: f64| json!({ "does": "replace when the rate changes", "rate": rate });
    thing.apply(config(1.0)).await?;
    assert_eq!(thing.apply(config(1.0)).await?.action, Action::NoOp);
    let step = thing.apply(config(2.0)).await?;
    assert_eq!((step.action, step.replace), (Action::Replace, vec!["rate".into()]));
    Ok(())
}

#[tokio::test]
async fn an_element_that_is_unknown_does_not_make_the_plan_of_the_others_unknown() -> Result<(), Diagnostics> {
    let host = host().await;
    let names = Value::List(vec!["known".into(), Value::unknown()]);
    let mut asked = config(ThingModel::default());
    if let Value::Map(entries) = &mut asked {
        entries.insert("names".into(), names.clone());
    }
    // The model reads the list as unknown; what it does not change stays.
    let step = host.resource("rules_thing").plan(asked).await?;
    assert_eq!(step.planned.get("names"), &names);
    assert_eq!(step.planned.get("summary"), &Value::from("does nothing"));
    Ok(())
}

#[tokio::test]
async fn plain_fields_wait_until_all_of_them_are_known() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut asked = config(ThingModel::default());
    let plain = Value::from_iter([("host", Value::unknown()), ("port", 80.into())]);
    if let Value::Map(entries) = &mut asked {
        entries.insert("plain".into(), plain.clone());
    }
    let step = host.resource("rules_thing").plan(asked).await?;
    assert_eq!(step.planned.get("plain"), &plain);

    let mut thing = host.resource("rules_thing");
    thing.apply(json!({ "plain": { "host": "h" } })).await?;
    assert_eq!(thing.state().get("plain").get("host"), &Value::from("h"));
    Ok(())
}

#[tokio::test]
async fn a_number_is_saved_with_all_the_digits_it_was_given() -> Result<(), Diagnostics> {
    let host = host().await;
    let exact = Number::parse("0.1234567890123456789012345").map(Value::Number).expect("a number");
    let mut asked = config(ThingModel::default());
    if let Value::Map(entries) = &mut asked {
        entries.insert("rate".into(), exact.clone());
    }
    let mut thing = host.resource("rules_thing");
    thing.apply_unchecked(asked).await?;
    assert_eq!(thing.state().get("rate"), &exact);
    Ok(())
}

#[tokio::test]
async fn what_a_read_spells_otherwise_is_no_drift() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    thing.apply(json!({ "every": "90m" })).await?;
    thing.refresh().await?;
    assert_eq!(thing.state().get("every"), &Value::from("90m"));
    Ok(())
}

#[tokio::test]
async fn elements_that_become_equal_through_a_default_are_told_so() {
    let config = json!({ "parts": [{ "name": "a" }, { "name": "a", "size": 1 }] });
    let errors = host().await.resource("rules_thing").apply(config).await.expect_err("it is refused");
    assert_eq!(paths(&errors), ["parts"]);
    assert!(errors.to_string().contains("become equal once defaults"), "{errors}");
}

#[tokio::test]
async fn a_set_may_grow_shrink_and_change_order() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    let parts =
        |names: &[&str]| json!({ "parts": names.iter().map(|name| json!({ "name": name })).collect::<Vec<_>>() });
    thing.apply(parts(&["a", "b"])).await?;
    assert_eq!(thing.apply(parts(&["b", "a"])).await?.action, Action::NoOp);
    assert_eq!(thing.apply(parts(&["b", "a", "c"])).await?.action, Action::Update);
    assert_eq!(thing.apply(parts(&[])).await?.action, Action::Update);
    assert_eq!(thing.apply(json!({})).await?.action, Action::Update);
    Ok(())
}

#[tokio::test]
async fn a_value_of_any_type_keeps_its_type() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    let any = json!({ "type": ["tuple", ["string", "bool"]], "value": ["x", true] });
    thing.apply(json!({ "any": any })).await?;
    assert_eq!(thing.state().get("any").to_json(), Some(any));
    let other = json!({ "type": "number", "value": 3 });
    assert_eq!(thing.apply(json!({ "any": other })).await?.action, Action::Update);
    Ok(())
}

#[tokio::test]
async fn state_of_an_older_release_is_upgraded_and_of_a_newer_one_refused() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    thing.restore(1, json!({ "id": "1", "action": "come from an old release", "gone": true })).await?;
    assert_eq!(thing.state().get("does"), &Value::from("come from an old release"));
    assert_eq!(thing.apply(json!({ "does": "come from an old release" })).await?.action, Action::Update);

    let errors = thing.restore(3, json!({ "id": "1" })).await.expect_err("it is refused");
    assert!(errors.to_string().contains("written by a newer release"), "{errors}");
    assert!(thing.restore(0, json!({ "id": "1" })).await.is_err());
    Ok(())
}

#[tokio::test]
async fn state_in_the_format_of_terraform_0_11_is_refused_and_not_taken_for_none() {
    let host = host().await;
    let saved = |json: &'static str, flatmap: &[&str]| {
        let flatmap = flatmap.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect();
        Some(proto::RawState { json: json.into(), flatmap })
    };
    let upgrade = async |raw_state| {
        let request = proto::upgrade_resource_state::Request { type_name: "rules_thing".into(), version: 2, raw_state };
        let answer = host.service().upgrade_resource_state(tonic::Request::new(request)).await;
        let answer = answer.expect("an answer").into_inner();
        (answer.upgraded_state.is_some(), answer.diagnostics.into_iter().map(|told| told.summary).collect::<String>())
    };
    let (upgraded, told) = upgrade(saved("", &["id"])).await;
    assert!(!upgraded && told.contains("format of Terraform 0.11"), "{told}");
    assert_eq!(upgrade(saved("{\"id\":\"1\"}", &["id"])).await, (true, String::new()));

    let request = proto::move_resource_state::Request {
        target_type_name: "rules_thing".into(),
        source_state: saved("", &["id"]),
        ..Default::default()
    };
    let answer = host.service().move_resource_state(tonic::Request::new(request)).await;
    let told = answer.expect("an answer").into_inner().diagnostics;
    assert!(told.iter().any(|told| told.summary.contains("format of Terraform 0.11")), "{told:?}");
}

#[tokio::test]
async fn a_change_of_what_is_local_alone_calls_nothing() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut thing = host.resource("rules_thing");
    thing.apply(json!({ "rate": 1 })).await?;
    // As a new release would: the summary is worded differently, nothing else.
    let mut saved = thing.state().to_json().expect("known state");
    saved["summary"] = "did nothing".into();
    thing.restore(2, saved).await?;
    assert_eq!(thing.apply(json!({ "rate": 1 })).await?.action, Action::Update);
    assert_eq!(thing.state().get("summary"), &Value::from("does nothing"));
    assert_eq!(host.shared().map(|calls| calls.0.lock().expect("calls").clone()), Some(vec!["create"]));
    Ok(())
}
