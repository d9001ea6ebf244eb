//! Queries and actions under a core: each is a run of its own.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::case::{Attributes, Found, Invoke, Query};
use crate::cores::Workspace;
use crate::life::differs;
use crate::schemas::Schemas;
use crate::{reading, told, world};

/// Runs a query, and says how what it finds differs from what is expected.
pub fn query(workspace: &Workspace, query: &Query, schemas: &Schemas, id: &str) -> Result<Vec<String>, String> {
    let Query { list, given, config, limit, include_resource, found: expected, fails } = query;
    world::prepare(&workspace.world(), given, &[]);
    let attributes: String = config.iter().map(|(name, value)| format!("    {name} = {value}\n")).collect();
    let limit = if *limit > 0 { format!("  limit = {limit}\n") } else { String::new() };
    workspace.write_query(Some(&format!(
        "list \"{list}\" \"{id}\" {{\n  provider = corner\n{limit}  include_resource = {include_resource}\n  config {{\n{attributes}  }}\n}}\n"
    )));
    let output = workspace.run(&["query", "-json"]);
    workspace.write_query(None);
    let events: Vec<Json> = told::events(&output)?;
    let mut found = events.iter().filter_map(|event| event.get("list_resource_found"));
    let mut problems = Vec::new();
    for Found { display_name, identity, resource } in expected {
        let Some(found) = found.next() else {
            problems.push(format!("{display_name} is not found"));
            continue;
        };
        problems.extend(differs("the name", &Some(display_name.as_str()), &found["display_name"].as_str()));
        let schema = schemas.identities.get(list).ok_or("a list needs an identity")?;
        let shown = reading::plain(&found["identity"], &schema.kind)?;
        problems.extend(reading::differences("the identity", identity, &shown, &schema.kind));
        match (resource, found.get("resource_object").filter(|object| !object.is_null())) {
            (Some(expected), Some(object)) => {
                let kind = &schemas.resources.get(list).ok_or("a list needs a resource")?.kind;
                problems.extend(reading::differences("the object", expected, &reading::plain(object, kind)?, kind));
            }
            (None, None) => {}
            (expected, found) => problems.push(format!("expected {expected:?}, found {found:?}")),
        }
    }
    problems.extend(found.map(|found| format!("{} is found too", found["display_name"])));
    problems.extend(failure(fails.as_ref(), &told::all(&output)?));
    Ok(problems)
}

/// Invokes an action, and says how it went otherwise than expected.
pub fn invoke(workspace: &Workspace, invoke: &Invoke, id: &str) -> Result<Vec<String>, String> {
    let Invoke { action, config, progress, fails, world } = invoke;
    let kept = workspace.read();
    let mut with = kept.clone();
    with["action"] = action_block(action, id, config);
    workspace.write(with);
    let flag = format!("-invoke=action.{action}.{id}");
    let output = workspace.run(&["apply", "-json", "-input=false", "-auto-approve", &flag]);
    workspace.write(kept);
    let events = told::events(&output)?;
    let said = events.iter().filter(|event| event["type"] == "action_progress");
    let said: Vec<String> = said.filter_map(|event| event["hook"]["message"].as_str()).map(str::to_owned).collect();
    let mut problems: Vec<String> = differs("the progress", progress, &said).into_iter().collect();
    problems.extend(failure(fails.as_ref(), &told::all(&output)?));
    problems.extend(world::differences(&workspace.world(), world));
    Ok(problems)
}

fn action_block(action: &str, id: &str, config: &Attributes) -> Json {
    let block = BTreeMap::from([("config", Json::Object(config.clone()))]);
    json!({ action: { id: block } })
}

/// The expected error against those told: a core may tell it more than once.
fn failure(expected: Option<&String>, told: &[told::Told]) -> Vec<String> {
    let errors: Vec<String> = told.iter().filter(|told| told.is_error).map(told::Told::to_string).collect();
    let fits = match expected {
        None => errors.is_empty(),
        Some(says) => !errors.is_empty() && errors.iter().all(|error| error.contains(says.as_str())),
    };
    (!fits).then(|| format!("expected the error {expected:?}, found {errors:?}")).into_iter().collect()
}
