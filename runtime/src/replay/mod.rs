//! `falaj replay`: sends the rows of a Parquet file to an endpoint as an
//! application would, labels too, and says how long it took.

mod client;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

use crate::oip::ModelMetadata;
use client::{Client, Target};
use rows::Rows;

/// Outcomes are sent for this many requests at once.
const OUTCOMES_AT_ONCE: usize = 1_000;

/// Arguments of `falaj replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where the endpoint answers, such as `https://127.0.0.1:8443`.
    #[arg(long)]
    pub url: String,
    /// Certificate authority of the server, PEM; needed for https.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Certificate of an invoker of the endpoint, PEM; needed for https.
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its key, PEM; needed for https.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Name of the endpoint.
    #[arg(long)]
    pub model: String,
    /// The rows. Columns that the model does not take are left out.
    #[arg(long, value_name = "FILE")]
    pub parquet: PathBuf,
    /// Column of labels, which are reported as outcomes after all predictions.
    #[arg(long, value_name = "COLUMN")]
    pub labels: Option<String>,
    /// Begins the id of every request; a random one unless it is given.
    #[arg(long, value_name = "NAME")]
    pub run: Option<String>,
    /// Only reports the labels of an earlier run of this name: they came later.
    #[arg(long, requires = "labels", requires = "run")]
    pub labels_only: bool,
    /// Columns that are not sent even if the model has an input of their name.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub exclude: Vec<String>,
    /// Columns of inputs with another name, such as `age=AGEP,schooling=SCHL`.
    #[arg(long, value_name = "INPUT=COLUMN", value_delimiter = ',', value_parser = pair)]
    pub map: Vec<(String, String)>,
    /// Connections that are used at the same time, each with one request at a time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Rows per request.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub batch: u32,
    /// Only the first rows of the file.
    #[arg(long)]
    pub limit: Option<usize>,
}

/// What came of it; printed as one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub rows: usize,
    pub requests: usize,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Requests without an answer of status 200.
    pub errors: usize,
    pub outcomes: usize,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(input, column)| !input.is_empty() && !column.is_empty());
    let (input, column) = pair.ok_or_else(|| format!("{text:?} is not of the form input=COLUMN"))?;
    Ok((input.to_owned(), column.to_owned()))
}

/// Replays and prints the report.
///
/// # Errors
/// See [`replay`].
pub async fn run(args: Args) -> Result<()> {
    let report = replay(&args).await?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

/// Replays the file.
///
/// # Errors
/// If the file or the endpoint cannot be read, or no request was answered.
pub async fn replay(args: &Args) -> Result<Report> {
    let target = Arc::new(Target::new(args)?);
    let mut client = Client::new(target.clone());
    let metadata = client.get(&format!("/v2/models/{}", args.model)).await.context("reading the model's metadata")?;
    let metadata: ModelMetadata = serde_json::from_slice(&metadata).context("the model's metadata")?;
    let columns: BTreeMap<String, String> = args.map.iter().cloned().collect();
    let rows = Rows::read(args, &metadata, &columns)?;
    if rows.len() == 0 {
        bail!("{} has no rows", args.parquet.display());
    }

    let work = Arc::new(Work {
        path: format!("/v2/models/{}/infer", args.model),
        run: args.run.clone().unwrap_or_else(|| uuid::Uuid::new_v4().simple().to_string()),
        batch: args.batch as usize,
        rows,
        next: AtomicUsize::new(0),
    });
    let began = Instant::now();
    let connections = if args.labels_only { 0 } else { args.connections };
    let workers: Vec<_> =
        (0..connections).map(|_| tokio::spawn(predict(work.clone(), Client::new(target.clone())))).collect();
    let mut done = Done::default();
    if args.labels_only {
        done.answered = (0..work.requests()).collect();
    }
    for worker in workers {
        let Done { latencies, answered, errors, first_error } = worker.await?;
        done.latencies.extend(latencies);
        done.answered.extend(answered);
        done.errors += errors;
        done.first_error = done.first_error.or(first_error);
    }
    let took = began.elapsed();
    if let Some(error) = &done.first_error {
        eprintln!("{} of {} requests failed, one with: {error}", done.errors, work.requests());
        if done.answered.is_empty() {
            bail!("no request was answered");
        }
    }
    let outcomes = report_outcomes(args, &work, &mut client, &mut done.answered).await?;
    done.latencies.sort_unstable();
    Ok(Report {
        rows: work.rows.len(),
        requests: work.requests(),
        seconds: took.as_secs_f64(),
        requests_per_second: work.requests() as f64 / took.as_secs_f64(),
        p50_ms: quantile_ms(&done.latencies, 50),
        p99_ms: quantile_ms(&done.latencies, 99),
        errors: done.errors,
        outcomes,
    })
}

/// The requests, shared by the connections.
struct Work {
    path: String,
    /// Part of every request's id.
    run: String,
    batch: usize,
    rows: Rows,
    next: AtomicUsize,
}

/// What one connection did.
#[derive(Default)]
struct Done {
    latencies: Vec<Duration>,
    answered: Vec<usize>,
    errors: usize,
    first_error: Option<String>,
}

impl Work {
    fn requests(&self) -> usize {
        self.rows.len().div_ceil(self.batch)
    }

    fn id(&self, request: usize) -> String {
        format!("{}-{request}", self.run)
    }

    fn range(&self, request: usize) -> std::ops::Range<usize> {
        let start = request * self.batch;
        start..(start + self.batch).min(self.rows.len())
    }
}

async fn predict(work: Arc<Work>, mut client: Client) -> Done {
    let mut done = Done::default();
    loop {
        let request = work.next.fetch_add(1, Relaxed);
        if request >= work.requests() {
            return done;
        }
        let answer = match work.rows.body(&work.id(request), work.range(request)) {
            Ok(body) => {
                let began = Instant::now();
                let answer = client.post(&work.path, body).await;
                done.latencies.push(began.elapsed());
                answer
            }
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => done.answered.push(request),
            Err(error) => {
                done.errors += 1;
                done.first_error.get_or_insert(format!("{error:#}"));
            }
        }
    }
}

/// Sends the labels of the requests that were answered; rows without one are
/// left out together with the others of their request.
async fn report_outcomes(args: &Args, work: &Work, client: &mut Client, answered: &mut [usize]) -> Result<usize> {
    #[derive(Serialize)]
    struct Outcome<'a> {
        id: String,
        labels: &'a [f64],
    }
    let Some(labels) = work.rows.labels() else { return Ok(0) };
    answered.sort_unstable();
    let path = format!("/v2/models/{}/outcomes", args.model);
    let mut sent = 0;
    for requests in answered.chunks(OUTCOMES_AT_ONCE) {
        let outcomes = requests.iter().filter_map(|request| {
            let labels = labels.get(work.range(*request))?;
            let complete = labels.iter().all(|label| label.is_finite());
            complete.then(|| Outcome { id: work.id(*request), labels })
        });
        let outcomes: Vec<Outcome<'_>> = outcomes.collect();
        let rows: usize = outcomes.iter().map(|outcome| outcome.labels.len()).sum();
        let body = serde_json::to_vec(&serde_json::json!({ "outcomes": outcomes }))?;
        client.post(&path, body).await.context("reporting outcomes")?;
        sent += rows;
    }
    Ok(sent)
}

/// Of a sorted list, by the nearest-rank method.
fn quantile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
}
