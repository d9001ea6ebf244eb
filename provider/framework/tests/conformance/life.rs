//! A case in the hands of a host of our own: validate, refresh, plan, plan
//! again, apply, and once more plan, which must find nothing to do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use tfplugin::{Type, Value};

use crate::case::{Action, Attributes, Blocks, Case, Change, End, Problem, Step};
use crate::client::{Client, Told};
use crate::connection::Connection;
use crate::object::{Object, Plan};
use crate::{calls, reading, rules, world};

/// Runs a case and returns what does not hold.
pub async fn run(case: &Case, connection: &Connection) -> Vec<String> {
    let mut life = Life { client: Client::new(connection.transport.clone()).await, objects: BTreeMap::new() };
    for (step, number) in case.steps.iter().zip(1..) {
        let mut problems = match step {
            Step::Change(change) => life.change(change).await.unwrap_or_else(|problem| vec![problem]),
            Step::Call(call) => life.client.call(call).await.unwrap_or_else(|problem| vec![problem]),
            Step::Query(query) => life.client.query(query).await.unwrap_or_else(|problem| vec![problem]),
            Step::Invoke(invoke) => life.client.invoke(invoke).await.unwrap_or_else(|problem| vec![problem]),
        };
        if !problems.is_empty() {
            problems.iter_mut().for_each(|problem| *problem = format!("{}, step {number}: {problem}", case.place));
            return problems;
        }
    }
    life.end().await.into_iter().map(|problem| format!("{}, at the end: {problem}", case.place)).collect()
}

struct Life {
    client: Client,
    objects: BTreeMap<String, Object>,
}

/// What is planned, by address.
type Plans = BTreeMap<String, (Plan, Value)>;

impl Life {
    async fn change(&mut self, change: &Change) -> Result<Vec<String>, String> {
        let Change {
            given,
            gone,
            saved,
            config,
            data,
            ephemeral,
            import,
            moved,
            invalid,
            refused,
            fails,
            warnings,
            plan,
            // Looked at in `check_state` and `check_again`.
            state: _,
            identity: _,
            tainted: _,
            absent: _,
            world: _,
            again: _,
        } = change;
        world::prepare(self.client.world.path(), given, gone);
        let mut unreadable = Vec::new();
        for (address, saved) in saved {
            let (object, told) = self.client.upgrade(address, kind(address), saved.clone()).await?;
            unreadable.extend(told);
            self.objects.extend(object.map(|object| (address.clone(), object)));
        }

        let mut told = self.validate(config).await?;
        if change.end() == End::Validate || has_errors(&told) {
            return Ok(mismatches("validation", invalid, &errors(&told)));
        }
        told.extend(unreadable);
        for moved in moved {
            let object = self.objects.remove(&moved.from).ok_or_else(|| format!("no {} to move", moved.from))?;
            if kind(&moved.from) == kind(&moved.to) {
                self.objects.insert(moved.to.clone(), object);
                continue;
            }
            let (object, more) = self.client.move_here(&moved.to, kind(&moved.to), object).await?;
            told.extend(more);
            self.objects.extend(object.map(|object| (moved.to.clone(), object)));
        }
        self.refresh(&mut told).await?;
        for import in import {
            let identity = match &import.identity {
                Some(identity) => {
                    let schema = self.client.schemas.identities.get(kind(&import.to)).ok_or("there is no identity")?;
                    Some(reading::plain(&Json::Object(identity.clone()), &schema.kind)?)
                }
                None => None,
            };
            let (object, more) = self.client.import(&import.to, kind(&import.to), import.id.clone(), identity).await?;
            told.extend(more);
            self.objects.extend(object.map(|object| (import.to.clone(), object)));
        }
        let mut known = self.read(data, &mut told).await?;
        let opened = self.open(ephemeral, &mut told).await?;
        known.extend(opened.results());
        // What depends on a failure is not planned.
        let failed = has_errors(&told);
        let plans = if failed { Plans::new() } else { self.plan(config, known, &mut told).await? };
        opened.close(&mut self.client).await?;
        if change.end() == End::Plan || has_errors(&told) {
            return Ok(mismatches("the plan", refused, &errors(&told)));
        }
        let mut problems = mismatches("validation and plan", warnings, &distinct(told));
        problems.extend(self.check_plans(plan, &plans));

        let mut told = Vec::new();
        let mut known = self.read(data, &mut told).await?;
        let read = known.clone();
        let opened = self.open(ephemeral, &mut told).await?;
        known.extend(opened.results());
        self.apply(config, &plans, known, &mut told).await?;
        opened.close(&mut self.client).await?;
        problems.extend(mismatches("the apply", fails, &errors(&told)));
        problems.extend(self.check_state(change, &read)?);
        problems.extend(self.check_again(change).await?);
        Ok(problems)
    }

    async fn validate(&mut self, config: &Blocks) -> Result<Vec<Told>, String> {
        let mut told = Vec::new();
        for (address, attributes) in addresses(config) {
            let schema = self.client.schema(kind(&address))?;
            let config = value(attributes, &schema.kind, &|_| Ok(Value::unknown()));
            told.extend(self.client.validate(&address, kind(&address), &at(&address, config)?).await?);
        }
        Ok(told)
    }

    async fn refresh(&mut self, told: &mut Vec<Told>) -> Result<(), String> {
        for (address, object) in std::mem::take(&mut self.objects) {
            let (read, more) = self.client.refresh(&address, &object).await?;
            told.extend(more);
            let read = read.unwrap_or(object);
            if !read.state.is_null() {
                self.objects.insert(address, read);
            }
        }
        Ok(())
    }

    async fn read(&mut self, data: &Blocks, told: &mut Vec<Told>) -> Result<BTreeMap<String, Value>, String> {
        let mut read = BTreeMap::new();
        for (address, attributes) in addresses(data) {
            let address = format!("data.{address}");
            let (state, more) = self.client.read_data(&address, kind(&address), attributes).await?;
            told.extend(more);
            read.insert(address, state);
        }
        Ok(read)
    }

    async fn open(&mut self, ephemeral: &Blocks, told: &mut Vec<Told>) -> Result<calls::Opened, String> {
        let mut opened = calls::Opened::default();
        for (address, attributes) in addresses(ephemeral) {
            let address = format!("ephemeral.{address}");
            told.extend(self.client.open(&address, kind(&address), attributes, &mut opened).await?);
        }
        Ok(opened)
    }

    async fn plan(
        &mut self,
        config: &Blocks,
        mut known: BTreeMap<String, Value>,
        told: &mut Vec<Told>,
    ) -> Result<Plans, String> {
        let mut plans = Plans::new();
        for (address, attributes) in in_order(config)? {
            let schema = self.client.schema(kind(&address))?;
            let config = at(&address, value(attributes, &schema.kind, &|reference| resolve(reference, &known)))?;
            let object = self.objects.get(&address).cloned().unwrap_or_else(|| Object::new(kind(&address)));
            let (plan, more) = self.client.plan(&address, &object, &config).await?;
            told.extend(more);
            if let Some(plan) = plan {
                known.insert(address.clone(), plan.planned.clone());
                plans.insert(address, (plan, config));
            }
        }
        for (address, object) in self.objects.clone() {
            if addresses(config).all(|(configured, _)| configured != address) {
                let (plan, more) = self.client.plan(&address, &object, &Value::Null).await?;
                told.extend(more);
                plans.extend(plan.map(|plan| (address, (plan, Value::Null))));
            }
        }
        Ok(plans)
    }

    async fn apply(
        &mut self,
        config: &Blocks,
        plans: &Plans,
        mut known: BTreeMap<String, Value>,
        told: &mut Vec<Told>,
    ) -> Result<(), String> {
        for (address, (plan, _)) in plans.iter().filter(|(_, (plan, _))| plan.action == Action::Delete) {
            told.extend(self.destroy(address, plan.clone()).await?);
        }
        let mut failed = BTreeSet::new();
        for (address, attributes) in in_order(config)? {
            if references(attributes).iter().any(|reference| failed.contains(owner(reference).0)) {
                failed.insert(address.clone());
                continue;
            }
            let Some((first, _)) = plans.get(&address) else { return Err(format!("{address} was not planned")) };
            let schema = self.client.schema(kind(&address))?;
            let config = at(&address, value(attributes, &schema.kind, &|reference| resolve(reference, &known)))?;
            let object = self.objects.get(&address).cloned().unwrap_or_else(|| Object::new(kind(&address)));
            let (second, more) = self.client.plan(&address, &object, &config).await?;
            let second = second.ok_or_else(|| format!("{address}: the second plan fails: {}", text(&more)))?;
            let fell = first.action == Action::Update && second.action == Action::Nothing;
            if first.action != second.action && !fell {
                return Err(format!("{address}: planned {:?}, then {:?}", first.action, second.action));
            }
            let broken = rules::keeps(&first.planned, &second.planned);
            if !broken.is_empty() {
                return Err(format!("{address}: the second plan differs: {}", broken.join("; ")));
            }
            let mut object = object;
            if second.action == Action::Replace {
                let delete = Plan { planned: Value::Null, private: object.private.clone(), ..second.clone() };
                let more = self.destroy(&address, delete).await?;
                let lost = has_errors(&more);
                told.extend(more);
                if lost {
                    failed.insert(address.clone());
                    continue;
                }
                object = Object::new(kind(&address));
            }
            if second.action != Action::Nothing {
                let more = self.client.apply(&address, &mut object, second, &config).await?;
                if has_errors(&more) {
                    failed.insert(address.clone());
                }
                told.extend(more);
            }
            known.insert(address.clone(), object.state.clone());
            if !object.state.is_null() {
                self.objects.insert(address, object);
            }
        }
        Ok(())
    }

    async fn destroy(&mut self, address: &str, plan: Plan) -> Result<Vec<Told>, String> {
        let Some(mut object) = self.objects.remove(address) else { return Ok(Vec::new()) };
        let told = self.client.apply(address, &mut object, plan, &Value::Null).await?;
        if !object.state.is_null() {
            self.objects.insert(address.to_owned(), object);
        }
        Ok(told)
    }

    fn check_plans(&self, expected: &BTreeMap<String, crate::case::Planned>, plans: &Plans) -> Vec<String> {
        let mut problems = Vec::new();
        for (address, expected) in expected {
            let crate::case::Planned { action, unknown, replace, values } = expected;
            let what = format!("the plan of {address}");
            let Some((plan, _)) = plans.get(address) else {
                problems.push(format!("{what}: there is none"));
                continue;
            };
            problems.extend(differs(&format!("{what}, action"), action, &plan.action));
            if let Some(unknown) = unknown {
                problems.extend(differs(&format!("{what}, unknown"), unknown, &reading::unknown_paths(&plan.planned)));
            }
            if let Some(replace) = replace {
                let found: BTreeSet<String> = plan.replace.iter().cloned().collect();
                problems.extend(differs(&format!("{what}, replace"), replace, &found));
            }
            match self.client.schema(kind(address)) {
                Ok(schema) => problems.extend(reading::differences(&what, values, &plan.planned, &schema.kind)),
                Err(problem) => problems.push(problem),
            }
        }
        problems
    }

    fn check_state(&self, change: &Change, data: &BTreeMap<String, Value>) -> Result<Vec<String>, String> {
        let Change { state, identity, tainted, absent, world, .. } = change;
        let mut problems = Vec::new();
        for (address, expected) in state {
            let what = format!("the state of {address}");
            let (value, kind) = match data.get(address) {
                Some(read) => (read, &self.client.schemas.data.get(kind(address)).ok_or("no such data source")?.kind),
                None => match self.objects.get(address) {
                    Some(object) => (&object.state, &self.client.schema(kind(address))?.kind.clone()),
                    None => {
                        problems.push(format!("{what}: there is none"));
                        continue;
                    }
                },
            };
            problems.extend(reading::differences(&what, expected, value, kind));
        }
        for (address, expected) in identity {
            let schema = self.client.schemas.identities.get(kind(address)).ok_or("there is no identity")?;
            let found = self.objects.get(address).and_then(|object| object.identity.clone()).unwrap_or(Value::Null);
            problems.extend(reading::differences(
                &format!("the identity of {address}"),
                expected,
                &found,
                &schema.kind,
            ));
        }
        let found: BTreeSet<&String> =
            self.objects.iter().filter(|(_, object)| object.tainted).map(|(address, _)| address).collect();
        problems.extend(differs("tainted", &tainted.iter().collect(), &found));
        let there = absent.iter().filter(|address| self.objects.contains_key(*address));
        problems.extend(there.map(|address| format!("{address} is in the state")));
        problems.extend(world::differences(self.client.world.path(), world));
        Ok(problems)
    }

    /// What a plan after the apply wants to do.
    async fn check_again(&mut self, change: &Change) -> Result<Vec<String>, String> {
        let mut told = Vec::new();
        self.refresh(&mut told).await?;
        let mut known = self.read(&change.data, &mut told).await?;
        let opened = self.open(&change.ephemeral, &mut told).await?;
        known.extend(opened.results());
        let plans = self.plan(&change.config, known, &mut told).await?;
        opened.close(&mut self.client).await?;
        let mut problems: Vec<String> =
            told.iter().filter(|told| told.is_error).map(|told| format!("the next plan fails: {told}")).collect();
        for (address, (plan, _)) in &plans {
            let expected = change.again.get(address).copied().unwrap_or(Action::Nothing);
            let pending =
                change.fails.iter().any(|problem| problem.of == *address) && !change.again.contains_key(address);
            if !pending && plan.action != expected {
                let broken = rules::keeps(
                    &self.objects.get(address).map_or(Value::Null, |object| object.state.clone()),
                    &plan.planned,
                );
                let action = plan.action;
                problems.push(format!(
                    "the next plan of {address}: expected {expected:?}, found {action:?} ({})",
                    broken.join("; ")
                ));
            }
        }
        Ok(problems)
    }

    /// Destroys what is left.
    async fn end(&mut self) -> Vec<String> {
        let everything = Change::default();
        let mut problems = self.change(&everything).await.unwrap_or_else(|problem| vec![problem]);
        problems.extend(self.objects.keys().map(|address| format!("{address} is still in the state")));
        problems
    }
}

fn text(told: &[Told]) -> String {
    told.iter().map(Told::to_string).collect::<Vec<_>>().join("; ")
}

fn has_errors(told: &[Told]) -> bool {
    told.iter().any(|told| told.is_error)
}

fn errors(told: &[Told]) -> Vec<Told> {
    told.iter().filter(|told| told.is_error).cloned().collect()
}

/// Validation and plan may tell the same.
fn distinct(told: Vec<Told>) -> Vec<Told> {
    let mut distinct: Vec<Told> = Vec::new();
    for told in told {
        if !distinct.contains(&told) {
            distinct.push(told);
        }
    }
    distinct
}

/// Holds what was told against what was expected: one for one.
fn mismatches(when: &str, expected: &[Problem], told: &[Told]) -> Vec<String> {
    let mut left: Vec<&Told> = told.iter().collect();
    let mut problems = Vec::new();
    for Problem { of, at, says } in expected {
        let found = left.iter().position(|told| told.of == *of && told.at == *at && told.text.contains(says.as_str()));
        match found {
            Some(position) => drop(left.remove(position)),
            None => problems.push(format!("{when} does not tell of {of} at `{at}`: {says}")),
        }
    }
    problems.extend(left.into_iter().map(|told| format!("{when} tells of {told}")));
    problems
}

pub fn differs<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, found: &T) -> Option<String> {
    (expected != found).then(|| format!("{what}: expected {expected:?}, found {found:?}"))
}

/// The type in an address.
pub fn kind(address: &str) -> &str {
    let address = address.strip_prefix("data.").or_else(|| address.strip_prefix("ephemeral.")).unwrap_or(address);
    address.split('.').next().unwrap_or_default()
}

pub fn addresses(blocks: &Blocks) -> impl Iterator<Item = (String, &Attributes)> {
    blocks.iter().flat_map(|(kind, blocks)| blocks.iter().map(move |(name, block)| (format!("{kind}.{name}"), block)))
}

fn value(attributes: &Attributes, kind: &Type, resolve: reading::Resolve<'_>) -> Result<Value, String> {
    reading::config(&Json::Object(attributes.clone()), kind, resolve)
}

fn at<T>(address: &str, result: Result<T, String>) -> Result<T, String> {
    result.map_err(|problem| format!("the configuration of {address}: {problem}"))
}

/// The address in a reference, and the rest of it.
pub fn owner(reference: &str) -> (&str, &str) {
    let steps = if reference.starts_with("data.") || reference.starts_with("ephemeral.") { 3 } else { 2 };
    match reference.match_indices('.').nth(steps - 1) {
        Some((end, _)) => (&reference[..end], &reference[end + 1..]),
        None => (reference, ""),
    }
}

fn resolve(reference: &str, known: &BTreeMap<String, Value>) -> Result<Value, String> {
    let (address, path) = owner(reference);
    let object = known.get(address).ok_or_else(|| format!("nothing is known of {address}"))?;
    let mut value = object.clone();
    for name in path.split('.') {
        if value.is_unknown() {
            break;
        }
        value = value.get(name).clone();
    }
    Ok(value)
}

/// What the attributes refer to.
fn references(attributes: &Attributes) -> Vec<String> {
    fn walk(json: &Json, found: &mut Vec<String>) {
        match json {
            Json::String(text) => {
                found.extend(text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).map(str::to_owned));
            }
            Json::Array(elements) => elements.iter().for_each(|element| walk(element, found)),
            Json::Object(entries) => entries.values().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    attributes.values().for_each(|value| walk(value, &mut found));
    found
}

/// The blocks, each after those that it refers to.
fn in_order(config: &Blocks) -> Result<Vec<(String, &Attributes)>, String> {
    let mut open: Vec<_> = addresses(config).collect();
    let mut ordered: Vec<(String, &Attributes)> = Vec::new();
    while !open.is_empty() {
        let waiting: BTreeSet<String> = open.iter().map(|(address, _)| address.clone()).collect();
        let ready = |(_, block): &(String, &Attributes)| {
            references(block).iter().all(|reference| !waiting.contains(owner(reference).0))
        };
        let (next, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(ready);
        if next.is_empty() {
            return Err("the configuration refers to itself".into());
        }
        ordered.extend(next);
        open = rest;
    }
    Ok(ordered)
}
