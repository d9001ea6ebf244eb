//! The promises a provider makes to the host, checked before they leave.
//!
//! The host checks most of them too, but says only that the provider is at
//! fault; these messages name the attribute and what was promised.

use super::{keep, write_only};
use crate::path::Trail;
use crate::schema::{Attribute, Kind, Nesting};
use crate::{AttributePath, Diagnostic, Diagnostics, Refinement, Value};

const BUG: &str = "This is a bug in the provider, not in the configuration.";

/// Finds sets of objects whose elements, different as configured, became equal
/// through defaults: the host would drop one and then miss it.
pub fn duplicates(attributes: &[Attribute], planned: &Value) -> Diagnostics {
    let mut problems = Diagnostics::new();
    find_duplicates(attributes, planned, &Trail::Root, &mut problems);
    problems
}

fn find_duplicates(attributes: &[Attribute], object: &Value, path: &Trail<'_>, problems: &mut Diagnostics) {
    for attribute in attributes {
        let Kind::Nested(nesting, nested) = &attribute.kind else {
            continue;
        };
        let path = path.attribute(attribute.name);
        match (nesting, object.get(attribute.name)) {
            (Nesting::Single, inner) => find_duplicates(nested, inner, &path, problems),
            (Nesting::List, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    find_duplicates(nested, element, &path.index(index), problems);
                }
            }
            (Nesting::Map, Value::Map(entries)) => {
                for (key, element) in entries {
                    find_duplicates(nested, element, &path.key(key), problems);
                }
            }
            (Nesting::Set, Value::Set(elements)) => {
                let twice = |position: usize, element: &Value| {
                    element.is_wholly_known() && elements.iter().take(position).any(|earlier| earlier == element)
                };
                if elements.iter().enumerate().any(|(position, element)| twice(position, element)) {
                    problems.error_at(
                        path.to_path(),
                        "Two elements of a set are equal",
                        "They become equal once defaults are filled in. Leave one of them out.",
                    );
                }
            }
            _ => {}
        }
    }
}

/// Checks a planned object. `config` and `planned` are known objects; `prior`
/// is null on create.
pub fn planned(attributes: &[Attribute], config: &Value, prior: &Value, planned: &Value) -> Diagnostics {
    let mut problems = Diagnostics::new();
    plan_object(attributes, config, prior, planned, &Trail::Root, &mut problems);
    problems
}

fn plan_object(
    attributes: &[Attribute],
    config: &Value,
    prior: &Value,
    planned: &Value,
    path: &Trail<'_>,
    problems: &mut Diagnostics,
) {
    let config = if config.is_unknown() && !planned.is_unknown() && attributes.iter().any(write_only::concerns) {
        &write_only::opened(attributes)
    } else {
        config
    };
    for attribute in attributes {
        let path = path.attribute(attribute.name);
        let name = attribute.name;
        plan_attribute(attribute, config.get(name), prior.get(name), planned.get(name), &path, problems);
    }
}

fn plan_attribute(
    attribute: &Attribute,
    config: &Value,
    prior: &Value,
    planned: &Value,
    path: &Trail<'_>,
    problems: &mut Diagnostics,
) {
    let mut invalid = |detail: &str| problems.push(broken("Invalid plan", path.to_path(), detail));
    if attribute.write_only {
        if !planned.is_null() {
            invalid("A write-only attribute must be null in a plan.");
        }
        return;
    }
    if planned.is_null() && attribute.is_block_collection() {
        invalid("A list, set or map of blocks is empty where there are none, and not null.");
        return;
    }
    if planned == config {
        return;
    }
    if let Value::Unknown(known) = planned
        && let Some(problem) = known.misfit(&attribute.kind.to_type())
    {
        invalid(&format!("The unknown value is refined with what its type does not have: {problem}."));
        return;
    }
    if config.is_unknown() && attribute.block.is_some() {
        invalid("Blocks that are not known yet must be planned as they are.");
        return;
    }
    if config.is_null() {
        if !attribute.is_computed() {
            invalid("A value was planned for an attribute that is neither configured nor computed.");
        }
        return;
    }
    // A spelling of equal meaning may be kept, but only of a value that is there.
    if planned == prior && !prior.is_null() && attribute.block.is_none() {
        return;
    }
    match &attribute.kind {
        Kind::Plain(_) => invalid("The planned value is neither the configured one nor the prior one."),
        Kind::Nested(nesting, attributes) => plan_nested(*nesting, attributes, config, prior, planned, path, problems),
    }
}

fn plan_nested(
    nesting: Nesting,
    attributes: &[Attribute],
    config: &Value,
    prior: &Value,
    planned: &Value,
    path: &Trail<'_>,
    problems: &mut Diagnostics,
) {
    let nothing = &Value::Null;
    match (nesting, config, planned) {
        (Nesting::Single, Value::Map(_) | Value::Unknown(_), Value::Map(_)) => {
            plan_object(attributes, config, prior, planned, path, problems);
        }
        (Nesting::Map, Value::Map(configs), Value::Map(planneds)) if configs.keys().eq(planneds.keys()) => {
            for ((key, config), planned) in configs.iter().zip(planneds.values()) {
                let prior = prior.get(key);
                plan_object(attributes, config, prior, planned, &path.key(key), problems);
            }
        }
        (Nesting::List, Value::List(configs), Value::List(planneds)) if configs.len() == planneds.len() => {
            let priors = match prior {
                Value::List(priors) => priors.as_slice(),
                _ => &[],
            };
            for (index, (config, planned)) in configs.iter().zip(planneds).enumerate() {
                let prior = priors.get(index).unwrap_or(nothing);
                plan_object(attributes, config, prior, planned, &path.index(index), problems);
            }
        }
        (Nesting::Set, Value::Set(configs), Value::Set(planneds)) if configs.len() == planneds.len() => {
            set_elements(attributes, configs, planneds, path, problems);
        }
        _ => problems.push(broken(
            "Invalid plan",
            path.to_path(),
            "The planned value does not have the configured elements.",
        )),
    }
}

/// The host does not look inside sets, so a wrong element would pass in
/// silence: each planned element must be one that was configured.
fn set_elements(
    attributes: &[Attribute],
    configs: &[Value],
    planneds: &[Value],
    path: &Trail<'_>,
    problems: &mut Diagnostics,
) {
    for planned in planneds {
        let fits = |config: &&Value| {
            let mut inner = Diagnostics::new();
            // A spelling of equal meaning may be kept here, too.
            let spelled = keep::object(attributes, planned, (*config).clone());
            plan_object(attributes, &spelled, &Value::Null, planned, path, &mut inner);
            inner.is_empty()
        };
        if !configs.iter().any(|config| fits(&config)) {
            problems.push(broken("Invalid plan", path.to_path(), "An element was planned that is not configured."));
        }
    }
}

/// Checks the plan made within an apply against the first one: what was known
/// then must be the same now, and what was promised must be kept.
pub fn refined(first: &Value, second: &Value) -> Diagnostics {
    let mut problems = Diagnostics::new();
    refine(first, second, &AttributePath::new(), &mut problems);
    problems
}

fn refine(first: &Value, second: &Value, path: &AttributePath, problems: &mut Diagnostics) {
    match (first, second) {
        (Value::Unknown(_), Value::Unknown(_)) => {}
        (Value::Unknown(refinement), known) => {
            if let Err(promise) = keeps(refinement, known) {
                let detail = format!("The first plan promised {promise}.");
                problems.push(broken("Inconsistent plan", path.clone(), &detail));
            }
        }
        (Value::Map(before), Value::Map(after)) if before.keys().eq(after.keys()) => {
            for ((key, first), second) in before.iter().zip(after.values()) {
                let path = if path.is_empty() { path.attribute(key.clone()) } else { path.key(key.clone()) };
                refine(first, second, &path, problems);
            }
        }
        (Value::List(before), Value::List(after)) if before.len() == after.len() => {
            for (index, (first, second)) in before.iter().zip(after).enumerate() {
                refine(first, second, &path.index(index), problems);
            }
        }
        (Value::Set(_), Value::Set(_)) if !first.is_wholly_known() => {}
        (first, second) if first != second => {
            problems.push(broken(
                "Inconsistent plan",
                path.clone(),
                "The second plan has another value than the first.",
            ));
        }
        _ => {}
    }
}

/// Checks the state after a create or an update against what was planned.
pub fn applied(attributes: &[Attribute], planned: &Value, applied: &Value) -> Diagnostics {
    let mut problems = Diagnostics::new();
    apply_object(attributes, planned, applied, &Trail::Root, &mut problems);
    problems
}

fn apply_object(
    attributes: &[Attribute],
    planned: &Value,
    applied: &Value,
    path: &Trail<'_>,
    problems: &mut Diagnostics,
) {
    for attribute in attributes {
        let path = path.attribute(attribute.name);
        let (planned, applied) = (planned.get(attribute.name), applied.get(attribute.name));
        if attribute.write_only {
            if !applied.is_null() {
                problems.push(broken("Invalid state", path.to_path(), "A write-only attribute must be null in state."));
            }
            continue;
        }
        if applied.is_null() && attribute.is_block_collection() {
            let rule = "A list, set or map of blocks is empty where there are none, and not null.";
            problems.push(broken("Invalid state", path.to_path(), rule));
            continue;
        }
        apply_value(&attribute.kind, planned, applied, &path, problems);
    }
}

fn apply_value(kind: &Kind, planned: &Value, applied: &Value, path: &Trail<'_>, problems: &mut Diagnostics) {
    let mut invalid = |detail: String| problems.push(broken("Invalid state", path.to_path(), &detail));
    if let Value::Unknown(refinement) = planned {
        if !applied.is_wholly_known() {
            invalid("The value is still unknown after the apply.".into());
        } else if let Err(promise) = keeps(refinement, applied) {
            invalid(format!("The plan promised {promise}."));
        }
        return;
    }
    match (kind, planned, applied) {
        (Kind::Nested(Nesting::Single, attributes), Value::Map(_), Value::Map(_)) => {
            apply_object(attributes, planned, applied, path, problems);
        }
        (Kind::Nested(Nesting::Map, attributes), Value::Map(before), Value::Map(after))
            if before.keys().eq(after.keys()) =>
        {
            for ((key, planned), applied) in before.iter().zip(after.values()) {
                apply_object(attributes, planned, applied, &path.key(key), problems);
            }
        }
        (Kind::Nested(Nesting::List, attributes), Value::List(before), Value::List(after))
            if before.len() == after.len() =>
        {
            for (index, (planned, applied)) in before.iter().zip(after).enumerate() {
                apply_object(attributes, planned, applied, &path.index(index), problems);
            }
        }
        (_, Value::Set(before), Value::Set(after)) => {
            if !applied.is_wholly_known() {
                invalid("A part of the set is still unknown after the apply.".into());
            } else if after.len() > before.len() || (planned.is_wholly_known() && planned != applied) {
                invalid("The set is not the planned one.".into());
            }
        }
        (Kind::Plain(_), Value::List(before), Value::List(after)) if before.len() == after.len() => {
            for (index, (planned, applied)) in before.iter().zip(after).enumerate() {
                apply_value(kind, planned, applied, &path.index(index), problems);
            }
        }
        (Kind::Plain(_), Value::Map(before), Value::Map(after)) if before.keys().eq(after.keys()) => {
            for ((key, planned), applied) in before.iter().zip(after.values()) {
                apply_value(kind, planned, applied, &path.key(key), problems);
            }
        }
        (_, planned, applied) if planned != applied => {
            invalid("The value after the apply is not the planned one.".into());
        }
        _ => {}
    }
}

/// Whether a known value keeps to what was known of it; else what was promised.
fn keeps(refinement: &Refinement, value: &Value) -> Result<(), String> {
    if value.is_null() {
        return if refinement.is_not_null() { Err("a value that is not null".into()) } else { Ok(()) };
    }
    if let (Some(prefix), Value::String(text)) = (refinement.prefix(), value)
        && !text.starts_with(prefix)
    {
        return Err(format!("a value that begins with `{prefix}`"));
    }
    if let Value::Number(number) = value {
        let below = refinement.min().filter(|(min, inclusive)| number < min || (!inclusive && number == min));
        if let Some((min, _)) = below {
            return Err(format!("a number above {min}"));
        }
        let above = refinement.max().filter(|(max, inclusive)| number > max || (!inclusive && number == max));
        if let Some((max, _)) = above {
            return Err(format!("a number below {max}"));
        }
    }
    let length = match value {
        Value::List(elements) | Value::Set(elements) => elements.len(),
        Value::Map(entries) => entries.len(),
        _ => return Ok(()),
    };
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    if refinement.min_length().is_some_and(|min| length < min)
        || refinement.max_length().is_some_and(|max| length > max)
    {
        return Err("another number of elements".into());
    }
    Ok(())
}

fn broken(summary: &str, path: AttributePath, detail: &str) -> Diagnostic {
    Diagnostic::error(format!("{summary} of `{path}`")).detail(format!("{detail} {BUG}")).at(path)
}
