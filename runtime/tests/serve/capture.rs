use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, TimestampMicrosecondType, UInt32Type};
use falaj::serve::capture::{self, Outcome};
use falaj::serve::protocol::{FromServe, ToServe};
use falaj_store::FileKey;
use serde_json::json;

use crate::harness::{Serving, probability, request, variant};

const CANARY: &str = "canary-7c1f3b-in-the-cleartext";

#[tokio::test]
async fn captures_and_outcomes_are_read_back_and_never_lie_on_the_disk_in_the_clear() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    let caller = serving.invoker();
    let began = jiff::Timestamp::now().as_microsecond();
    let body = json!({ "id": "canary-request-id", "inputs": [
        { "name": "age", "shape": [2], "datatype": "FP64", "data": [31.5, null] },
        { "name": "sector", "shape": [2], "datatype": "BYTES", "data": [CANARY, ""] },
    ] });
    assert_eq!(caller.infer(&body).await.0, 200);
    assert_eq!(caller.infer(&request("second", 44, "public")).await.0, 200);
    assert_eq!(caller.infer(&json!({ "inputs": [] })).await.0, 400, "what is refused is not captured");
    let outcomes = json!({ "outcomes": [
        { "id": "canary-request-id", "labels": [1, false] },
        { "id": "second", "labels": [0.5] },
    ] });
    assert_eq!(caller.post("/v2/models/employed/outcomes", &outcomes).await, (200, json!({ "accepted": 2 })));
    let files = serving.flush().await;
    assert_eq!(files.len(), 1);
    assert_eq!(serving.flush().await, Vec::<std::path::PathBuf>::new(), "an empty segment is not written");

    let captured = capture::open(&files[0], &serving.key, "employed").unwrap();
    let rows = &captured.predictions;
    let names: Vec<String> = rows.schema().fields().iter().map(|f| f.name().clone()).collect();
    let own =
        ["request_id", "row", "at", "variant", "model_version", "shadow", "age", "sector", "probability", "label"];
    assert_eq!(names, own);
    let text = |name: &str| -> Vec<Option<String>> {
        let array = rows.column_by_name(name).unwrap().as_string::<i32>();
        array.iter().map(|v| v.map(str::to_owned)).collect()
    };
    let ids = text("request_id");
    assert_eq!(ids.iter().flatten().collect::<Vec<_>>(), ["canary-request-id", "canary-request-id", "second"]);
    assert_eq!(rows["row"].as_primitive::<UInt32Type>().values(), &[0, 1, 0]);
    assert_eq!(rows["model_version"].as_primitive::<UInt32Type>().values(), &[1, 1, 1]);
    assert_eq!(text("variant").iter().flatten().collect::<Vec<_>>(), ["champion"; 3]);
    assert_eq!(rows["shadow"].as_boolean().true_count(), 0);
    let ages: Vec<Option<f64>> = captured.input("age").unwrap().as_primitive::<Float64Type>().iter().collect();
    assert_eq!(ages, [Some(31.5), None, Some(44.0)]);
    assert_eq!(text("sector"), [Some(CANARY.to_owned()), None, Some("public".to_owned())]);
    let scores = captured.output("probability").unwrap().as_primitive::<Float64Type>();
    let expected = [probability(31.5, "", 0.5), probability(f64::NAN, "", 0.5), probability(44.0, "public", 0.5)];
    assert_eq!(scores.values(), &expected);
    let until = jiff::Timestamp::now().as_microsecond();
    let at = rows["at"].as_primitive::<TimestampMicrosecondType>();
    assert!(at.values().iter().all(|at| (began..=until).contains(at)), "{at:?}");
    let outcomes: Vec<(&str, u32, f64)> =
        captured.outcomes.iter().map(|Outcome { request_id, row, label, .. }| (&**request_id, *row, *label)).collect();
    assert_eq!(outcomes, [("canary-request-id", 0, 1.0), ("canary-request-id", 1, 0.0), ("second", 0, 0.5)]);

    let disk = serving.bytes_on_disk();
    for canary in [CANARY, "canary-request-id"] {
        let found = disk.windows(canary.len()).any(|window| window == canary.as_bytes());
        assert!(!found, "{canary:?} is on the disk: segment or log");
    }
    assert!(disk.len() > 1_000);
}

#[tokio::test]
async fn a_segment_opens_only_as_itself() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    assert_eq!(serving.invoker().infer(&request("1", 44, "public")).await.0, 200);
    let file = serving.flush().await.remove(0);
    capture::open(&file, &serving.key, "employed").unwrap();
    capture::open(&file, &serving.key, "another").unwrap_err();
    let other = FileKey::from_parts(serving.key.uid(), [8; 32]);
    capture::open(&file, &other, "employed").unwrap_err();
    let renamed = file.with_file_name("00000000000000000001-renamed.segment");
    std::fs::copy(&file, &renamed).unwrap();
    capture::open(&renamed, &serving.key, "employed").unwrap_err();
    let bytes = std::fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        std::fs::write(&file, &altered).unwrap();
        assert!(capture::open(&file, &serving.key, "employed").is_err(), "byte {at} of {}", bytes.len());
    }
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    capture::open(&file, &serving.key, "employed").unwrap_err();
}

#[tokio::test]
async fn segments_are_closed_by_rows_and_by_age() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    let capture = serving.endpoint().capture.as_mut().unwrap();
    (capture.max_rows, capture.max_seconds) = (10, 1);
    serving.publish().await;
    let caller = serving.invoker();
    for id in 0..25 {
        assert_eq!(caller.infer(&request(&id.to_string(), 44, "public")).await.0, 200);
    }
    let mut rows = 0;
    while rows < 25 {
        match serving.event().await {
            FromServe::SegmentClosed { endpoint, rows: more, outcomes, first_at_micros, last_at_micros, file } => {
                assert_eq!((endpoint.as_str(), outcomes), ("employed", 0));
                assert!(more <= 10 && first_at_micros <= last_at_micros);
                assert!(serving.captures.path().join("employed").join(file).exists());
                rows += more;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rows, 25);
}

#[tokio::test]
async fn sampling_keeps_about_its_share_and_all_outcomes() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    serving.endpoint().capture.as_mut().unwrap().sampling_percent = 20.0;
    serving.publish().await;
    let caller = serving.invoker();
    for id in 0..1_000 {
        assert_eq!(caller.infer(&request(&format!("id-{id}"), 44, "public")).await.0, 200);
    }
    let outcomes: Vec<_> = (0..1_000).map(|id| json!({ "id": format!("id-{id}"), "labels": [1] })).collect();
    caller.post("/v2/models/employed/outcomes", &json!({ "outcomes": outcomes })).await;
    let files = serving.flush().await;
    let captured = capture::open(&files[0], &serving.key, "employed").unwrap();
    // Five standard deviations.
    assert!((137..=263).contains(&captured.predictions.num_rows()), "{}", captured.predictions.num_rows());
    assert_eq!(captured.outcomes.len(), 1_000);
}

#[tokio::test]
async fn outcomes_have_to_make_sense() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    let caller = serving.invoker();
    for body in [
        json!({}),
        json!({ "outcomes": [{ "id": "1" }] }),
        json!({ "outcomes": [{ "id": "", "labels": [1] }] }),
        json!({ "outcomes": [{ "id": "1", "labels": [] }] }),
        json!({ "outcomes": [{ "id": "1", "labels": ["yes"] }] }),
        json!({ "outcomes": [{ "id": "1", "labels": [null] }] }),
        json!({ "outcomes": [{ "id": "1", "labels": [1], "label": 1 }] }),
    ] {
        let (status, answer) = caller.post("/v2/models/employed/outcomes", &body).await;
        assert_eq!(status, 400, "{body}: {answer}");
    }
    serving.endpoint().capture = None;
    serving.publish().await;
    let good = json!({ "outcomes": [{ "id": "1", "labels": [1] }] });
    let (status, answer) = caller.post("/v2/models/employed/outcomes", &good).await;
    assert_eq!(status, 400);
    assert!(answer["error"].as_str().unwrap().contains("no capture"), "{answer}");
}

#[tokio::test]
async fn when_it_is_told_to_drain_everything_captured_is_durable_and_the_process_ends() {
    for how in ["drain", "terminate"] {
        let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
        assert_eq!(serving.invoker().infer(&request("1", 44, "public")).await.0, 200);
        if how == "drain" {
            serving.send(&ToServe::Drain, &[]).await;
        } else {
            let id = rustix::process::Pid::from_raw(serving.child.id().unwrap().try_into().unwrap()).unwrap();
            rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        }
        assert!(matches!(serving.event().await, FromServe::SegmentClosed { rows: 1, .. }), "{how}");
        assert_eq!(serving.event().await, FromServe::Flushed, "{how}");
        assert_eq!(serving.maybe_event().await, None, "{how}");
        let status = tokio::time::timeout(Duration::from_secs(10), serving.child.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{how}: {status}");
    }
}

#[tokio::test]
async fn when_the_server_is_gone_segments_are_closed_and_the_process_ends() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    assert_eq!(serving.invoker().infer(&request("1", 44, "public")).await.0, 200);
    serving.sender = None;
    let status = tokio::time::timeout(Duration::from_secs(10), serving.child.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    let directory = serving.captures.path().join("employed");
    let files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let captured = capture::open(&files[0], &serving.key, "employed").unwrap();
    assert_eq!(captured.predictions.num_rows(), 1);
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_removed_once_it_is_old() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    let directory = serving.captures.path().join("employed");
    std::fs::create_dir_all(&directory).unwrap();
    for (name, age) in [(".tmp-old", 3_600), (".tmp-young", 1)] {
        let file = std::fs::File::create(directory.join(name)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    assert_eq!(serving.invoker().infer(&request("1", 44, "public")).await.0, 200);
    assert_eq!(serving.flush().await.len(), 1);
    assert!(!directory.join(".tmp-old").exists());
    assert!(directory.join(".tmp-young").exists());
}
