//! Logs in the form that the host reads: one JSON object a line, on standard
//! error, and nothing that it did not ask for.

use std::fmt::Debug;
use std::io::{self, Write};

use jiff::Timestamp;
use serde_json::{Map, Value as Json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Libraries whose details help nobody who writes a configuration.
const NOISY: [&str; 6] = ["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];

/// Sends events to the host from the level it asked for; installs nothing if
/// it asked for none.
pub fn install(name: &str) {
    let level = level(name, |variable| std::env::var(variable).ok());
    if level == LevelFilter::OFF {
        return;
    }
    let wanted = filter_fn(move |metadata| is_wanted(metadata, level));
    // A subscriber that is there already (a test's) stays.
    drop(Registry::default().with(HostLayer.with_filter(wanted)).try_init());
}

/// The most specific variable counts; `JSON` is trace in another dress, which
/// only the host's own output has.
fn level(name: &str, variable: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let own = format!("TF_LOG_PROVIDER_{}", name.to_uppercase().replace('-', "_"));
    let asked = [own.as_str(), "TF_LOG_PROVIDER", "TF_LOG"].into_iter().find_map(&variable);
    match asked.map(|level| level.to_uppercase()).as_deref() {
        Some("TRACE" | "JSON") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("INFO") => LevelFilter::INFO,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR") => LevelFilter::ERROR,
        _ => LevelFilter::OFF,
    }
}

fn is_wanted(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    let level = if NOISY.contains(&root) { level.min(LevelFilter::WARN) } else { level };
    *metadata.level() <= level
}

struct HostLayer;

impl<S: Subscriber> Layer<S> for HostLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line::default();
        event.record(&mut line);
        let text = line.finish(metadata.level(), metadata.target(), &Timestamp::now());
        let mut out = io::stderr().lock();
        // A host that has closed its end wants no logs.
        drop(writeln!(out, "{text}"));
    }
}

/// The fields of one event.
#[derive(Default)]
struct Line {
    message: String,
    fields: Map<String, Json>,
}

impl Line {
    /// The host's log reader fails on a `@` field that is not a string, so
    /// these are set last.
    fn finish(mut self, level: &Level, module: &str, time: &Timestamp) -> String {
        self.fields.insert("@level".into(), level.as_str().to_lowercase().into());
        self.fields.insert("@message".into(), self.message.into());
        self.fields.insert("@module".into(), module.replace("::", ".").into());
        self.fields.insert("@timestamp".into(), time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string().into());
        Json::Object(self.fields).to_string()
    }

    fn put(&mut self, field: &Field, value: Json) {
        if field.name() == "message" {
            self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        } else {
            self.fields.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> LevelFilter {
        level("falaj", |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_most_specific_level_counts() {
        assert_eq!(asked(&[]), LevelFilter::OFF);
        assert_eq!(asked(&[("TF_LOG", "debug")]), LevelFilter::DEBUG);
        assert_eq!(asked(&[("TF_LOG", "TRACE"), ("TF_LOG_PROVIDER", "WARN")]), LevelFilter::WARN);
        assert_eq!(asked(&[("TF_LOG_PROVIDER", "WARN"), ("TF_LOG_PROVIDER_FALAJ", "off")]), LevelFilter::OFF);
        assert_eq!(asked(&[("TF_LOG", "JSON")]), LevelFilter::TRACE);
    }

    #[test]
    fn a_line_is_what_the_host_parses() {
        let line = Line { message: "hello".into(), fields: Map::from_iter([("n".into(), 1.into())]) };
        let text = line.finish(&Level::WARN, "falaj::client", &Timestamp::UNIX_EPOCH);
        assert_eq!(
            text,
            r#"{"@level":"warn","@message":"hello","@module":"falaj.client","@timestamp":"1970-01-01T00:00:00.000000Z","n":1}"#
        );
    }
}
