//! Point-in-time join: each spine row gets the source row that was the truth,
//! as it was known, at the spine row's own time.
//!
//! For a spine row at time *t* the join takes, among the source rows of the
//! same entity with `event_time <= t`, the one with the latest `event_time`.
//! Ties go to the later `created_time`, then to the row that stands later in
//! the source. If a `created_time` column is given, only rows that had been
//! created by *t* are looked at, so that a correction which arrived later does
//! not leak into training. With a `ttl`, a row older than `t - ttl` is too
//! stale and the features are null.
//!
//! Every spine row is kept, in its order. A spine row without an entity or a
//! time finds nothing; a source row without an entity, an event time or (where
//! the column is given) a creation time is never found.

use std::collections::HashMap;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{Field, Schema};
use arrow::row::{RowConverter, SortField};

use crate::column::{column, micros};
use crate::{Error, Result};

/// What to join and on which columns. Column names are those of the batches.
#[derive(Debug, Clone)]
pub struct PointInTimeJoin {
    /// Columns that together name an entity, present on both sides. Source
    /// keys are cast to the type of the spine's.
    pub entity: Vec<String>,
    /// The spine's time column.
    pub spine_time: String,
    /// The source's event time column.
    pub event_time: String,
    /// The source's column of when a row became known, if it has one.
    pub created_time: Option<String>,
    /// How old a row may be, in microseconds; `None` and 0 are without limit.
    pub ttl_micros: Option<i64>,
    /// Source columns to add to the spine, by (source name, output name).
    pub columns: Vec<(String, String)>,
}

impl PointInTimeJoin {
    /// Adds the chosen source columns to the spine. Takes O(n log n) in the
    /// rows of both sides.
    ///
    /// # Errors
    /// If a column is missing or of an unusable type, or if an output name is
    /// already taken in the spine.
    pub fn run(&self, spine: &RecordBatch, source: &RecordBatch) -> Result<RecordBatch> {
        let matched = UInt64Array::from(self.matches(spine, source)?);
        let schema = spine.schema();
        let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut columns: Vec<ArrayRef> = spine.columns().to_vec();
        for (from, to) in &self.columns {
            if fields.iter().any(|f| f.name() == to) {
                return Err(Error::Data(format!(
                    "the joined column {to:?} would stand twice; give one of the two another name"
                )));
            }
            let values = take(column(source, from)?, &matched, None)?;
            fields.push(Field::new(to, values.data_type().clone(), true));
            columns.push(values);
        }
        Ok(RecordBatch::try_new(Schema::new(fields).into(), columns)?)
    }

    /// For each spine row the index of the source row it is joined to.
    fn matches(&self, spine: &RecordBatch, source: &RecordBatch) -> Result<Vec<Option<u64>>> {
        let (spine_entities, source_entities) = self.entities(spine, source)?;
        let spine_times = micros(spine, &self.spine_time)?;
        let event_times = micros(source, &self.event_time)?;
        let created_times = match &self.created_time {
            Some(name) => Some(micros(source, name)?),
            None => None,
        };

        let mut rows: Vec<SourceRow> = Vec::with_capacity(source.num_rows());
        for (index, (entity, event_time)) in source_entities.iter().zip(&event_times).enumerate() {
            let created_time = match &created_times {
                Some(times) => times.get(index).copied().flatten(),
                None => Some(i64::MIN),
            };
            if let (Some(entity), Some(event_time), Some(created_time)) = (*entity, *event_time, created_time) {
                rows.push(SourceRow {
                    entity,
                    visible_from: event_time.max(created_time),
                    event_time,
                    created_time,
                    index,
                });
            }
        }
        rows.sort_unstable_by_key(|r| (r.entity, r.visible_from));

        let mut questions: Vec<(u32, i64, usize)> = Vec::with_capacity(spine.num_rows());
        for (index, (entity, time)) in spine_entities.iter().zip(&spine_times).enumerate() {
            if let (Some(entity), Some(time)) = (*entity, *time) {
                questions.push((entity, time, index));
            }
        }
        questions.sort_unstable();

        let ttl = self.ttl_micros.filter(|ttl| *ttl > 0);
        let mut answers = vec![None; spine.num_rows()];
        let mut rows = rows.into_iter().peekable();
        let mut best: Option<SourceRow> = None;
        for (entity, time, index) in questions {
            best = best.filter(|b| b.entity == entity);
            // Both sides are in order of (entity, time): a row passed over
            // belongs to an earlier entity, or is already in `best`.
            while let Some(row) = rows.next_if(|r| (r.entity, r.visible_from) <= (entity, time)) {
                if row.entity == entity && best.as_ref().is_none_or(|b| row.rank() > b.rank()) {
                    best = Some(row);
                }
            }
            let fresh = |b: &&SourceRow| ttl.is_none_or(|ttl| b.event_time >= time.saturating_sub(ttl));
            if let (Some(row), Some(answer)) = (best.as_ref().filter(fresh), answers.get_mut(index)) {
                *answer = Some(row.index as u64);
            }
        }
        Ok(answers)
    }

    /// Numbers the entities of both sides alike.
    fn entities(&self, spine: &RecordBatch, source: &RecordBatch) -> Result<(Entities, Entities)> {
        let mut spine_keys = Vec::new();
        let mut source_keys = Vec::new();
        let mut sort_fields = Vec::new();
        for name in &self.entity {
            let key = column(spine, name)?;
            source_keys.push(cast(column(source, name)?, key.data_type())?);
            spine_keys.push(key.clone());
            sort_fields.push(SortField::new(key.data_type().clone()));
        }
        if sort_fields.is_empty() {
            return Err(Error::Data("a join needs at least one entity column".to_owned()));
        }
        let converter = RowConverter::new(sort_fields)?;
        let mut numbers: HashMap<Box<[u8]>, u32> = HashMap::new();
        let mut number = |keys: &[ArrayRef]| -> Result<Entities> {
            let rows = converter.convert_columns(keys)?;
            let mut out = Vec::with_capacity(rows.num_rows());
            for (index, row) in rows.iter().enumerate() {
                if keys.iter().any(|k| k.is_null(index)) {
                    out.push(None);
                    continue;
                }
                let next =
                    u32::try_from(numbers.len()).map_err(|_| Error::Data("more than 4 billion entities".to_owned()))?;
                let id = match numbers.get(row.data()) {
                    Some(id) => *id,
                    None => *numbers.entry(row.data().into()).or_insert(next),
                };
                out.push(Some(id));
            }
            Ok(out)
        };
        Ok((number(&spine_keys)?, number(&source_keys)?))
    }
}

/// The number of each row's entity; a key with a null has none.
type Entities = Vec<Option<u32>>;

#[derive(Debug, Clone, Copy)]
struct SourceRow {
    entity: u32,
    /// From this moment on a spine row can see the row.
    visible_from: i64,
    event_time: i64,
    created_time: i64,
    index: usize,
}

impl SourceRow {
    fn rank(&self) -> (i64, i64, usize) {
        (self.event_time, self.created_time, self.index)
    }
}
