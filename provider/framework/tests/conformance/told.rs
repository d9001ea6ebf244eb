//! The diagnostics of a core's `-json` output.

use std::fmt;
use std::process::Output;

use serde_json::Value as Json;

use crate::case::{Call, CallError, Problem};
use crate::schemas::Schemas;

/// A diagnostic of a core.
#[derive(Debug, Clone)]
pub struct Told {
    pub is_error: bool,
    /// The address, where there is one.
    of: String,
    /// The last name in the attribute's path, read from the source it points to.
    at: String,
    text: String,
    /// Where else the object may be named.
    context: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at `{}`: {}", self.of, self.at, self.text)
    }
}

impl Told {
    fn read(diagnostic: &Json) -> Self {
        let text = |pointer: &str| diagnostic.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        Self {
            is_error: diagnostic["severity"] == "error",
            of: text("/address"),
            at: attribute(diagnostic).unwrap_or_default(),
            text: format!("{}: {}", text("/summary"), text("/detail")),
            context: text("/snippet/context"),
        }
    }

    /// Whether it is of a case, by the part that its addresses have.
    pub fn is_of(&self, id: &str) -> bool {
        [&self.of, &self.context, &self.text].iter().any(|text| {
            let inner = format!("{id}_");
            text.contains(&inner) || text.ends_with(&format!("output.{id}"))
        })
    }

    /// Whether it names no object at all, as a core does for a move that was
    /// refused, but says what is expected.
    pub fn is_nameless_but(&self, expected: &[Problem]) -> bool {
        self.is_nameless() && expected.iter().any(|problem| self.text.contains(problem.says.as_str()))
    }

    fn is_nameless(&self) -> bool {
        self.of.is_empty() && self.context.is_empty() && !self.text.contains(" object to \"")
    }

    fn is(&self, address: &str, says: &str) -> bool {
        let named = match self.of.is_empty() {
            true => self.text.contains(address) || self.context.ends_with(address) || self.is_nameless(),
            false => self.of == address,
        };
        named && self.text.contains(says)
    }
}

/// The name of the attribute whose value the diagnostic points to: the
/// configuration has an attribute a line.
fn attribute(diagnostic: &Json) -> Option<String> {
    let snippet = diagnostic.get("snippet")?;
    let offset = usize::try_from(snippet["highlight_start_offset"].as_u64()?).ok()?;
    let before = snippet["code"].as_str()?.get(..offset)?;
    let (key, rest) = before
        .trim_end()
        .strip_suffix(':')?
        .trim_end()
        .strip_suffix('"')?
        .rsplit_once('"')
        .map(|(rest, key)| (key, rest))?;
    let _ = rest;
    Some(key.to_owned())
}

/// The last name in a path: `style` in `list[1].style`.
fn last_name(path: &str) -> &str {
    let last = path.rsplit('.').next().unwrap_or_default();
    last.split('[').next().unwrap_or_default()
}

/// Everything that a run tells, of `validate -json` or of a stream of events.
pub fn all(output: &Output) -> Result<Vec<Told>, String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut told = Vec::new();
    if let Ok(Json::Object(whole)) = serde_json::from_str::<Json>(&text) {
        if let Some(Json::Array(diagnostics)) = whole.get("diagnostics") {
            told.extend(diagnostics.iter().map(Told::read));
        }
    } else {
        told.extend(events(output)?.iter().filter_map(|event| event.get("diagnostic")).map(Told::read));
    }
    if !output.status.success() && !told.iter().any(|told| told.is_error) {
        return Err(format!("it fails and tells nothing: {text}{}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(told)
}

/// The events of a run, a line each.
pub fn events(output: &Output) -> Result<Vec<Json>, String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let event = |line: &str| serde_json::from_str(line).map_err(|_| format!("not an event: {line}"));
    text.lines().map(event).collect()
}

/// Expected errors against those told: one for one.
pub fn mismatches(expected: &[Problem], told: &[&Told], full: impl Fn(&str) -> String) -> Vec<String> {
    let mut left: Vec<&Told> = told.to_vec();
    let mut problems = Vec::new();
    for Problem { of, at, says } in expected {
        let last = last_name(at);
        let address = full(of);
        match left.iter().position(|told| told.is(&address, says) && told.at == last) {
            Some(position) => drop(left.remove(position)),
            None => problems.push(format!("nothing is told of {of} at `{last}`: {says}")),
        }
    }
    problems.extend(left.into_iter().map(|told| format!("it is told of {told}")));
    problems
}

/// The expected warnings that were not told; a core adds its own.
pub fn missing(expected: &[Problem], told: &[Told], full: impl Fn(&str) -> String) -> Vec<String> {
    let mut problems = Vec::new();
    for Problem { of, at, says } in expected {
        let last = last_name(at);
        let address = full(of);
        if !told.iter().any(|told| !told.is_error && told.is(&address, says) && told.at == last) {
            problems.push(format!("no warning of {of} at `{last}`: {says}"));
        }
    }
    problems
}

/// An expected error of a function against what was told.
pub fn call_mismatches(call: &Call, told: &[&Told], schemas: &Schemas) -> Vec<String> {
    let Some(CallError { says, argument }) = &call.error else {
        return told.iter().map(|told| format!("it is told of {told}")).collect();
    };
    let parameter = argument.and_then(|position| schemas.functions.get(&call.function)?.parameter(position));
    // Both cores name the parameter of an argument to blame.
    let blame = parameter.map(|(name, _)| format!("Invalid value for \"{name}\" parameter"));
    let fits = |told: &&Told| {
        told.text.contains(says.as_str()) && blame.as_ref().is_none_or(|blame| told.text.contains(blame))
    };
    match told {
        [told] if fits(told) => Vec::new(),
        told => vec![format!("expected one error that says {says:?} and {blame:?}, found {told:?}")],
    }
}
