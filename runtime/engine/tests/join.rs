//! The point-in-time join against pandas' `merge_asof`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt32Array,
};
use arrow::datatypes::Int64Type;
use falaj_engine::join::PointInTimeJoin;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    source: Source,
    spine: Spine,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Source {
    entity: Vec<String>,
    event_time: Vec<i64>,
    created_time: Vec<i64>,
    value: Vec<i64>,
}

#[derive(Deserialize)]
struct Spine {
    entity: Vec<String>,
    event_time: Vec<i64>,
}

#[derive(Deserialize)]
struct Case {
    ttl: Option<i64>,
    as_known: bool,
    expected: Vec<Option<i64>>,
}

fn micros(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values))
}

fn join(created_time: Option<&str>, ttl_micros: Option<i64>) -> PointInTimeJoin {
    PointInTimeJoin {
        entity: vec!["entity".to_owned()],
        spine_time: "at".to_owned(),
        event_time: "event_time".to_owned(),
        created_time: created_time.map(str::to_owned),
        ttl_micros,
        columns: vec![("value".to_owned(), "joined".to_owned())],
    }
}

fn joined(batch: &RecordBatch) -> Vec<Option<i64>> {
    batch.column_by_name("joined").unwrap().as_primitive::<Int64Type>().iter().collect()
}

#[test]
fn dated_and_corrected_rows_are_joined_as_pandas_does() {
    let cases: Cases = serde_json::from_str(include_str!("data/join.json")).unwrap();
    let source = RecordBatch::try_from_iter([
        ("entity", Arc::new(StringArray::from(cases.source.entity)) as ArrayRef),
        ("event_time", micros(cases.source.event_time)),
        ("created_time", micros(cases.source.created_time)),
        ("value", Arc::new(Int64Array::from(cases.source.value))),
    ])
    .unwrap();
    let spine = RecordBatch::try_from_iter([
        ("entity", Arc::new(StringArray::from(cases.spine.entity)) as ArrayRef),
        ("at", micros(cases.spine.event_time)),
    ])
    .unwrap();
    assert_eq!(cases.cases.len(), 6);
    let (mut found, mut stale) = (0, 0);
    for case in cases.cases {
        // Without "as known", created_time still breaks ties in pandas; a
        // source whose rows are in order of it does the same here.
        let source = if case.as_known { source.clone() } else { by_created_time(&source) };
        let join = join(case.as_known.then_some("created_time"), case.ttl);
        let answer = joined(&join.run(&spine, &source).unwrap());
        assert_eq!(answer, case.expected, "ttl {:?}, as known {}", case.ttl, case.as_known);
        found += answer.iter().flatten().count();
        stale += answer.iter().filter(|v| v.is_none()).count();
    }
    assert!(found > 100 && stale > 100, "{found} and {stale}: the cases say little");
}

fn by_created_time(source: &RecordBatch) -> RecordBatch {
    let order = arrow::compute::sort_to_indices(source.column_by_name("created_time").unwrap(), None, None).unwrap();
    // The sort is not stable, so rows created at the same time need a rank.
    let mut rows: Vec<u32> = order.values().to_vec();
    let created = source.column_by_name("created_time").unwrap();
    let created = created.as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    rows.sort_by_key(|row| (created.value(*row as usize), *row));
    arrow::compute::take_record_batch(source, &UInt32Array::from(rows)).unwrap()
}

#[test]
fn rows_without_entity_or_time_find_nothing_and_are_kept() {
    let source = RecordBatch::try_from_iter([
        ("entity", Arc::new(StringArray::from(vec![Some("a"), None, Some("a")])) as ArrayRef),
        ("event_time", Arc::new(TimestampMillisecondArray::from(vec![Some(1), Some(1), None])) as ArrayRef),
        ("value", Arc::new(Int64Array::from(vec![1, 2, 3]))),
    ])
    .unwrap();
    let spine = RecordBatch::try_from_iter([
        ("entity", Arc::new(StringArray::from(vec![Some("a"), None, Some("a"), Some("z")])) as ArrayRef),
        ("at", Arc::new(TimestampMicrosecondArray::from(vec![Some(1_000), Some(9_000), None, Some(9_000)]))),
    ])
    .unwrap();
    let answer = join(None, Some(0)).run(&spine, &source).unwrap();
    assert_eq!(joined(&answer), [Some(1), None, None, None], "milliseconds meet microseconds, inclusively");
    assert!(answer.column_by_name("entity").unwrap().is_null(1));
}

#[test]
fn a_column_that_would_stand_twice_is_refused_by_name() {
    let side = RecordBatch::try_from_iter([
        ("entity", Arc::new(StringArray::from(vec!["a"])) as ArrayRef),
        ("at", micros(vec![1])),
        ("event_time", micros(vec![1])),
        ("joined", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("value", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
    ])
    .unwrap();
    let error = join(None, None).run(&side, &side).unwrap_err().to_string();
    assert!(error.contains("\"joined\"") && error.contains("twice"), "{error}");
}
