//! Training: from joined rows to a model and how good it is on held-out rows.
//!
//! A [`Trainer`] finds the layers of a network for an encoded [`Problem`];
//! everything around it (split, encoding, measures) is the same for all.
//! The same data, declaration and seed give the same model on any number of
//! threads: randomness comes from [`crate::random::Stream`] only, and sums run
//! over a fixed number of row blocks that are added up in order.

mod blocks;
mod evaluate;
mod linear;
mod logistic;
mod mlp;
mod solve;
mod split;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use falaj_api::feature_store::DataType;
use falaj_api::model::{Algorithm, Evaluation, Parity};

use crate::column;
use crate::model::{self, Encoded, Encoder, Layer, Model, Task};
use crate::{Error, Result};

pub use evaluate::{HELD_OUT, LABEL, SCORE};

/// An algorithm that finds the layers of a network.
pub trait Trainer: Sync {
    /// What the model will answer, given the labels of the training rows.
    ///
    /// # Errors
    /// If the algorithm cannot learn from such labels.
    fn task(&self, labels: &[f64]) -> Result<Task>;

    /// Finds the layers. Must not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Cancelled`] soon after the observer asks for it, or
    /// [`Error::Training`] if no usable solution was found.
    fn fit(&self, problem: &Problem<'_>, observer: &dyn Observer) -> Result<Vec<Layer>>;
}

/// What a trainer has to solve.
pub struct Problem<'a> {
    pub encoded: &'a Encoded,
    /// One per encoded row; 0 or 1 for classification.
    pub labels: &'a [f64],
    /// The encoded rows to learn from.
    pub rows: &'a [u32],
    pub task: Task,
    pub seed: i64,
    pub threads: usize,
}

/// Someone who watches a run and may stop it.
pub trait Observer: Sync {
    /// Called now and then with the share done, 0 to 1, and what goes on.
    fn progress(&self, done: f64, message: &str);

    /// Whether the run should stop.
    fn cancelled(&self) -> bool;
}

/// Nobody watches.
impl Observer for () {
    fn progress(&self, _: f64, _: &str) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// A training run: the joined rows and what to make of them.
pub struct Run<'a> {
    /// One row per labelled observation: features, label, protected columns
    /// and event time.
    pub batch: &'a RecordBatch,
    /// The inputs, by column name.
    pub features: &'a [(String, DataType)],
    pub label: &'a str,
    /// Needed to split by time.
    pub event_time: Option<&'a str>,
    /// Columns whose groups are compared for fairness.
    pub protected: &'a [String],
    pub algorithm: &'a Algorithm,
    pub evaluation: &'a Evaluation,
    pub seed: i64,
    /// How many threads may work, at least 1; the result does not depend on it.
    pub threads: usize,
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Trained {
    pub model: Model,
    /// On the held-out rows: `auc`, `log_loss`, `accuracy`,
    /// `calibration_error`; or `rmse`, `mae`, `r2`; with `rows_trained` and
    /// `rows_held_out`.
    pub metrics: BTreeMap<String, f64>,
    /// On the held-out rows, by protected column; empty for a regression.
    pub fairness: BTreeMap<String, Parity>,
    /// What later traffic is compared with: the features of every row with a
    /// label, and the columns [`SCORE`], [`LABEL`] and [`HELD_OUT`].
    pub baseline: RecordBatch,
}

impl Run<'_> {
    /// Trains and measures.
    ///
    /// # Errors
    /// If columns are missing or of the wrong type, if there are too few rows
    /// or only one class, or if the observer cancels.
    pub fn train(&self, observer: &dyn Observer) -> Result<Trained> {
        self.check_names()?;
        observer.progress(0.0, "reading labels");
        let labels = column::numeric(self.batch, self.label)?;
        let split = split::split(self, &labels)?;

        observer.progress(0.05, "learning the encoding");
        let encoder = Encoder::learn(self.batch, self.features, &split.training)?;
        let encoded = encoder.encode(self.batch)?;
        let trainer = trainer(self.algorithm);
        let training_labels = evaluate::pick(&labels, &split.training);
        let task = trainer.task(&training_labels)?;

        observer.progress(0.1, "training");
        let layers = trainer.fit(
            &Problem {
                encoded: &encoded,
                labels: &labels,
                rows: &split.training,
                task,
                seed: self.seed,
                threads: self.threads.max(1),
            },
            &Within { outer: observer, from: 0.1, to: 0.95 },
        )?;
        let model = Model { encoder, layers, task };
        model.check()?;
        if model.layers.iter().any(|l| !l.weights.iter().chain(&l.bias).all(|w| w.is_finite())) {
            return Err(Error::Training(
                "the weights are not finite; a lower learning rate or a larger l2 may help".to_owned(),
            ));
        }

        observer.progress(0.95, "measuring on the held-out rows");
        let trained = evaluate::evaluate(self, model, &encoded, &labels, &split)?;
        observer.progress(1.0, "done");
        Ok(trained)
    }
}

impl Run<'_> {
    /// Refuses columns that cannot stand where they do.
    fn check_names(&self) -> Result<()> {
        for name in self.protected {
            column::column(self.batch, name)?;
        }
        for (name, _) in self.features {
            let problem = if self.protected.contains(name) {
                "is protected, so it cannot be an input of the model; take it out of the features"
            } else if name == self.label {
                "is the label, so it cannot be an input of the model; take it out of the features"
            } else if RESERVED.contains(&name.as_str()) {
                "is a name that the model itself uses; give the feature another"
            } else {
                continue;
            };
            return Err(Error::Data(format!("{name:?} {problem}")));
        }
        Ok(())
    }
}

/// Outputs of models, and columns of the baseline.
const RESERVED: [&str; 6] = [model::PROBABILITY, model::LABEL, model::PREDICTION, SCORE, LABEL, HELD_OUT];

fn trainer(algorithm: &Algorithm) -> Box<dyn Trainer + '_> {
    match algorithm {
        Algorithm::Linear(ridge) => Box::new(linear::Linear(ridge)),
        Algorithm::Logistic(ridge) => Box::new(logistic::Logistic(ridge)),
        Algorithm::Mlp(mlp) => Box::new(mlp::Perceptron(mlp)),
    }
}

/// The task of labels that are all 0 or 1, with some of both.
fn classes(labels: &[f64]) -> Option<Task> {
    let binary = labels.iter().all(|l| *l == 0.0 || *l == 1.0);
    binary.then_some(Task::Classification)
}

fn both_classes(labels: &[f64]) -> Result<()> {
    let positives = labels.iter().filter(|l| **l == 1.0).count();
    if positives == 0 || positives == labels.len() {
        return Err(Error::Data(format!(
            "all {} training rows have the same label; a classifier needs some of both",
            labels.len()
        )));
    }
    Ok(())
}

/// Passes progress on as a part of a larger run.
struct Within<'a> {
    outer: &'a dyn Observer,
    from: f64,
    to: f64,
}

impl Observer for Within<'_> {
    fn progress(&self, done: f64, message: &str) {
        self.outer.progress(self.from + (self.to - self.from) * done, message);
    }

    fn cancelled(&self) -> bool {
        self.outer.cancelled()
    }
}

/// What the digest of a model holds for besides data and declaration: the
/// processor's architecture and its widest vector instructions, such as
/// `x86_64 avx2`.
pub fn architecture() -> String {
    #[cfg(target_arch = "x86_64")]
    let level = if std::is_x86_feature_detected!("avx512f") {
        "avx512f"
    } else if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        "avx2"
    } else {
        "sse2"
    };
    #[cfg(not(target_arch = "x86_64"))]
    let level = "baseline";
    format!("{} {level}", std::env::consts::ARCH)
}
