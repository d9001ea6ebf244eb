use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use falaj::serve::protocol::{Format, FromServe, ToServe};
use falaj_engine::model::encoder::{Encoder, Encoding, Feature};
use falaj_engine::model::{Layer, Model, Task};
use serde_json::json;

use crate::harness::{Serving, probability, request, sha256, variant, variant_of};

#[tokio::test]
async fn traffic_splits_by_weight_and_an_id_stays_with_its_variant() {
    let mut serving =
        Serving::with(&[("champion", variant(1, 75, false, 0.0)), ("challenger", variant(2, 25, false, 1.0))]).await;
    let caller = serving.invoker();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut first = Vec::new();
    for request in 0..2_000 {
        let variant = caller.variant_of(&format!("id-{request}")).await;
        *counts.entry(variant.clone()).or_default() += 1;
        first.push(variant);
    }
    // Five standard deviations of a binomial of 2,000 at 25 %.
    assert!((403..=597).contains(&counts["challenger"]), "{counts:?}");
    let variants = [("champion", variant(1, 75, false, 0.0)), ("challenger", variant(2, 25, false, 1.0))];
    serving.serve(&variants).await;
    for (request, expected) in first.iter().enumerate().take(100) {
        assert_eq!(caller.variant_of(&format!("id-{request}")).await, *expected);
    }
}

#[tokio::test]
async fn a_version_in_the_path_chooses_its_variant() {
    let serving =
        Serving::with(&[("champion", variant(1, 100, false, 0.0)), ("next", variant(2, 0, false, 1.0))]).await;
    let caller = serving.invoker();
    for id in 0..20 {
        assert_eq!(caller.variant_of(&id.to_string()).await, "champion");
    }
    for (version, bias, variant) in [(1, 0.0, "champion"), (2, 1.0, "next")] {
        let path = format!("/v2/models/employed/versions/{version}/infer");
        let (status, answer) = caller.post(&path, &request("x", 30, "public")).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["model_version"], version.to_string());
        assert_eq!(answer["parameters"]["variant"], variant);
        let value = answer["outputs"][0]["data"][0].as_f64().unwrap();
        assert!((value - probability(30.0, "public", bias)).abs() < 1e-12);
    }
    let (status, answer) = caller.post("/v2/models/employed/versions/9/infer", &request("x", 30, "public")).await;
    assert_eq!(status, 404);
    assert!(answer["error"].as_str().unwrap().contains("served: 1, 2"), "{answer}");
}

/// A model that takes something else, so that it fails on every request.
fn incompatible() -> Model {
    let encoding = Encoding::Standardise { mean: 0.0, deviation: 1.0 };
    let data_type = falaj_api::feature_store::DataType::Float64;
    let encoder = Encoder::from_features(vec![Feature { name: "salary".to_owned(), data_type, encoding }]).unwrap();
    Model { encoder, layers: vec![Layer { weights: vec![1.0], bias: vec![0.0] }], task: Task::Regression }
}

#[tokio::test]
async fn a_shadow_sees_the_traffic_and_its_failures_are_seen_by_nobody() {
    let mut serving = Serving::with(&[
        ("broken", variant_of(&incompatible(), 9, 0, true)),
        ("champion", variant(1, 100, false, 0.0)),
        ("shadow", variant(2, 0, true, 1.0)),
    ])
    .await;
    let caller = serving.invoker();
    for id in 0..50 {
        assert_eq!(caller.variant_of(&id.to_string()).await, "champion");
    }
    assert_eq!(caller.get("/v2/models/employed/versions/2/ready").await.0, 404, "a shadow answers nobody");
    let files = serving.flush().await;
    let captured = falaj::serve::capture::open(&files[0], &serving.key, "employed").unwrap();
    assert_eq!(captured.predictions.num_rows(), 100);
    let metrics = caller.metrics().await;
    for line in ["falaj_shadow_answered_total 50", "falaj_shadow_failed_total 50", "falaj_shadow_dropped_total 0"] {
        assert!(metrics.lines().any(|l| l == line), "{line}: {metrics}");
    }
    let line = "falaj_requests_total{endpoint=\"employed\",variant=\"champion\",code=\"200\"} 50";
    assert!(metrics.lines().any(|l| l == line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_swapped_under_load_without_losing_a_request() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.0))]).await;
    let caller = serving.invoker();
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = (0..4).map(|task| {
        let (caller, stop, answered) = (caller.clone(), stop.clone(), answered.clone());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for n in 0.. {
                if stop.load(Relaxed) {
                    break;
                }
                let (status, answer) = caller.infer(&request(&format!("{task}-{n}"), 30, "private")).await;
                assert_eq!(status, 200, "{answer}");
                let version: u32 = answer["model_version"].as_str().unwrap().parse().unwrap();
                let value = answer["outputs"][0]["data"][0].as_f64().unwrap();
                assert!((value - probability(30.0, "private", f64::from(version))).abs() < 1e-12 || version == 1);
                seen.push(version);
                answered.fetch_add(1, Relaxed);
            }
            assert!(seen.is_sorted(), "a caller never goes back to an older snapshot");
        })
    });
    let load: Vec<_> = load.collect();
    for version in 2..=25 {
        let before = answered.load(Relaxed);
        serving.serve(&[("champion", variant(version, 100, false, f64::from(version)))]).await;
        while answered.load(Relaxed) < before + 20 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    stop.store(true, Relaxed);
    for task in load {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_served_leaves_the_one_before_in_force() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.0))]).await;
    let caller = serving.invoker();
    let good = serving.snapshot.clone();
    let (next, bytes) = variant(2, 100, false, 1.0);

    let mut altered = bytes.clone();
    altered[200] ^= 1;
    serving.send(&ToServe::Artifact { digest: next.artifact.clone(), format: Format::Native }, &altered).await;
    let onnx = b"not a model".to_vec();
    serving.send(&ToServe::Artifact { digest: sha256(&onnx), format: Format::Onnx }, &onnx).await;
    let junk = b"neither is this".to_vec();
    serving.send(&ToServe::Artifact { digest: sha256(&junk), format: Format::Native }, &junk).await;
    let mut cases = Vec::new();
    for (artifact, expected) in [
        (next.artifact.clone(), "the bytes that arrived have the digest"),
        (sha256(b"never sent"), "never sent"),
        (sha256(&onnx), "--onnxruntime"),
        (sha256(&junk), "model artifact"),
    ] {
        let mut snapshot = good.clone();
        let endpoint = snapshot.endpoints.get_mut("employed").unwrap();
        endpoint.variants.get_mut("champion").unwrap().artifact = artifact;
        cases.push((snapshot, expected));
    }
    let mut snapshot = good.clone();
    let endpoint = snapshot.endpoints.get_mut("employed").unwrap();
    endpoint.variants.get_mut("champion").unwrap().signature.inputs[0].name = "salary".to_owned();
    cases.push((snapshot, "\"salary\""));
    let mut snapshot = good.clone();
    snapshot.tls.as_mut().unwrap().certificate_pem = "nothing".to_owned();
    cases.push((snapshot, "certificate"));
    let mut snapshot = good.clone();
    let endpoint = snapshot.endpoints.get_mut("employed").unwrap();
    endpoint.capture.as_mut().unwrap().key_id = "no uuid".to_owned();
    cases.push((snapshot, "key id"));
    for (snapshot, expected) in cases {
        let generation = serving.snapshot.generation;
        serving.snapshot = snapshot;
        serving.snapshot.generation = generation;
        let event = serving.publish().await;
        let FromServe::Failed { generation: failed, reason } = event else { panic!("{expected}: {event:?}") };
        assert_eq!(failed, generation + 1);
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert_eq!(caller.variant_of("1").await, "champion");
    }
    // The true bytes are accepted after the altered ones.
    serving.snapshot.endpoints = good.endpoints;
    serving.snapshot.tls = good.tls;
    serving.serve(&[("champion", (next, bytes))]).await;
}

#[tokio::test]
async fn an_endpoint_without_a_variant_is_not_ready_yet() {
    let serving = Serving::with(&[]).await;
    let caller = serving.invoker();
    for (status, answer) in
        [caller.infer(&request("1", 30, "private")).await, caller.get("/v2/models/employed/ready").await]
    {
        assert_eq!(status, 503, "{answer}");
    }
    assert_eq!(caller.infer(&json!({})).await.0, 400);
}
