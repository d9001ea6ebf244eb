//! What a plan of a cluster on Kubernetes knows and refuses.

use serde_json::{Value as Json, json};
use tfplugin::Value;
use tfplugin::testing::Host;

use crate::provider::FalajProvider;

const REGION: &str = "onprem:ae-du:dubai-1";

fn image() -> String {
    format!("registry.example.ae/falaj@sha256:{}", "0a".repeat(32))
}

async fn host() -> Host<FalajProvider> {
    let config = json!({
        "residency": { "jurisdiction": "AE", "allowed_regions": [REGION, "aws:me-central-1"] },
        "data_dir": "/nonexistent/falaj",
    });
    Host::configured(FalajProvider, config).await.expect("the provider is configured")
}

fn cluster(kubernetes: Json) -> Json {
    json!({
        "name": "retail", "region": REGION,
        "kms_key": { "uri": "file:///run/falaj/keys/root", "region": REGION },
        "kubernetes": kubernetes,
    })
}

fn with(changes: Json) -> Json {
    let mut base = json!({ "image": image(), "key_secret": "root" });
    if let (Some(base), Json::Object(changes)) = (base.as_object_mut(), changes) {
        base.extend(changes);
    }
    base
}

#[tokio::test]
async fn what_is_left_out_is_known_at_plan() {
    let step = host().await.resource("falaj_cluster").plan(cluster(with(json!({})))).await.expect("a plan");
    let kubernetes = step.planned.get("kubernetes");
    assert_eq!(kubernetes.get("namespace"), &Value::from("falaj-retail"));
    assert_eq!(kubernetes.get("differences"), &Value::List(Vec::new()));
    assert!(kubernetes.is_wholly_known());
}

#[tokio::test]
async fn what_cannot_be_is_an_error_at_its_own_attribute() {
    let exec = json!({ "api_version": "client.authentication.k8s.io/v1", "command": "aws" });
    let host = host().await;
    let mut instance = host.resource("falaj_cluster");
    for (changes, path) in [
        (json!({ "image": "falaj:latest" }), "kubernetes.image"),
        (json!({ "namespace": "Falaj" }), "kubernetes.namespace"),
        (json!({ "egress_cidrs": ["10.0.0.0"] }), "kubernetes.egress_cidrs"),
        (json!({ "environment": { "A-B": "1" } }), "kubernetes.environment"),
        (json!({ "storage": { "size": "10 GB" } }), "kubernetes.storage.size"),
        (json!({ "resources": { "limits": { "memory": "much" } } }), "kubernetes.resources.limits"),
        (json!({ "node_region": { "values": { "dubai": "x" } } }), "kubernetes.node_region.values"),
        (json!({ "key_secret": null }), "kubernetes.key_secret"),
        (json!({ "in_cluster": true, "config_path": "/k" }), "kubernetes.in_cluster"),
        (json!({ "host": "https://10.0.0.1:6443" }), "kubernetes.host"),
        (json!({ "exec": exec }), "kubernetes.exec"),
        (json!({ "host": "10.0.0.1:6443", "exec": exec }), "kubernetes.host"),
    ] {
        let errors = instance.plan(cluster(with(changes.clone()))).await.expect_err("the plan is refused");
        let paths: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
        assert!(paths.iter().any(|found| found.starts_with(path)), "{changes}: {paths:?}");
    }
}

#[tokio::test]
async fn a_cluster_runs_in_exactly_one_place() {
    let host = host().await;
    let mut instance = host.resource("falaj_cluster");
    let mut both = cluster(with(json!({})));
    both["local"] = json!({});
    let mut neither = cluster(Json::Null);
    neither["kms_key"]["uri"] = "file:///k".into();
    let mut elsewhere = cluster(with(json!({})));
    elsewhere["kms_key"]["uri"] = "file:///home/me/key".into();
    let mut released = cluster(with(json!({})));
    released["runtime_version"] = "0.1.0".into();
    for (config, path) in
        [(both, "kubernetes"), (neither, "local"), (elsewhere, "kms_key.uri"), (released, "runtime_version")]
    {
        let errors = instance.plan(config).await.expect_err("the plan is refused");
        assert!(errors.iter().any(|error| error.path.to_string() == path), "{path}: {errors}");
    }
}
