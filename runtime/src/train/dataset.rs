//! From sources to the one table a model learns from.
//!
//! The label's store gives the observations: one per entity and event time,
//! the last known where a row was corrected. Features of the same store come
//! from the observation's own row, since both were seen together; features of
//! other stores are joined as they were, and as they were known, at the
//! observation's event time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, RecordBatch, UInt64Array},
    compute::take_record_batch,
    datatypes::{Field, Schema},
};
use bytes::Bytes;
use falaj_api::{
    feature_store::{DataType, FeatureStoreSpec},
    model::{Training, Window},
};
use falaj_engine::{column, join::PointInTimeJoin};

use crate::feature_store::source;

const ENTITY: &str = "falaj.entity";
const EVENT_TIME: &str = "falaj.event_time";
const CREATED_TIME: &str = "falaj.created_time";
/// Name of the label's column.
pub const LABEL: &str = "falaj.label";

/// A feature store with the bytes of its source.
pub struct Store {
    pub spec: FeatureStoreSpec,
    pub bytes: Bytes,
}

/// The table, and how to read it.
pub struct Dataset {
    pub batch: RecordBatch,
    pub features: Vec<(String, DataType)>,
}

impl Dataset {
    pub const EVENT_TIME: &'static str = EVENT_TIME;
}

/// Builds the table.
///
/// # Errors
/// A sentence for the user: a column or feature that is not there, or no rows left.
pub fn build(training: &Training, stores: &BTreeMap<String, Store>, now_micros: i64) -> Result<Dataset, String> {
    let label_store = store(stores, &training.label.feature_store)?;
    let mut features = Vec::new();
    let mut own = Vec::new();
    for view in training.features.values() {
        for name in &view.names {
            let spec = feature(stores, &view.feature_store, name)?;
            if features.iter().any(|(known, _)| known == name) {
                return Err(format!("the feature {name:?} is named twice: take one out of training.features"));
            }
            features.push((name.clone(), spec.data_type));
            if view.feature_store == training.label.feature_store {
                own.push(name.as_str());
            }
        }
    }
    for name in &training.protected {
        feature(stores, &training.label.feature_store, name)?;
    }
    let mut columns: Vec<&str> = own;
    columns.extend(training.protected.iter().map(String::as_str));
    let observations = table(label_store, &columns, Some(&training.label.column))?;
    let mut batch = observations_in_window(&observations, training.window.as_ref(), now_micros)?;
    for view in training.features.values().filter(|view| view.feature_store != training.label.feature_store) {
        let other = store(stores, &view.feature_store)?;
        let names: Vec<&str> = view.names.iter().map(String::as_str).collect();
        let source = table(other, &names, None)?;
        let ttl = other.spec.online.as_ref().and_then(|online| online.ttl);
        let join = PointInTimeJoin {
            entity: vec![ENTITY.into()],
            spine_time: EVENT_TIME.into(),
            event_time: EVENT_TIME.into(),
            created_time: other.spec.source.created_time.as_ref().map(|_| CREATED_TIME.into()),
            ttl_micros: ttl.map(|ttl| i64::try_from(ttl.as_std().as_micros()).unwrap_or(i64::MAX)),
            columns: view.names.iter().map(|name| (name.clone(), name.clone())).collect(),
        };
        batch =
            join.run(&batch, &source).map_err(|error| format!("feature store {:?}: {error}", view.feature_store))?;
    }
    Ok(Dataset { batch, features })
}

fn store<'a>(stores: &'a BTreeMap<String, Store>, name: &str) -> Result<&'a Store, String> {
    stores.get(name).ok_or_else(|| format!("the feature store {name:?} was not given to this run"))
}

fn feature<'a>(
    stores: &'a BTreeMap<String, Store>,
    store_name: &str,
    name: &str,
) -> Result<&'a falaj_api::feature_store::Feature, String> {
    let store = store(stores, store_name)?;
    store.spec.features.get(name).ok_or_else(|| {
        let declared = store.spec.features.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("the feature store {store_name:?} declares no feature {name:?}; it has {declared}")
    })
}

/// Reads a store's source under the names of the features.
fn table(store: &Store, features: &[&str], label: Option<&str>) -> Result<RecordBatch, String> {
    let spec = &store.spec;
    let mut wanted: Vec<(&str, &str)> =
        vec![(spec.entity.name.as_str(), ENTITY), (spec.source.event_time.as_str(), EVENT_TIME)];
    wanted.extend(spec.source.created_time.as_deref().map(|column| (column, CREATED_TIME)));
    wanted.extend(label.map(|column| (column, LABEL)));
    for name in features {
        let column = spec.features.get(*name).and_then(|feature| feature.column.as_deref()).unwrap_or(name);
        wanted.push((column, name));
    }
    let columns: Vec<&str> = wanted.iter().map(|(column, _)| *column).collect();
    let batch = source::read(spec.source.format, store.bytes.clone(), &columns).map_err(|error| error.to_string())?;
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (from, to) in wanted {
        if fields.iter().any(|field: &Field| field.name() == to) {
            continue;
        }
        let array = column::column(&batch, from).map_err(|error| error.to_string())?.clone();
        fields.push(Field::new(to, array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(|error| error.to_string())
}

/// The last known row of each observation that is in the window and has a label.
fn observations_in_window(batch: &RecordBatch, window: Option<&Window>, now: i64) -> Result<RecordBatch, String> {
    let (from, until) = match window {
        None => (i64::MIN, i64::MAX),
        Some(Window::Last(length)) => {
            let length = i64::try_from(length.as_std().as_micros()).unwrap_or(i64::MAX);
            (now.saturating_sub(length), now)
        }
        Some(Window::Between { from, until }) => (from.as_microsecond(), until.as_microsecond()),
    };
    let said = |error: falaj_engine::Error| error.to_string();
    let times = column::micros(batch, EVENT_TIME).map_err(said)?;
    let created = if batch.schema().index_of(CREATED_TIME).is_ok() {
        column::micros(batch, CREATED_TIME).map_err(said)?
    } else {
        vec![None; batch.num_rows()]
    };
    let entities = column::text(batch, ENTITY).map_err(said)?;
    let label = column::column(batch, LABEL).map_err(said)?;
    let mut last: HashMap<(&str, i64), (Option<i64>, u64)> = HashMap::new();
    let mut seen_times = (i64::MAX, i64::MIN);
    for (row, (time, created)) in times.iter().zip(&created).enumerate() {
        let Some(time) = *time else { continue };
        seen_times = (seen_times.0.min(time), seen_times.1.max(time));
        if arrow::array::Array::is_null(&entities, row) || label.is_null(row) || time < from || time >= until {
            continue;
        }
        let index = row as u64;
        let entry = last.entry((entities.value(row), time)).or_insert((*created, index));
        if (*created, index) >= *entry {
            *entry = (*created, index);
        }
    }
    let mut rows: Vec<u64> = last.into_values().map(|(_, row)| row).collect();
    rows.sort_unstable();
    if rows.is_empty() {
        let shown =
            |micros: i64| jiff::Timestamp::from_microsecond(micros).map_or_else(|_| "?".into(), |t| t.to_string());
        return Err(format!(
            "no labelled row of the source is inside training.window; its event times run from {} to {}",
            shown(seen_times.0),
            shown(seen_times.1)
        ));
    }
    take_record_batch(batch, &UInt64Array::from(rows)).map_err(|error| error.to_string())
}
