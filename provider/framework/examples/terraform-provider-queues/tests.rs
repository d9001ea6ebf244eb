//! The life of a queue, without a Terraform.

use serde_json::{Value as Json, json};
use tfplugin::Diagnostics;
use tfplugin::testing::{Action, Host};

use crate::Queues;
use crate::broker::Broker;

async fn world() -> Result<(Broker, Host<Queues>), Diagnostics> {
    let (broker, endpoint) = Broker::start(0).await;
    let host = Host::configured(Queues, json!({ "endpoint": endpoint, "token": "swordfish" })).await?;
    Ok((broker, host))
}

fn orders() -> Json {
    json!({ "name": "orders", "labels": { "team": "shop" }, "password_wo": "rabbit", "password_wo_version": 1 })
}

#[tokio::test]
async fn a_change_of_the_description_leaves_the_url_known() -> Result<(), Diagnostics> {
    let (broker, host) = world().await?;
    let mut queue = host.resource("queues_queue");
    // Plans, applies, refreshes, and plans again: there must be nothing to do.
    let made = queue.apply(orders()).await?;
    assert_eq!(made.action, Action::Create);
    assert_eq!(queue.state().get("retention").as_str(), Some("7d"));
    assert_eq!(broker.queues()["q-1"]["password"], "rabbit");

    let mut config = orders();
    config["description"] = "What customers want".into();
    let plan = queue.plan(config.clone()).await?;
    assert_eq!(plan.action, Action::Update);
    assert!(plan.planned.get("revision").is_unknown() && !plan.planned.get("url").is_unknown());

    config["name"] = "wishes".into();
    assert_eq!(queue.plan(config).await?.action, Action::Replace);
    Ok(())
}

#[tokio::test]
async fn a_queue_that_somebody_deleted_is_planned_anew() -> Result<(), Diagnostics> {
    let (broker, host) = world().await?;
    let mut queue = host.resource("queues_queue");
    queue.apply(orders()).await?;
    broker.queues().clear();
    assert_eq!(queue.plan(orders()).await?.action, Action::Create);
    Ok(())
}

#[tokio::test]
async fn a_queue_that_does_not_start_is_kept_and_replaced() -> Result<(), Diagnostics> {
    let (_broker, host) = world().await?;
    let mut queue = host.resource("queues_queue");
    let problems = queue.apply(json!({ "name": "broken" })).await.expect_err("it is out of disk");
    assert!(problems.to_string().contains("out of disk"), "{problems}");
    assert_eq!(queue.state().get("id").as_str(), Some("q-1"));
    assert!(queue.is_tainted());

    let mut queue = host.resource("queues_queue");
    let problems = queue.apply(json!({ "name": "slow", "timeouts": { "create": "50ms" } })).await;
    let problems = problems.expect_err("it never starts");
    assert!(problems.to_string().contains("did not start in 50ms"), "{problems}");
    Ok(())
}

#[tokio::test]
async fn a_problem_is_told_where_it_is() -> Result<(), Diagnostics> {
    let (_broker, host) = world().await?;
    let mut queue = host.resource("queues_queue");
    let problems = queue.apply(json!({ "name": "Orders!" })).await.expect_err("no such name");
    assert_eq!(problems.iter().map(|problem| problem.path.to_string()).collect::<Vec<_>>(), ["name"]);

    queue.apply(orders()).await?;
    let mut config = orders();
    config["max_messages"] = 5.into();
    let problems = queue.apply(config).await.expect_err("the broker refuses it");
    assert_eq!(problems.iter().map(|problem| problem.path.to_string()).collect::<Vec<_>>(), ["max_messages"]);
    Ok(())
}

#[tokio::test]
async fn a_queue_is_imported_by_its_id() -> Result<(), Diagnostics> {
    let (_broker, host) = world().await?;
    host.resource("queues_queue").apply(orders()).await?;
    let mut imported = host.resource("queues_queue");
    imported.import("q-1").await?;
    assert_eq!(imported.state().get("name").as_str(), Some("orders"));
    // The password is nowhere to be read, and its version is the user's.
    let mut config = orders();
    config["password_wo_version"] = Json::Null;
    assert_eq!(imported.plan(config).await?.action, Action::NoOp);
    Ok(())
}
