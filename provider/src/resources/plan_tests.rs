//! What a plan knows and refuses before anything exists.

use std::path::Path;

use serde_json::{Value as Json, json};
use tfplugin::testing::{Host, Instance, Step};
use tfplugin::{Attr, Diagnostics, Field, Refinement, Value};

use crate::provider::FalajProvider;

const REGION: &str = "onprem:ae-du:dubai-1";
const UID: &str = "0190f3c2-7a52-7cc0-8000-000000000000";
const KEY: &str = "aws-kms://arn:aws:kms:me-central-1:111122223333:key/1";

fn rule(regions: &[&str]) -> Json {
    json!({ "jurisdiction": "AE", "allowed_regions": regions })
}

async fn host(config: Json) -> Host<FalajProvider> {
    Host::configured(FalajProvider, config).await.expect("the provider is configured")
}

async fn ruled() -> Host<FalajProvider> {
    let config = json!({
        "residency": rule(&[REGION, "aws:me-central-1"]),
        "labels": { "cost_center": "retail" },
        "data_dir": "/nonexistent/falaj",
    });
    host(config).await
}

fn cluster(changes: Json) -> Json {
    merged(json!({ "name": "retail", "region": REGION, "kms_key": { "uri": KEY }, "local": {} }), changes)
}

fn model(changes: Json) -> Json {
    let store = format!("{REGION}/retail/people/feature_store/people/{UID}");
    let training = json!({
        "features": { "people": { "feature_store_id": store, "names": ["age"] } },
        "label": { "column": "employed", "feature_store_id": store },
        "protected": ["sex"],
        "logistic": {},
    });
    let model =
        json!({ "workspace_id": format!("{REGION}/retail/people/{UID}"), "name": "employed", "training": training });
    merged(model, changes)
}

fn endpoint(variants: Json) -> Json {
    json!({ "workspace_id": format!("{REGION}/retail/people/{UID}"), "name": "employed", "variants": variants })
}

fn variant(changes: Json) -> Json {
    merged(json!({ "model_id": format!("{REGION}/retail/people/model/employed/{UID}") }), changes)
}

fn store(source: Json) -> Json {
    json!({
        "workspace_id": format!("{REGION}/retail/people/{UID}"), "name": "people", "entity": { "name": "person_id" },
        "source": source,
        "features": { "age": { "type": "int64" }, "sex": { "type": "string", "classification": "special" } },
        "retention": { "offline": "365d" },
    })
}

/// Objects merged key by key, at every depth; null takes out.
fn merged(mut base: Json, changes: Json) -> Json {
    match (&mut base, changes) {
        (Json::Object(base), Json::Object(changes)) => {
            for (key, change) in changes {
                let before = base.remove(&key).unwrap_or(Json::Null);
                base.insert(key, merged(before, change));
            }
        }
        (base, change) => *base = change,
    }
    base
}

async fn refused(instance: &mut Instance<FalajProvider>, config: Json) -> Diagnostics {
    instance.plan(config).await.expect_err("the plan is refused")
}

fn paths(errors: &Diagnostics) -> Vec<String> {
    errors.iter().map(|error| error.path.to_string()).collect()
}

fn prefix(step: &Step) -> String {
    let id = Attr::<String>::from_value(step.planned.get("id")).expect("an id is a text");
    assert!(id.refinement().is_some_and(Refinement::is_not_null), "{id:?}");
    id.known_prefix().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_cluster_knows_its_place_its_rule_and_its_posture_at_plan() {
    let step = ruled().await.resource("falaj_cluster").plan(cluster(json!({}))).await.expect("a plan");
    assert_eq!(prefix(&step), "onprem:ae-du:dubai-1/retail/");
    assert_eq!(step.planned.get("residency").get("jurisdiction"), &Value::from("AE"));
    let posture = step.planned.get("posture");
    assert!(posture.is_wholly_known());
    assert_eq!(posture.get("key_region"), &Value::from("aws:me-central-1"));
    assert_eq!(posture.get("complete"), &Value::from(true));
    assert_eq!(step.planned.get("effective_labels").get("cost_center"), &Value::from("retail"));
}

#[tokio::test]
async fn a_place_outside_of_the_rule_is_an_error_at_its_own_attribute() {
    let host = ruled().await;
    let mut instance = host.resource("falaj_cluster");
    for (changes, path) in [
        (json!({ "region": "aws:eu-west-1" }), "region"),
        (json!({ "region": "onprem:ae-az:site-1" }), "region"),
        (json!({ "kms_key": { "uri": KEY.replace("me-central-1", "eu-west-1") } }), "kms_key.uri"),
        (json!({ "kms_key": { "uri": "file:///k", "region": "aws:eu-west-1" } }), "kms_key.region"),
        (json!({ "kms_key": { "uri": "file:///k" } }), "kms_key.uri"),
        (json!({ "residency": rule(&["aws:me-central-1"]) }), "region"),
        (json!({ "residency": rule(&[REGION, "aws:eu-west-1"]) }), "residency.allowed_regions"),
        (json!({ "residency": { "jurisdiction": "UAE", "allowed_regions": [REGION] } }), "residency.jurisdiction"),
    ] {
        let errors = refused(&mut instance, cluster(changes.clone())).await;
        assert!(paths(&errors).iter().any(|found| found == path), "{changes}: {errors}");
    }
}

#[tokio::test]
async fn without_any_rule_a_cluster_is_refused_unless_the_provider_allows_it() {
    let errors = refused(&mut host(json!({})).await.resource("falaj_cluster"), cluster(json!({}))).await;
    assert_eq!(paths(&errors), ["residency"]);
    let allowed = host(json!({ "allow_no_residency": true })).await;
    allowed.resource("falaj_cluster").plan(cluster(json!({}))).await.expect("a plan");
}

#[tokio::test]
async fn a_rule_that_is_not_known_yet_leaves_the_cluster_open() {
    let mut config = Value::Map(Default::default());
    if let Value::Map(entries) = &mut config {
        for name in ["residency", "allow_no_residency", "labels", "connections", "data_dir"] {
            entries.insert(name.to_owned(), if name == "residency" { Value::unknown() } else { Value::Null });
        }
    }
    let host = Host::configured(FalajProvider, config).await.expect("the provider is configured");
    let step = host.resource("falaj_cluster").plan(cluster(json!({}))).await.expect("a plan");
    assert!(step.planned.get("residency").is_unknown());
}

#[tokio::test]
async fn a_release_that_this_provider_does_not_bring_is_refused() {
    let host = ruled().await;
    let errors = refused(&mut host.resource("falaj_cluster"), cluster(json!({ "runtime_version": "9.9.9" }))).await;
    assert_eq!(paths(&errors), ["runtime_version"]);
}

#[tokio::test]
async fn a_workspace_reads_its_place_from_the_beginning_of_an_unknown_id() {
    let host = ruled().await;
    let mut instance = host.resource("falaj_workspace");
    let base = instance
        .plan(json!({ "cluster_id": format!("{REGION}/retail/{UID}"), "name": "people", "environment": "staging" }));
    let Value::Map(mut config) = base.await.expect("a plan").planned else { panic!("an object") };
    for computed in ["id", "effective_labels", "posture"] {
        config.insert(computed.to_owned(), Value::Null);
    }
    let beginning = Refinement::not_null().with_prefix(format!("{REGION}/retail/"));
    config.insert("cluster_id".to_owned(), Value::Unknown(beginning));
    let step = instance.plan(Value::Map(config.clone())).await.expect("a plan");
    assert_eq!(prefix(&step), "onprem:ae-du:dubai-1/retail/people/");
    assert_eq!(step.planned.get("posture").get("jurisdiction"), &Value::from("AE"));

    config.insert("cluster_id".to_owned(), Value::unknown());
    let step = instance.plan(Value::Map(config)).await.expect("a plan");
    assert_eq!(prefix(&step), "");
    assert!(step.planned.get("posture").get("region").is_unknown());
    assert!(step.planned.get("posture").get("complete").is_unknown());
}

#[tokio::test]
async fn a_workspace_can_only_narrow_and_must_keep_its_own_cluster() {
    let host = ruled().await;
    let mut instance = host.resource("falaj_workspace");
    let workspace = |residency: Json| json!({ "cluster_id": format!("{REGION}/retail/{UID}"), "name": "people", "environment": "staging", "residency": residency });
    instance.plan(workspace(rule(&[REGION]))).await.expect("a narrower rule");
    for regions in [&[REGION, "azure:uaenorth"][..], &["aws:me-central-1"]] {
        let errors = refused(&mut instance, workspace(rule(regions))).await;
        assert_eq!(paths(&errors), ["residency.allowed_regions"], "{regions:?}: {errors}");
    }
}

#[tokio::test]
async fn what_is_in_a_workspace_outside_of_the_rule_is_refused_by_its_parents_id() {
    let host = host(json!({ "residency": rule(&["aws:me-central-1"]) })).await;
    let errors = refused(&mut host.resource("falaj_model"), model(json!({}))).await;
    assert_eq!(paths(&errors), ["workspace_id"]);
}

#[tokio::test]
async fn the_parent_must_be_what_the_attribute_says() {
    let host = ruled().await;
    let elsewhere = json!({ "workspace_id": format!("{REGION}/retail/{UID}") });
    let errors = refused(&mut host.resource("falaj_model"), model(elsewhere)).await;
    assert!(errors.to_string().contains("falaj_cluster"), "{errors}");
}

#[tokio::test]
async fn a_store_of_another_workspace_is_refused_where_it_is_named() {
    let host = ruled().await;
    let elsewhere = json!({ "workspace_id": format!("{REGION}/retail/risk/{UID}") });
    let errors = refused(&mut host.resource("falaj_model"), model(elsewhere)).await;
    let expected = [r#"training.features["people"].feature_store_id"#, "training.label.feature_store_id"];
    assert_eq!(paths(&errors), expected);
}

#[tokio::test]
async fn a_training_that_contradicts_itself_is_refused() {
    let host = ruled().await;
    let mut instance = host.resource("falaj_model");
    for (changes, path) in [
        (json!({ "training": { "logistic": null } }), "training"),
        (json!({ "training": { "mlp": {} } }), "training.mlp"),
        (json!({ "training": { "window": { "from": "2015-01-01T00:00:00Z" } } }), "training.window"),
        (
            json!({ "training": { "window": { "from": "2016-01-01T00:00:00Z", "until": "2015-01-01T00:00:00Z" } } }),
            "training.window.until",
        ),
        (json!({ "training": { "window": { "last": "1 year" } } }), "training.window.last"),
        (json!({ "training": { "protected": ["age"] } }), r#"training.features["people"].names"#),
        (json!({ "training": { "evaluation": { "holdout_percent": 100 } } }), "training.evaluation.holdout_percent"),
        (json!({ "gates": { "auc": {} } }), "gates.auc"),
        (json!({ "gates": { "auc": { "min": 0.9, "max": 0.8 } } }), "gates.auc"),
        (
            json!({ "gates": { "demographic_parity": { "age": { "max_gap": 0.1 } } } }),
            r#"gates.demographic_parity["age"]"#,
        ),
    ] {
        let errors = refused(&mut instance, model(changes.clone())).await;
        assert!(paths(&errors).iter().any(|found| found == path), "{changes}: {errors}");
    }
    let step = instance.plan(model(json!({}))).await.expect("a plan");
    assert_eq!(step.planned.get("training").get("seed"), &Value::from(7));
    assert!(step.planned.get("version").is_unknown());
}

#[tokio::test]
async fn the_shares_of_an_endpoint_make_a_whole() {
    let host = ruled().await;
    let mut instance = host.resource("falaj_endpoint");
    let champion = |weight: i64| variant(json!({ "alias": "champion", "weight": weight }));
    for (variants, path) in [
        (json!({ "a": champion(60) }), "variants"),
        (json!({ "a": champion(60), "b": champion(60) }), "variants"),
        (json!({ "a": variant(json!({ "alias": "candidate", "shadow": true })) }), "variants"),
        (json!({ "a": variant(json!({ "alias": "x1", "version": 1, "weight": 100 })) }), r#"variants["a"].version"#),
        (json!({ "a": variant(json!({ "weight": 100 })) }), r#"variants["a"]"#),
        (
            json!({ "a": champion(100), "b": variant(json!({ "alias": "x1", "weight": 5, "shadow": true })) }),
            r#"variants["b"].weight"#,
        ),
    ] {
        let errors = refused(&mut instance, endpoint(variants.clone())).await;
        assert_eq!(paths(&errors), [path], "{variants}: {errors}");
    }
    let shadow = variant(json!({ "alias": "candidate", "shadow": true }));
    instance.plan(endpoint(json!({ "a": champion(70), "b": champion(30), "c": shadow }))).await.expect("a plan");
}

#[tokio::test]
async fn a_source_is_read_at_plan_and_its_digest_known() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("people.csv");
    std::fs::write(&file, "abc").expect("a file");
    let host = ruled().await;
    let mut instance = host.resource("falaj_feature_store");
    let csv = |path: &Path| store(json!({ "csv": { "path": path, "event_time": "t" } }));
    let step = instance.plan(csv(&file)).await.expect("a plan");
    // SHA-256 of "abc", FIPS 180-2 appendix B.1.
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(step.planned.get("source_digest"), &Value::from(digest));
    assert_eq!(step.planned.get("posture").get("classification"), &Value::from("special"));
    assert_eq!(step.planned.get("posture").get("retention"), &Value::from("365d"));

    let errors = refused(&mut instance, csv(&directory.path().join("nowhere.csv"))).await;
    assert_eq!(paths(&errors), ["source.csv.path"]);
    for (source, path) in [
        (json!({}), "source"),
        (json!({ "csv": { "event_time": "t" } }), "source.csv"),
        (json!({ "csv": { "path": file, "uri": "file:///x", "event_time": "t" } }), "source.csv"),
        (
            json!({ "csv": { "path": file, "event_time": "t" }, "parquet": { "path": file, "event_time": "t" } }),
            "source",
        ),
    ] {
        let errors = refused(&mut instance, store(source.clone())).await;
        assert!(paths(&errors).iter().any(|found| found == path), "{source}: {errors}");
    }
}

#[tokio::test]
async fn a_cluster_that_is_not_here_is_an_error_and_not_gone() {
    let host = ruled().await;
    let mut instance = host.resource("falaj_workspace");
    instance.import(&format!("{REGION}/retail/people/{UID}")).await.expect_err("no cluster is here");
    let errors = instance.import(&format!("{REGION}/retail/{UID}")).await.expect_err("the id of a cluster");
    assert!(errors.to_string().contains("falaj_cluster"), "{errors}");
}
