//! What a release build does, and what it does where it is asked to check.

use serde_json::json;
use tonic::Request;

use super::Service;
use super::convert::{decode, encode};
use crate::proto::tfplugin6 as proto;
use crate::proto::tfplugin6::provider_server::Provider as _;
use crate::{Attr, Context, Diagnostics, Empty, Failure, Model, Plan, Provider, Registry, Resource, Value};

#[derive(Model, Debug, Clone)]
struct Dot {
    #[attr(optional)]
    size: Attr<i64>,
}

/// Plans and makes another size than was asked for.
struct Stubborn;

impl Resource for Stubborn {
    type Shared = ();
    type Model = Dot;
    const NAME: &'static str = "dots_dot";

    async fn plan(&self, _: &Context<()>, plan: &mut Plan<Dot>) -> Result<(), Diagnostics> {
        plan.planned.size = 7.into();
        Ok(())
    }

    async fn create(&self, _: &Context<()>, _: Plan<Dot>) -> Result<Dot, Failure<Dot>> {
        Ok(Dot { size: 8.into() })
    }

    async fn read(&self, _: &Context<()>, state: Dot) -> Result<Option<Dot>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, _: &Context<()>, plan: Plan<Dot>) -> Result<Dot, Failure<Dot>> {
        Ok(plan.planned)
    }

    async fn delete(&self, _: &Context<()>, _: Dot) -> Result<(), Diagnostics> {
        Ok(())
    }
}

struct Dots;

impl Provider for Dots {
    type Config = Empty;
    type Shared = ();
    const NAME: &'static str = "dots";

    fn register(&self, registry: &mut Registry<()>) {
        registry.resource(Stubborn);
    }

    async fn configure(&self, _: &Context<()>, _: Empty) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// The sizes that a plan and an apply of the size 1 come to, and how many
/// diagnostics each has.
async fn sizes(checks: bool) -> [(Value, usize); 2] {
    let service = Service::checking(Dots, checks);
    let kind = Dot::schema().to_type();
    let size = |value: Option<proto::DynamicValue>| {
        decode(value, &kind).map(|value| value.get("size").clone()).unwrap_or(Value::Null)
    };
    let config = Value::from_json(json!({ "size": 1 }).to_string().as_bytes(), &kind).ok();
    let config = config.as_ref().and_then(encode);
    let request = proto::plan_resource_change::Request {
        type_name: "dots_dot".into(),
        config: config.clone(),
        ..Default::default()
    };
    let planned = service.plan_resource_change(Request::new(request)).await.map(tonic::Response::into_inner);
    let planned = planned.unwrap_or_default();
    let request = proto::apply_resource_change::Request {
        type_name: "dots_dot".into(),
        planned_state: config.clone(),
        config,
        ..Default::default()
    };
    let applied = service.apply_resource_change(Request::new(request)).await.map(tonic::Response::into_inner);
    let applied = applied.unwrap_or_default();
    [(size(planned.planned_state), planned.diagnostics.len()), (size(applied.new_state), applied.diagnostics.len())]
}

#[tokio::test]
async fn a_broken_contract_is_a_diagnostic_where_it_is_checked_and_passes_where_it_is_not() {
    let (seven, eight) = (Value::from(7), Value::from(8));
    assert_eq!(sizes(true).await, [(seven.clone(), 1), (eight.clone(), 1)]);
    assert_eq!(sizes(false).await, [(seven, 0), (eight, 0)]);
}
