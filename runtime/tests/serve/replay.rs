use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use falaj::replay::{Args, replay};
use falaj::serve::capture;
use parquet::arrow::ArrowWriter;

use crate::harness::{INVOKER, Serving, variant};

fn rows() -> RecordBatch {
    let ages: ArrayRef = Arc::new(Int64Array::from_iter((0..105).map(|n| (n % 10 != 0).then_some(n))));
    let sectors: ArrayRef = Arc::new(StringArray::from_iter((0..105).map(|n| Some(["public", "private"][n % 2]))));
    let labels: ArrayRef = Arc::new(Float64Array::from_iter((0..105).map(|n| Some(f64::from(n % 3 == 0)))));
    let noise: ArrayRef = Arc::new(Int64Array::from_iter_values(0..105));
    RecordBatch::try_from_iter([("AGEP", ages), ("sector", sectors), ("employed", labels), ("noise", noise)]).unwrap()
}

fn args(serving: &Serving) -> Args {
    let directory = serving.captures.path();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let parquet = directory.join("rows.parquet");
    let batch = rows();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&parquet).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let leaf = serving.authority.leaf(&[INVOKER]);
    Args {
        url: format!("https://{}", serving.address),
        ca: Some(write("ca.pem", &serving.authority.pem)),
        cert: Some(write("cert.pem", &leaf.certificate_pem)),
        key: Some(write("key.pem", &leaf.key_pem)),
        model: "employed".to_owned(),
        parquet,
        labels: Some("employed".to_owned()),
        run: None,
        labels_only: false,
        exclude: vec!["noise".to_owned()],
        map: vec![("age".to_owned(), "AGEP".to_owned())],
        connections: 3,
        batch: 10,
        limit: None,
    }
}

#[tokio::test]
async fn replay_sends_every_row_and_its_label() {
    let mut serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    let mut args = args(&serving);
    let report = replay(&args).await.unwrap();
    assert_eq!((report.rows, report.requests, report.errors, report.outcomes), (105, 11, 0, 105));
    assert!(report.p50_ms > 0.0 && report.p50_ms <= report.p99_ms && report.requests_per_second > 0.0, "{report:?}");
    let files = serving.flush().await;
    let captured = capture::open(&files[0], &serving.key, "employed").unwrap();
    assert_eq!(captured.predictions.num_rows(), 105);
    assert_eq!(captured.input("age").unwrap().null_count(), 11);
    assert_eq!(captured.outcomes.iter().filter(|o| o.label == 1.0).count(), 35);

    (args.limit, args.batch, args.labels) = (Some(7), 1, None);
    let report = replay(&args).await.unwrap();
    assert_eq!((report.rows, report.requests, report.errors, report.outcomes), (7, 7, 0, 0));
}

#[tokio::test]
async fn replay_says_what_is_wrong() {
    let serving = Serving::with(&[("champion", variant(1, 100, false, 0.5))]).await;
    let good = args(&serving);
    type Change = fn(&mut Args);
    let cases: [(Change, &str); 6] = [
        (|a| a.map.clear(), "\"age\""),
        (|a| a.map = vec![("salary".to_owned(), "AGEP".to_owned())], "age, sector"),
        (|a| a.cert = None, "--cert"),
        (|a| a.url = "ftp://127.0.0.1".to_owned(), "https://"),
        (|a| a.model = "other".to_owned(), "there is no model"),
        (|a| a.parquet = "nowhere.parquet".into(), "nowhere.parquet"),
    ];
    for (change, expected) in cases {
        let mut args = good.clone();
        change(&mut args);
        let error = format!("{:#}", replay(&args).await.unwrap_err());
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
}
