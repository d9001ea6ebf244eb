//! Plans and state as a core shows them in JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use tfplugin::{Type, Value};

use crate::case::{Action, Address, Attributes, Call, Change, Planned, Saved};
use crate::cores::Workspace;
use crate::life::{differs, kind};
use crate::reading;
use crate::schemas::Schemas;

/// What `show -json` says, as far as cases look at it.
#[derive(Debug, Default, Deserialize)]
pub struct Shown {
    #[serde(default)]
    resource_changes: Vec<Resource>,
    #[serde(default)]
    planned_values: Values,
    #[serde(default)]
    values: Values,
    /// Of the state file: what the shown form leaves out.
    #[serde(skip)]
    instances: BTreeMap<Address, Json>,
}

#[derive(Debug, Default, Deserialize)]
struct Values {
    #[serde(default)]
    outputs: BTreeMap<String, Output>,
    #[serde(default)]
    root_module: Module,
}

#[derive(Debug, Default, Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
struct Output {
    value: Option<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Instance {
    address: Address,
    values: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    address: Address,
    change: Changed,
}

#[derive(Debug, Deserialize)]
struct Changed {
    actions: Vec<String>,
    after: Option<Box<RawValue>>,
    #[serde(default)]
    after_unknown: Json,
    #[serde(default)]
    replace_paths: Vec<Vec<Json>>,
}

impl Changed {
    fn action(&self) -> Option<Action> {
        let actions: Vec<&str> = self.actions.iter().map(String::as_str).collect();
        Some(match actions[..] {
            ["no-op"] | ["read"] => Action::Nothing,
            ["create"] => Action::Create,
            ["update"] => Action::Update,
            ["delete"] => Action::Delete,
            ["delete", "create"] | ["create", "delete"] => Action::Replace,
            _ => return None,
        })
    }
}

fn show(workspace: &Workspace, arguments: &[&str]) -> Result<Shown, String> {
    let output = workspace.run(arguments);
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The state as the file has it.
fn state_file(workspace: &Workspace) -> Result<Json, String> {
    match workspace.state() {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(|error| format!("the state: {error}")),
        None => Ok(json!({
            "version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "conformance", "outputs": {},
            "resources": [],
        })),
    }
}

/// Puts state of another release into the file.
pub fn save(workspace: &Workspace, address: &str, saved: &Saved, schemas: &Schemas) -> Result<(), String> {
    let Saved { version, attributes, identity, identity_version } = saved;
    let mut state = state_file(workspace)?;
    let (kind, name) = address.split_once('.').ok_or("no address")?;
    let mut instance = json!({ "schema_version": version, "attributes": attributes, "sensitive_attributes": [] });
    if let (Some(identity), true) = (identity, schemas.identities.contains_key(kind)) {
        instance["identity_schema_version"] = (*identity_version).into();
        instance["identity"] = Json::Object(identity.clone());
    }
    let resource = json!({
        "mode": "managed", "type": kind, "name": name,
        "provider": "provider[\"registry.terraform.io/example/corner\"]",
        "instances": [instance],
    });
    let resources = state["resources"].as_array_mut().ok_or("the state has no resources")?;
    resources.push(resource);
    workspace.restore(Some(state.to_string().into_bytes()));
    Ok(())
}

impl Shown {
    pub fn plan(workspace: &Workspace, file: &str) -> Result<Self, String> {
        show(workspace, &["show", "-json", file])
    }

    pub fn state(workspace: &Workspace) -> Result<Self, String> {
        let mut shown = show(workspace, &["show", "-json"])?;
        for resource in state_file(workspace)?["resources"].as_array().into_iter().flatten() {
            if let (Some("managed"), Some(kind), Some(name)) =
                (resource["mode"].as_str(), resource["type"].as_str(), resource["name"].as_str())
            {
                shown.instances.insert(format!("{kind}.{name}"), resource["instances"][0].clone());
            }
        }
        Ok(shown)
    }

    pub fn check_plans(
        &self,
        expected: &BTreeMap<Address, Planned>,
        schemas: &Schemas,
        full: impl Fn(&str) -> String,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for (address, Planned { action, unknown, replace, values }) in expected {
            let what = format!("the plan of {address}");
            let Some(found) = self.resource_changes.iter().find(|change| change.address == full(address)) else {
                problems.push(format!("{what}: there is none"));
                continue;
            };
            let Some(schema) = schemas.resources.get(kind(address)) else {
                problems.push(format!("{what}: there is no such resource"));
                continue;
            };
            let change = &found.change;
            problems.extend(differs(&format!("{what}, action"), &Some(*action), &change.action()));
            if let Some(unknown) = unknown {
                let mut found = BTreeSet::new();
                unknown_paths(&change.after_unknown, &schema.kind, "", &mut found);
                problems.extend(differs(&format!("{what}, unknown"), unknown, &found));
            }
            if let Some(replace) = replace {
                let found = change.replace_paths.iter().map(|steps| path(steps)).collect();
                problems.extend(differs(&format!("{what}, replace"), replace, &found));
            }
            if !values.is_empty() {
                problems.extend(compare(&what, values, change.after.as_deref(), &schema.kind));
            }
        }
        problems
    }

    pub fn check_state(
        &self,
        change: &Change,
        schemas: &Schemas,
        full: impl Fn(&str) -> String,
        id: &str,
    ) -> Vec<String> {
        let Change { state, identity, tainted, absent, .. } = change;
        let mut problems = Vec::new();
        for (address, expected) in state {
            let what = format!("the state of {address}");
            let of = if address.starts_with("data.") { &schemas.data } else { &schemas.resources };
            let found = self.values.root_module.resources.iter().find(|found| found.address == full(address));
            match (found, of.get(kind(address))) {
                (Some(found), Some(schema)) => {
                    problems.extend(compare(&what, expected, Some(&found.values), &schema.kind));
                }
                _ => problems.push(format!("{what}: there is none")),
            }
        }
        let instance = |address: &str| self.instances.get(&full(address)).unwrap_or(&Json::Null);
        for (address, expected) in identity {
            let what = format!("the identity of {address}");
            match schemas.identities.get(kind(address)) {
                Some(schema) => match reading::plain(&instance(address)["identity"], &schema.kind) {
                    Ok(found) => problems.extend(reading::differences(&what, expected, &found, &schema.kind)),
                    Err(problem) => problems.push(format!("{what}: {problem}")),
                },
                None => problems.push(format!("{what}: the resource has none")),
            }
        }
        let of_case = |address: &str| address.contains(&format!(".{id}_"));
        let found: BTreeSet<String> = self
            .instances
            .iter()
            .filter(|(address, instance)| of_case(address) && instance["status"] == "tainted")
            .map(|(address, _)| address.clone())
            .collect();
        problems.extend(differs("tainted", &tainted.iter().map(|address| full(address)).collect(), &found));
        let there = absent.iter().filter(|address| self.instances.contains_key(&full(address)));
        problems.extend(there.map(|address| format!("{address} is in the state")));
        problems
    }

    /// What the plan wants with the objects of a case. `change` is the step
    /// that was just applied; without one nothing may be left to do.
    pub fn check_again(&self, change: Option<&Change>, id: &str, full: impl Fn(&str) -> String) -> Vec<String> {
        let again: BTreeMap<String, Action> = change
            .map(|change| change.again.iter().map(|(address, action)| (full(address), *action)).collect())
            .unwrap_or_default();
        let failed: BTreeSet<String> =
            change.map(|change| change.fails.iter().map(|problem| full(&problem.of)).collect()).unwrap_or_default();
        let own = self.resource_changes.iter().filter(|change| change.address.contains(&format!(".{id}_")));
        own.filter(|change| again.contains_key(&change.address) || !failed.contains(&change.address))
            .filter_map(|change| {
                let expected = again.get(&change.address).copied().unwrap_or(Action::Nothing);
                let found = change.change.action();
                differs(&format!("the next plan of {}", change.address), &Some(expected), &found)
            })
            .collect()
    }

    pub fn check_result(&self, call: &Call, id: &str, schemas: &Schemas) -> Vec<String> {
        let Call { function, result, arguments: _, error: _ } = call;
        let Some(kind) = schemas.functions.get(function).map(|function| &function.result) else {
            return vec![format!("there is no function {function}")];
        };
        let found = self.planned_values.outputs.get(id).and_then(|output| output.value.as_deref());
        let found =
            found.map_or(Ok(Value::Null), |raw| reading::observed(raw, kind)).map(|found| reading::bare(&found));
        let expected = result.as_ref().map_or(Ok(Value::Null), |result| reading::plain(result, kind));
        let expected = expected.map(|expected| reading::bare(&expected));
        match (expected, found) {
            (Ok(expected), Ok(found)) if expected == found => Vec::new(),
            (expected, found) => vec![format!("{function}: expected {expected:?}, found {found:?}")],
        }
    }
}

fn compare(what: &str, expected: &Attributes, found: Option<&RawValue>, kind: &Type) -> Vec<String> {
    match found.map_or(Ok(Value::Null), |raw| reading::observed(raw, kind)) {
        Ok(found) => reading::differences(what, expected, &found, kind),
        Err(problem) => vec![format!("{what}: {problem}")],
    }
}

/// The paths that a core shows as unknown.
fn unknown_paths(json: &Json, kind: &Type, path: &str, found: &mut BTreeSet<String>) {
    match json {
        Json::Bool(true) => {
            found.insert(path.to_owned());
        }
        Json::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                let (step, kind) = match kind {
                    Type::Set(element) => ("[*]".to_owned(), &**element),
                    Type::List(element) => (format!("[{index}]"), &**element),
                    other => (format!("[{index}]"), other),
                };
                unknown_paths(element, kind, &format!("{path}{step}"), found);
            }
        }
        Json::Object(entries) => {
            for (key, value) in entries {
                let kind = match kind {
                    Type::Map(element) => element,
                    Type::Object(attributes) => {
                        attributes.iter().find(|(name, _)| name == key).map_or(kind, |(_, kind)| kind)
                    }
                    other => other,
                };
                unknown_paths(value, kind, &reading::join(path, key), found);
            }
        }
        _ => {}
    }
}

fn path(steps: &[Json]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Json::String(name) => reading::join(&path, name),
        Json::Number(index) => format!("{path}[{index}]"),
        _ => format!("{path}[*]"),
    })
}
