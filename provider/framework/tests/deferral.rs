//! What cannot be planned in this run, and what a plan leaves to its apply:
//! deferrals, private bytes of a plan, and what a module says to the provider.

use std::sync::Mutex;

use serde_json::{Value as Json, json};
use tfplugin::testing::{Action, Client, Host};
use tfplugin::{
    Action as Deed, Attr, Context, DataSource, Deferral, Diagnostic, Diagnostics, Empty, EphemeralResource, Failure,
    Import, Model, Opened, Plan, Progress, Provider, Registry, Resource, Value, schema::Schema, validate,
};

/// A gate that is reached through a house.
#[derive(Model, Debug, Clone, Default)]
struct GateModel {
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// The house; it may be made in the same run.
    #[attr(optional)]
    house: Attr<String>,
    #[attr(optional)]
    width: Attr<i64>,
    /// A ticket that is drawn at plan and used at apply.
    #[attr(computed)]
    ticket: Attr<i64>,
}

#[derive(Model, Debug, Clone)]
struct Config {
    #[attr(optional)]
    address: Attr<String>,
}

/// What a module says to the provider.
#[derive(Model, Debug, Clone, PartialEq)]
struct Meta {
    /// Whose module it is.
    #[attr(required, validate = [validate::name(10)])]
    team: Attr<String>,
    #[attr(default = "none")]
    cost_center: Attr<String>,
}

/// The next ticket, and what was heard of modules.
#[derive(Default)]
struct Street {
    tickets: Mutex<i64>,
    heard: Mutex<Vec<String>>,
}

impl Street {
    fn hear(ctx: &Context<Self>, call: &str) -> Result<(), Diagnostics> {
        let meta = ctx.provider_meta::<Meta>()?;
        let said = meta.map(|meta| format!("{} of {}", meta.team.or_default(), meta.cost_center.or_default()));
        let said = said.unwrap_or_else(|| "nobody".to_owned());
        ctx.shared()?.heard.lock().expect("no panic").push(format!("{call} for {said}"));
        Ok(())
    }
}

struct Gate;

impl Gate {
    fn reached(house: &Attr<String>) -> Result<(), Diagnostics> {
        match house {
            Attr::Unknown(_) => Err(Diagnostic::from(Deferral::ResourceConfigUnknown).at("house").into()),
            Attr::Known(house) if house == "not built" => Err(Deferral::AbsentPrerequisite.into()),
            _ => Ok(()),
        }
    }
}

impl Resource for Gate {
    type Shared = Street;
    type Model = GateModel;
    const NAME: &'static str = "street_gate";

    async fn plan(&self, ctx: &Context<Street>, plan: &mut Plan<GateModel>) -> Result<(), Diagnostics> {
        Street::hear(ctx, "plan")?;
        Self::reached(&plan.planned.house)?;
        if plan.planned.width.known() == Some(&13) {
            return Err(Diagnostics::from(vec![Deferral::AbsentPrerequisite.into(), Diagnostic::error("Too narrow")]));
        }
        if plan.is_create() {
            if let Some(drawn) = ctx.planned_private() {
                ctx.set_private(drawn);
                return Ok(());
            }
            let mut tickets = ctx.shared()?.tickets.lock().expect("no panic");
            *tickets += 1;
            ctx.set_private(tickets.to_string());
        }
        Ok(())
    }

    async fn create(&self, ctx: &Context<Street>, plan: Plan<GateModel>) -> Result<GateModel, Failure<GateModel>> {
        Street::hear(ctx, "create")?;
        let ticket = String::from_utf8(ctx.private()).ok().and_then(|ticket| ticket.parse::<i64>().ok());
        Ok(GateModel { id: "gate-1".into(), ticket: ticket.into(), ..plan.planned })
    }

    async fn read(&self, ctx: &Context<Street>, state: GateModel) -> Result<Option<GateModel>, Diagnostics> {
        Street::hear(ctx, "read")?;
        Self::reached(&state.house)?;
        Ok(Some(state))
    }

    async fn update(&self, _ctx: &Context<Street>, plan: Plan<GateModel>) -> Result<GateModel, Failure<GateModel>> {
        Ok(plan.planned)
    }

    async fn delete(&self, _ctx: &Context<Street>, _state: GateModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, _ctx: &Context<Street>, import: Import) -> Result<GateModel, Diagnostics> {
        Self::reached(&import.id().map(str::to_owned).into())?;
        Ok(GateModel { id: "gate-1".into(), ..GateModel::default() })
    }
}

struct Bell;

impl DataSource for Bell {
    type Shared = Street;
    type Model = GateModel;
    const NAME: &'static str = "street_bell";

    async fn read(&self, ctx: &Context<Street>, config: GateModel) -> Result<GateModel, Diagnostics> {
        Street::hear(ctx, "look")?;
        Gate::reached(&config.house)?;
        Ok(GateModel { id: "bell-1".into(), ..config })
    }
}

struct Key;

impl EphemeralResource for Key {
    type Shared = Street;
    type Model = GateModel;
    const NAME: &'static str = "street_key";

    async fn open(&self, _ctx: &Context<Street>, config: GateModel) -> Result<Opened<GateModel>, Diagnostics> {
        Gate::reached(&config.house)?;
        Ok(Opened::new(GateModel { id: "key-1".into(), ticket: 0.into(), ..config }))
    }
}

struct Ring;

impl Deed for Ring {
    type Shared = Street;
    type Model = Config;
    const NAME: &'static str = "street_ring";

    async fn plan(&self, _ctx: &Context<Street>, config: &Config) -> Result<(), Diagnostics> {
        Gate::reached(&config.address)
    }

    async fn invoke(&self, _ctx: &Context<Street>, _config: Config, _progress: &Progress) -> Result<(), Diagnostics> {
        Ok(())
    }
}

struct Streets;

impl Provider for Streets {
    type Config = Config;
    type Shared = Street;
    const NAME: &'static str = "street";

    fn register(&self, registry: &mut Registry<Street>) {
        registry.resource(Gate).data_source(Bell).ephemeral_resource(Key).action(Ring);
    }

    fn meta_schema(&self) -> Option<Schema> {
        Some(Meta::schema())
    }

    async fn configure(&self, _ctx: &Context<Street>, config: Config) -> Result<Street, Diagnostics> {
        if config.address.is_unknown() {
            return Err(Deferral::ProviderConfigUnknown.into());
        }
        Ok(Street::default())
    }
}

async fn host(client: Client) -> Host<Streets> {
    Host::new(Streets).under(client).configure(json!({})).await.expect("the provider is configured")
}

fn unknown_house() -> Value {
    Model::to_value(&GateModel { house: Attr::unknown(), width: 3.into(), ..GateModel::default() })
}

fn heard(host: &Host<Streets>) -> Vec<String> {
    host.shared().map(|street| std::mem::take(&mut *street.heard.lock().expect("no panic"))).unwrap_or_default()
}

#[tokio::test]
async fn a_plan_is_deferred_with_what_is_known_of_the_object() -> Result<(), Diagnostics> {
    let host = host(Client::deferring()).await;
    let step = host.resource("street_gate").plan(unknown_house()).await?;
    assert_eq!(step.deferred, Some(Deferral::ResourceConfigUnknown));
    assert_eq!((step.planned.get("width"), step.planned.get("id").is_unknown()), (&Value::from(3), true));

    let step = host.resource("street_gate").plan(json!({ "house": "not built" })).await?;
    assert_eq!(step.deferred, Some(Deferral::AbsentPrerequisite));
    let step = host.resource("street_gate").plan(json!({ "house": "built" })).await?;
    assert_eq!(step.deferred, None);
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_not_defer_is_told_what_to_do_and_where() {
    for client in [Client::default(), Client::oldest()] {
        let host = host(client).await;
        let errors = host.resource("street_gate").plan(unknown_house()).await.expect_err("it is refused");
        assert_eq!(errors.deferral(), None);
        assert_eq!(errors.iter().map(|error| error.path.to_string()).collect::<Vec<_>>(), ["house"]);
        assert!(errors.to_string().contains("-target="), "{errors}");
    }
}

#[tokio::test]
async fn an_error_beside_a_deferral_is_told() {
    let config = json!({ "width": 13 });
    let errors = host(Client::deferring()).await.resource("street_gate").plan(config).await.expect_err("it is refused");
    assert!(errors.to_string().contains("Too narrow"), "{errors}");
}

#[tokio::test]
async fn reads_imports_look_ups_opens_and_actions_are_deferred_too() -> Result<(), Diagnostics> {
    let absent = || json!({ "house": "not built" });
    for (client, expected) in [(Client::deferring(), Some(Deferral::AbsentPrerequisite)), (Client::default(), None)] {
        let host = host(client).await;
        let mut gate = host.resource("street_gate");
        gate.restore(0, json!({ "id": "gate-1", "house": "not built" })).await?;
        let saved = gate.state().clone();
        let errors = [
            gate.refresh().await.err(),
            host.resource("street_gate").import("not built").await.err(),
            host.data_source("street_bell", absent()).await.err(),
            host.open("street_key", absent()).await.err(),
            host.invoke("street_ring", json!({ "address": "not built" })).await.err(),
        ];
        for (place, errors) in errors.into_iter().enumerate() {
            assert_eq!(errors.expect("it is not done").deferral(), expected, "{place}");
        }
        assert_eq!(gate.state(), &saved);
    }
    Ok(())
}

#[tokio::test]
async fn a_provider_that_defers_is_asked_nothing_and_defers_everything() -> Result<(), Diagnostics> {
    let unknown = || Model::to_value(&Config { address: Attr::unknown() });
    let host = Host::new(Streets).under(Client::deferring()).configure(unknown()).await?;
    let expected = Some(Deferral::ProviderConfigUnknown);

    let mut gate = host.resource("street_gate");
    let step = gate.plan(json!({ "width": 13 })).await?;
    assert_eq!((step.deferred, step.planned.get("width")), (expected, &Value::from(13)));
    assert!(step.planned.get("id").is_unknown());
    gate.restore(0, json!({ "id": "gate-1" })).await?;
    let errors = [
        gate.refresh().await.err(),
        host.resource("street_gate").import("gate-1").await.err(),
        host.data_source("street_bell", json!({})).await.err(),
        host.open("street_key", json!({})).await.err(),
        host.invoke("street_ring", json!({})).await.err(),
    ];
    for (place, errors) in errors.into_iter().enumerate() {
        assert_eq!(errors.and_then(|errors| errors.deferral()), expected, "{place}");
    }

    // Once it is known, all is as ever.
    let host = host.configure(json!({ "address": "here" })).await?;
    assert_eq!(host.resource("street_gate").apply(json!({})).await?.action, Action::Create);

    let refused = Host::new(Streets).configure(unknown()).await.err();
    assert!(refused.is_some_and(|errors| errors.to_string().contains("provider's configuration is not known yet")));
    Ok(())
}

#[tokio::test]
async fn what_a_plan_decided_reaches_its_apply_and_the_second_plan_where_the_host_keeps_it() -> Result<(), Diagnostics>
{
    // The number of tickets drawn for one gate: by both plans, or by one.
    for (client, ticket) in [(Client::oldest(), 2), (Client::default(), 1)] {
        let host = host(client).await;
        let mut gate = host.resource("street_gate");
        gate.apply_unchecked(json!({})).await?;
        assert_eq!(gate.state().get("ticket"), &Value::from(ticket));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_module_says_reaches_every_operation_for_it() -> Result<(), Diagnostics> {
    let host = host(Client::default()).await.in_module(json!({ "team": "blue", "cost_center": "7" }));
    host.resource("street_gate").apply(json!({})).await?;
    host.data_source("street_bell", json!({})).await?;
    let calls = ["plan", "plan", "create", "read", "plan", "look"];
    assert_eq!(heard(&host), calls.map(|call| format!("{call} for blue of 7")));

    let host = host.in_module(json!({ "team": "red" }));
    host.data_source("street_bell", json!({})).await?;
    let host = host.in_module(Json::Null);
    host.data_source("street_bell", json!({})).await?;
    assert_eq!(heard(&host), ["look for red of none", "look for nobody"]);
    Ok(())
}

#[tokio::test]
async fn what_a_module_says_wrongly_is_refused_before_anything_is_done() {
    let host = host(Client::default()).await.in_module(json!({ "team": "Blue!" }));
    for errors in [
        host.resource("street_gate").plan(json!({})).await.err(),
        host.data_source("street_bell", json!({})).await.err(),
    ] {
        let errors = errors.expect("it is refused").to_string();
        assert!(errors.contains("`provider_meta` at `team`"), "{errors}");
    }
    assert_eq!(heard(&host), [""; 0]);
}

/// A provider without one is given a null of any type by the host.
#[tokio::test]
async fn a_provider_that_declares_no_meta_is_not_bothered_with_it() -> Result<(), Diagnostics> {
    struct Quiet;

    impl Provider for Quiet {
        type Config = Empty;
        type Shared = Street;
        const NAME: &'static str = "street";

        fn register(&self, registry: &mut Registry<Street>) {
            registry.resource(Gate);
        }

        async fn configure(&self, _ctx: &Context<Street>, _config: Empty) -> Result<Street, Diagnostics> {
            Ok(Street::default())
        }
    }

    let host = Host::configured(Quiet, json!({})).await?;
    assert_eq!(host.resource("street_gate").apply(json!({})).await?.action, Action::Create);
    Ok(())
}
