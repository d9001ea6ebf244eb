//! Nested blocks, the syntax of older providers: what is absent is empty, and
//! what the user left out may be filled in where the host can take that.

use std::collections::BTreeMap;

use serde_json::json;
use tfplugin::testing::{Action, Client, Host};
use tfplugin::{
    Attr, Context, DataSource, Diagnostics, Empty, Failure, Import, Model, Plan, Provider, Registry, Resource, Set,
    Timeouts, Value, validate,
};

/// A server with everything in blocks.
#[derive(Model, Debug, Clone, Default)]
struct ServerModel {
    #[attr(computed, not_null)]
    id: Attr<String>,
    #[attr(optional)]
    label: Attr<String>,
    /// The disk it boots from.
    #[attr(block)]
    boot: Attr<Disk>,
    /// Its other disks.
    #[attr(block, max_items = 3, replace)]
    disk: Vec<Disk>,
    /// Who may come in.
    #[attr(block, deprecated = "Use a wall.")]
    rule: Attr<Set<Rule>>,
    /// Its networks by name.
    #[attr(block)]
    network: Attr<BTreeMap<String, Network>>,
    /// Where it can be reached; the provider knows if the user does not say.
    #[attr(block, computed)]
    port: Attr<Vec<Port>>,
    #[attr(block)]
    timeouts: Attr<Timeouts>,
}

#[derive(Model, Debug, Clone, Default)]
struct Disk {
    #[attr(required)]
    size: Attr<i64>,
    #[attr(default = "ext4")]
    format: Attr<String>,
    #[attr(computed)]
    serial: Attr<String>,
}

#[derive(Model, Debug, Clone, Default)]
struct Rule {
    #[attr(required)]
    port: Attr<i64>,
    #[attr(default = "tcp")]
    protocol: Attr<String>,
}

#[derive(Model, Debug, Clone, Default)]
struct Network {
    #[attr(optional)]
    mtu: Attr<i64>,
    /// Blocks inside blocks.
    #[attr(block, min_items = 1, validate = [validate::length(1, 2)])]
    address: Attr<Vec<Address>>,
}

#[derive(Model, Debug, Clone, Default)]
struct Address {
    #[attr(required)]
    ip: Attr<String>,
}

#[derive(Model, Debug, Clone, Default)]
struct Port {
    #[attr(optional, computed)]
    number: Attr<i64>,
}

struct Server;

impl Server {
    fn complete(mut server: ServerModel) -> ServerModel {
        if server.id.is_unknown() {
            server.id = "server-1".into();
        }
        for (disk, serial) in server.boot.known_mut().into_iter().chain(&mut server.disk).zip(1..) {
            if disk.serial.is_unknown() {
                disk.serial = format!("serial-{serial}").into();
            }
        }
        if server.port.is_unknown() {
            server.port = vec![Port { number: 22.into() }].into();
        }
        server
    }
}

impl Resource for Server {
    type Shared = ();
    type Model = ServerModel;
    const NAME: &'static str = "blocks_server";

    async fn create(&self, _: &Context<()>, plan: Plan<ServerModel>) -> Result<ServerModel, Failure<ServerModel>> {
        Ok(Self::complete(plan.planned))
    }

    /// Forgets to tell "none" from "nothing known", as code does.
    async fn read(&self, _: &Context<()>, mut state: ServerModel) -> Result<Option<ServerModel>, Diagnostics> {
        if state.rule.known().is_some_and(|rules| rules.0.is_empty()) {
            state.rule = Attr::Null;
        }
        if state.network.known().is_some_and(BTreeMap::is_empty) {
            state.network = Attr::Null;
        }
        Ok(Some(state))
    }

    async fn update(&self, _: &Context<()>, plan: Plan<ServerModel>) -> Result<ServerModel, Failure<ServerModel>> {
        Ok(Self::complete(plan.planned))
    }

    async fn delete(&self, _: &Context<()>, _: ServerModel) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn import(&self, _: &Context<()>, import: Import) -> Result<ServerModel, Diagnostics> {
        Ok(ServerModel { id: import.id().map(str::to_owned).into(), ..ServerModel::default() })
    }
}

/// Finds the networks of a server.
#[derive(Model, Debug, Clone, Default)]
struct NetworksModel {
    #[attr(block, min_items = 1)]
    filter: Vec<Filter>,
    #[attr(block)]
    options: Attr<Filter>,
    #[attr(computed)]
    count_found: Attr<i64>,
}

#[derive(Model, Debug, Clone, Default)]
struct Filter {
    #[attr(required)]
    name: Attr<String>,
    #[attr(default = true)]
    exact: Attr<bool>,
}

struct Networks;

impl DataSource for Networks {
    type Shared = ();
    type Model = NetworksModel;
    const NAME: &'static str = "blocks_networks";

    async fn read(&self, _: &Context<()>, config: NetworksModel) -> Result<NetworksModel, Diagnostics> {
        let exact = config.filter.iter().filter(|filter| filter.exact.known() == Some(&true)).count();
        Ok(NetworksModel { count_found: i64::try_from(exact).ok().into(), ..config })
    }
}

struct Blocks;

impl Provider for Blocks {
    type Config = Empty;
    type Shared = ();
    const NAME: &'static str = "blocks";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Server).data_source(Networks);
    }

    async fn configure(&self, _: &Context<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

async fn host() -> Host<Blocks> {
    Host::configured(Blocks, json!({})).await.expect("the provider is configured")
}

#[tokio::test]
async fn what_is_absent_is_empty_at_every_step() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut server = host.resource("blocks_server");
    server.apply(json!({ "port": [{ "number": 80 }] })).await?;
    let empty = |server: &Value| {
        assert_eq!(server.get("boot"), &Value::Null);
        assert_eq!(server.get("disk"), &Value::List(Vec::new()));
        assert_eq!(server.get("rule"), &Value::Set(Vec::new()));
        assert_eq!(server.get("network"), &Value::Map(BTreeMap::new()));
    };
    empty(server.state());
    server.refresh().await?;
    empty(server.state());
    // A release that had no blocks saved it.
    server.restore(0, json!({ "id": "server-1" })).await?;
    empty(server.state());

    let mut imported = host.resource("blocks_server");
    imported.import("server-7").await?;
    empty(imported.state());
    empty(&imported.generate_config().await?);
    Ok(())
}

#[tokio::test]
async fn blocks_of_every_nesting_live_through_create_update_and_replace() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut server = host.resource("blocks_server");
    let config = json!({
        "boot": { "size": 10 },
        "disk": [{ "size": 20 }, { "size": 30, "format": "xfs" }],
        "rule": [{ "port": 80 }, { "port": 53, "protocol": "udp" }],
        "network": { "lan": { "mtu": 1500, "address": [{ "ip": "10.0.0.1" }] }, "wan": { "address": [{ "ip": "1.1.1.1" }] } },
        "timeouts": { "create": "5m" },
    });
    let step = server.apply(config.clone()).await?;
    assert_eq!(step.action, Action::Create);
    assert!(step.warnings.is_empty(), "{}", step.warnings);
    assert_eq!(server.state().get("boot").get("format"), &Value::from("ext4"));
    assert_eq!(server.state().get("boot").get("serial"), &Value::from("serial-1"));
    assert_eq!(server.apply(config.clone()).await?.action, Action::NoOp);

    let mut changed = config.clone();
    changed["label"] = "x".into();
    changed["boot"]["size"] = 11.into();
    changed["rule"] = json!([{ "port": 53, "protocol": "udp" }]);
    changed["network"]["wan"] = json!({ "address": [{ "ip": "9.9.9.9" }, { "ip": "8.8.8.8" }] });
    let step = server.apply(changed.clone()).await?;
    assert_eq!((step.action, step.planned.is_wholly_known()), (Action::Update, true));

    changed["disk"] = json!([{ "size": 30, "format": "xfs" }]);
    let step = server.apply(changed).await?;
    assert_eq!((step.action, step.replace), (Action::Replace, vec!["disk".into()]));
    // Blocks that are taken out are gone.
    assert_eq!(server.apply(json!({})).await?.action, Action::Replace);
    assert_eq!(server.state().get("boot"), &Value::Null);
    Ok(())
}

#[tokio::test]
async fn a_computed_block_is_filled_in_where_it_is_left_out() -> Result<(), Diagnostics> {
    let host = host().await;
    let mut server = host.resource("blocks_server");
    let step = server.apply(json!({})).await?;
    assert!(step.planned.get("port").is_unknown());
    let filled = Value::List(vec![Value::from_iter([("number", 22)])]);
    assert_eq!(server.state().get("port"), &filled);
    // It stays as it is while something else changes, and while none is written.
    let step = server.apply(json!({ "label": "x" })).await?;
    assert_eq!(step.planned.get("port"), &filled);

    let step = server.apply(json!({ "label": "x", "port": [{ "number": 80 }, {}] })).await?;
    assert_eq!(step.action, Action::Update);
    assert_eq!(server.apply(json!({ "label": "x" })).await?.action, Action::NoOp);
    Ok(())
}

#[tokio::test]
async fn under_a_host_without_computed_blocks_they_must_be_written_out() -> Result<(), Diagnostics> {
    let older = Client { computed_blocks: false, ..Client::default() };
    let host = Host::new(Blocks).under(older).configure(json!({})).await?;
    let errors = host.resource("blocks_server").plan(json!({})).await.expect_err("it is refused");
    assert_eq!(errors.iter().map(|error| error.path.to_string()).collect::<Vec<_>>(), ["port"]);
    assert!(errors.to_string().contains("since Terraform 1.16"), "{errors}");

    let mut server = host.resource("blocks_server");
    assert_eq!(server.apply(json!({ "port": [{ "number": 1 }] })).await?.action, Action::Create);
    Ok(())
}

#[tokio::test]
async fn blocks_that_are_not_known_yet_are_planned_as_they_are() -> Result<(), Diagnostics> {
    let mut config = Model::to_value(&ServerModel::default());
    if let Value::Map(entries) = &mut config {
        entries.insert("rule".into(), Value::unknown());
        entries.insert("network".into(), Value::unknown());
    }
    let step = host().await.resource("blocks_server").plan(config).await?;
    assert_eq!((step.planned.get("rule"), step.planned.get("network")), (&Value::unknown(), &Value::unknown()));
    Ok(())
}

#[tokio::test]
async fn a_block_is_validated_and_a_deprecated_one_told_only_where_it_is_written() -> Result<(), Diagnostics> {
    let server = host().await.resource("blocks_server");
    let ips = json!([{ "ip": "a" }, { "ip": "b" }, { "ip": "c" }]);
    let errors = server.validate(json!({ "network": { "lan": { "address": ips } } })).await.expect_err("it is refused");
    assert_eq!(errors.iter().map(|error| error.path.to_string()).collect::<Vec<_>>(), [r#"network["lan"].address"#]);
    assert!(server.validate(json!({})).await?.is_empty());
    let warnings = server.validate(json!({ "rule": [{ "port": 1 }] })).await?;
    assert!(warnings.to_string().contains("Use a wall."), "{warnings}");
    Ok(())
}

#[tokio::test]
async fn a_data_source_takes_blocks() -> Result<(), Diagnostics> {
    let config = json!({ "filter": [{ "name": "a" }, { "name": "b", "exact": false }] });
    let found = host().await.data_source("blocks_networks", config).await?;
    assert_eq!((found.get("count_found"), found.get("options")), (&Value::from(1), &Value::Null));
    Ok(())
}
