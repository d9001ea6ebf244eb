//! Sums over rows that come out the same on any number of threads.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Cuts `rows` into `blocks` ranges, computes each on one of `threads`
/// threads, and returns the results in the order of the blocks. What they are
/// does not depend on `threads`, as long as `compute` does not.
///
/// # Errors
/// The first error in the order of the blocks.
pub fn map<T: Send>(
    rows: usize,
    blocks: usize,
    threads: usize,
    compute: impl Fn(Range<usize>) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let blocks = blocks.clamp(1, rows.max(1));
    let range = |block: usize| block * rows / blocks..(block + 1) * rows / blocks;
    if threads <= 1 || blocks == 1 {
        return (0..blocks).map(|block| compute(range(block))).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<T>>>> = (0..blocks).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.min(blocks) {
            scope.spawn(|| {
                while let Some(slot) = {
                    let block = next.fetch_add(1, Ordering::Relaxed);
                    results.get(block).map(|slot| (slot, block))
                } {
                    let result = compute(range(slot.1));
                    *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    results
        .into_iter()
        .map(|slot| {
            let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
            result.unwrap_or_else(|| Err(Error::Training("a worker stopped early".to_owned())))
        })
        .collect()
}

/// Adds up, over the same blocks as [`map`], vectors of equal length: always
/// the first block first, and each as soon as those before it are in, so that
/// few have to be kept.
///
/// # Errors
/// One of the errors of `compute`.
pub fn sum(
    rows: usize,
    blocks: usize,
    threads: usize,
    compute: impl Fn(Range<usize>) -> Result<Vec<f64>> + Sync,
) -> Result<Vec<f64>> {
    let waiting: Mutex<Waiting> = Mutex::default();
    let blocks = blocks.clamp(1, rows.max(1));
    map(blocks, blocks, threads, |one| {
        let block = one.start;
        let part = compute(block * rows / blocks..(block + 1) * rows / blocks)?;
        waiting.lock().unwrap_or_else(PoisonError::into_inner).add(block, part);
        Ok(())
    })?;
    Ok(waiting.into_inner().unwrap_or_else(PoisonError::into_inner).total)
}

/// The sum of the first blocks, and parts that are in before their turn.
#[derive(Default)]
struct Waiting {
    next: usize,
    total: Vec<f64>,
    early: BTreeMap<usize, Vec<f64>>,
}

impl Waiting {
    fn add(&mut self, block: usize, part: Vec<f64>) {
        self.early.insert(block, part);
        while let Some(part) = self.early.remove(&self.next) {
            self.next += 1;
            if self.total.is_empty() {
                self.total = part;
            } else {
                self.total.iter_mut().zip(part).for_each(|(total, value)| *total += value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_block_and_threads_change_nothing() {
        let values: Vec<f64> = (0..1_001).map(|i| 1.0 / f64::from(i + 1)).collect();
        let total = |threads| {
            sum(values.len(), 16, threads, |rows| Ok(vec![values.get(rows).unwrap_or_default().iter().sum::<f64>()]))
                .expect("no block fails")
        };
        assert_eq!(total(1), total(2));
        assert_eq!(total(1), total(7));
        assert!((total(1)[0] - values.iter().sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn a_failing_block_fails_the_whole() {
        let result = map(10, 5, 2, |rows| if rows.contains(&4) { Err(Error::Cancelled) } else { Ok(()) });
        assert!(matches!(result, Err(Error::Cancelled)));
    }
}
