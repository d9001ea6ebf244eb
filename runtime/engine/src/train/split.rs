//! Which rows are learned from and which are held out to measure.

use falaj_api::model::Split as Kind;

use super::Run;
use crate::column::micros;
use crate::random::Stream;
use crate::{Error, Result};

/// Row numbers, each set in ascending order.
pub struct Split {
    pub training: Vec<u32>,
    pub held_out: Vec<u32>,
}

const PURPOSE: u64 = 1;
const FEWEST_TRAINING_ROWS: usize = 10;

/// Splits the rows that have a label.
pub fn split(run: &Run<'_>, labels: &[f64]) -> Result<Split> {
    let percent = run.evaluation.holdout_percent;
    if !(percent > 0.0 && percent < 100.0) {
        return Err(Error::Data(format!("holdout_percent is {percent}; it has to lie over 0 and under 100")));
    }
    if u32::try_from(labels.len()).is_err() {
        return Err(Error::Data("more than 4 billion rows".to_owned()));
    }
    let labelled = labels.iter().enumerate().filter(|(_, l)| !l.is_nan());
    let mut rows: Vec<u32> = labelled.map(|(row, _)| row as u32).collect();
    // Also by time, so that rows of the same moment are split without regard
    // to where they stand in the source.
    Stream::new(run.seed, PURPOSE).shuffle(&mut rows);
    if run.evaluation.split == Kind::Time {
        let times = times(run, &rows)?;
        rows.sort_by_key(|row| times.get(*row as usize).copied().flatten());
    }
    let held_out = ((rows.len() as f64 * percent / 100.0).round() as usize).max(1);
    let training = rows.len().saturating_sub(held_out);
    if training < FEWEST_TRAINING_ROWS {
        return Err(Error::Data(format!(
            "{} rows have a label; after holding out {percent} % at least {FEWEST_TRAINING_ROWS} are needed to train",
            rows.len()
        )));
    }
    let mut held_out = rows.split_off(training);
    rows.sort_unstable();
    held_out.sort_unstable();
    Ok(Split { training: rows, held_out })
}

fn times(run: &Run<'_>, rows: &[u32]) -> Result<Vec<Option<i64>>> {
    let name = run.event_time.ok_or_else(|| {
        Error::Data("a split by time needs an event time column; use split = \"random\" without one".to_owned())
    })?;
    let times = micros(run.batch, name)?;
    let missing = rows.iter().filter(|r| times.get(**r as usize).copied().flatten().is_none()).count();
    if missing > 0 {
        return Err(Error::Data(format!(
            "{missing} labelled rows have no {name:?}, so they cannot be split by time; use split = \"random\""
        )));
    }
    Ok(times)
}
