//! Counters, as Prometheus text. Counting takes no lock.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;

/// Upper bounds of the latency buckets, microseconds.
const BUCKETS: [u64; 13] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 2_500_000];
/// Statuses counted apart; any other counts as 500.
const CODES: [u16; 9] = [200, 400, 403, 404, 405, 413, 415, 500, 503];

/// Every counter of this process.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(String, String), Arc<Requests>>>,
    pub shadow: Shadow,
    pub capture: Capture,
}

/// Requests of one variant of an endpoint; of none where they were refused
/// before a variant was chosen.
#[derive(Debug, Default)]
pub struct Requests {
    by_code: [AtomicU64; CODES.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    sum_micros: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Shadow {
    pub answered: AtomicU64,
    pub failed: AtomicU64,
    /// Not tried, because too many were waiting.
    pub dropped: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Capture {
    pub rows: AtomicU64,
    pub outcomes: AtomicU64,
    pub segments: AtomicU64,
    /// Requests not captured, because too much was waiting to be.
    pub dropped: AtomicU64,
    /// Rows and outcomes of segments that could not be written.
    pub lost: AtomicU64,
}

impl Metrics {
    /// The counters of a variant: the same ones over all snapshots.
    pub fn requests(&self, endpoint: &str, variant: &str) -> Arc<Requests> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.entry((endpoint.to_owned(), variant.to_owned())).or_default().clone()
    }

    /// Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        writeln!(out, "# HELP falaj_requests_total Requests by endpoint, variant and status.")?;
        writeln!(out, "# TYPE falaj_requests_total counter")?;
        for ((endpoint, variant), counters) in &requests {
            for (code, count) in CODES.iter().zip(&counters.by_code) {
                let count = count.load(Relaxed);
                if count > 0 {
                    let labels = format!("endpoint=\"{endpoint}\",variant=\"{variant}\",code=\"{code}\"");
                    writeln!(out, "falaj_requests_total{{{labels}}} {count}")?;
                }
            }
        }
        writeln!(out, "# HELP falaj_request_seconds Time from the whole request to the reply.")?;
        writeln!(out, "# TYPE falaj_request_seconds histogram")?;
        for ((endpoint, variant), counters) in requests.iter().filter(|((_, variant), _)| !variant.is_empty()) {
            let labels = format!("endpoint=\"{endpoint}\",variant=\"{variant}\"");
            let mut cumulative = 0;
            for (bound, count) in BUCKETS.iter().zip(&counters.buckets) {
                cumulative += count.load(Relaxed);
                let seconds = *bound as f64 / 1e6;
                writeln!(out, "falaj_request_seconds_bucket{{{labels},le=\"{seconds}\"}} {cumulative}")?;
            }
            let total: u64 = counters.by_code.iter().map(|c| c.load(Relaxed)).sum();
            let sum = counters.sum_micros.load(Relaxed) as f64 / 1e6;
            writeln!(out, "falaj_request_seconds_bucket{{{labels},le=\"+Inf\"}} {total}")?;
            writeln!(out, "falaj_request_seconds_sum{{{labels}}} {sum}")?;
            writeln!(out, "falaj_request_seconds_count{{{labels}}} {total}")?;
        }
        let counters = [
            ("falaj_shadow_answered_total", "Requests a shadow answered.", &self.shadow.answered),
            ("falaj_shadow_failed_total", "Requests a shadow could not answer.", &self.shadow.failed),
            ("falaj_shadow_dropped_total", "Requests no shadow was asked about.", &self.shadow.dropped),
            ("falaj_capture_rows_total", "Predictions captured.", &self.capture.rows),
            ("falaj_capture_outcomes_total", "Outcomes captured.", &self.capture.outcomes),
            ("falaj_capture_segments_total", "Segments made durable.", &self.capture.segments),
            ("falaj_capture_dropped_total", "Requests not captured under load.", &self.capture.dropped),
            ("falaj_capture_lost_total", "Rows of segments that could not be written.", &self.capture.lost),
        ];
        for (name, help, counter) in counters {
            writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}", counter.load(Relaxed))?;
        }
        Ok(())
    }
}

impl Requests {
    pub fn count(&self, status: StatusCode, took: Duration) {
        let code = CODES.iter().position(|code| *code == status.as_u16());
        let code = code.or_else(|| CODES.iter().position(|code| *code == 500));
        if let Some(counter) = code.and_then(|index| self.by_code.get(index)) {
            counter.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_micros.fetch_add(micros, Relaxed);
        let bucket = BUCKETS.iter().zip(&self.buckets).find(|(bound, _)| micros <= **bound);
        if let Some((_, bucket)) = bucket {
            bucket.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_outlive_a_snapshot_and_render_as_prometheus_text() {
        let metrics = Metrics::default();
        metrics.requests("employed", "champion").count(StatusCode::OK, Duration::from_micros(80));
        metrics.requests("employed", "champion").count(StatusCode::IM_A_TEAPOT, Duration::from_secs(9));
        let text = metrics.render();
        let labels = "endpoint=\"employed\",variant=\"champion\"";
        for line in [
            format!("falaj_requests_total{{{labels},code=\"200\"}} 1"),
            format!("falaj_requests_total{{{labels},code=\"500\"}} 1"),
            format!("falaj_request_seconds_bucket{{{labels},le=\"0.00005\"}} 0"),
            format!("falaj_request_seconds_bucket{{{labels},le=\"0.0001\"}} 1"),
            format!("falaj_request_seconds_bucket{{{labels},le=\"2.5\"}} 1"),
            format!("falaj_request_seconds_bucket{{{labels},le=\"+Inf\"}} 2"),
            format!("falaj_request_seconds_sum{{{labels}}} 9.00008"),
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
