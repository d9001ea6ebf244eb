//! All cases under one core at once: the first step of each in one plan and
//! one apply, then the second, and so on. What a case names `corner_place.a`
//! is `corner_place.c07_a` in there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::case::{Blocks, Call, Case, Change, End, Problem, Step};
use crate::cores::{Core, Workspace};
use crate::schemas::Schemas;
use crate::shown::{self, Shown};
use crate::{alone, told, world};

/// Runs the cases that the core can express; returns what does not hold, and
/// the cases that do not apply.
pub fn run<'c>(
    core: &Core,
    cases: &'c [Case],
    schemas: &Schemas,
    provider: &std::path::Path,
) -> (Vec<String>, Vec<&'c Case>) {
    let (apply, rest): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| case.needs.iter().all(|need| core.has(*need)));
    let members = apply.into_iter().enumerate().map(|(number, case)| Member::new(number, case)).collect();
    let mut batch = Batch { workspace: Workspace::new(core.clone(), provider), members, schemas };
    let rounds = cases.iter().map(|case| case.steps.len()).max().unwrap_or(0);
    let mut problems = Vec::new();
    for round in 0..rounds {
        if let Err(problem) = batch.round(round) {
            problems.push(format!("round {}: {problem}", round + 1));
            break;
        }
    }
    if problems.is_empty() {
        problems.extend(batch.end().err());
    }
    problems.extend(batch.members.into_iter().flat_map(|member| member.problems));
    (problems, rest)
}

/// A case on its way.
pub struct Member<'c> {
    case: &'c Case,
    id: String,
    /// What is configured as of the last step that was applied.
    current: Map<String, Json>,
    problems: Vec<String>,
}

struct Batch<'c> {
    workspace: Workspace,
    members: Vec<Member<'c>>,
    schemas: &'c Schemas,
}

impl<'c> Member<'c> {
    fn new(number: usize, case: &'c Case) -> Self {
        Self { case, id: format!("c{number:03}"), current: Map::new(), problems: Vec::new() }
    }

    fn step(&self, round: usize) -> Option<&'c Step> {
        self.case.steps.get(round).filter(|_| self.problems.is_empty())
    }

    fn report(&mut self, round: usize, problems: Vec<String>) {
        let place = format!("{}, step {}", self.case.place, round + 1);
        self.problems.extend(problems.into_iter().map(|problem| format!("{place}: {problem}")));
    }

    /// An address of the case as the core has it.
    fn full(&self, address: &str) -> String {
        match address.rsplit_once('.') {
            Some((kind, name)) => format!("{kind}.{}_{name}", self.id),
            None => address.to_owned(),
        }
    }

    /// The configuration of a step as a core reads it.
    fn configuration(&self, change: &Change) -> Map<String, Json> {
        let mut made = Map::new();
        let blocks = |blocks: &Blocks| -> Json {
            let rename = |(kind, blocks): (&String, &BTreeMap<String, Map<String, Json>>)| {
                let named = blocks.iter().map(|(name, block)| {
                    let block = Json::Object(block.clone());
                    (format!("{}_{name}", self.id), self.renamed(block))
                });
                (kind.clone(), Json::Object(named.collect()))
            };
            Json::Object(blocks.iter().map(rename).collect())
        };
        made.insert("resource".into(), blocks(&change.config));
        made.insert("data".into(), blocks(&change.data));
        made.insert("ephemeral".into(), blocks(&change.ephemeral));
        let import = |import: &crate::case::Import| {
            let mut block = json!({ "to": self.full(&import.to) });
            if let Some(id) = &import.id {
                block["id"] = id.as_str().into();
            }
            if let Some(identity) = &import.identity {
                block["identity"] = Json::Object(identity.clone());
            }
            block
        };
        made.insert("import".into(), change.import.iter().map(import).collect());
        let moved =
            change.moved.iter().map(|moved| json!({ "from": self.full(&moved.from), "to": self.full(&moved.to) }));
        made.insert("moved".into(), moved.collect());
        made
    }

    /// The same with the references in it renamed.
    fn renamed(&self, json: Json) -> Json {
        match json {
            Json::String(text) => match text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
                Some(reference) => {
                    let (address, path) = crate::life::owner(reference);
                    format!("${{{}.{path}}}", self.full(address)).into()
                }
                None => text.into(),
            },
            Json::Array(elements) => elements.into_iter().map(|element| self.renamed(element)).collect(),
            Json::Object(entries) => {
                Json::Object(entries.into_iter().map(|(key, value)| (key, self.renamed(value))).collect())
            }
            other => other,
        }
    }

    /// A call of a function as an output.
    fn call(&self, call: &Call) -> Map<String, Json> {
        let argument = |position: usize| format!("{}_{position}", self.id);
        let locals = call.arguments.iter().enumerate().map(|(position, value)| (argument(position), value.clone()));
        let names: Vec<String> =
            (0..call.arguments.len()).map(|position| format!("local.{}", argument(position))).collect();
        let value = format!("${{provider::corner::{}({})}}", call.function, names.join(", "));
        let mut made = Map::new();
        made.insert("locals".into(), Json::Object(locals.collect()));
        made.insert("output".into(), json!({ self.id.clone(): { "value": value } }));
        made
    }
}

/// Lays one configuration over another.
fn merge(into: &mut Json, from: &Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Json::Null), value);
            }
        }
        (Json::Array(into), Json::Array(from)) => into.extend(from.iter().cloned()),
        (into, from) => *into = from.clone(),
    }
}

fn pruned(mut config: Json) -> Json {
    if let Json::Object(blocks) = &mut config {
        blocks.retain(|_, block| match block {
            Json::Array(elements) => !elements.is_empty(),
            Json::Object(kinds) => {
                kinds.retain(|_, named| named.as_object().is_none_or(|named| !named.is_empty()));
                !kinds.is_empty()
            }
            _ => true,
        });
    }
    config
}

/// Which steps run together; none for one that runs alone.
fn ends(step: &Step) -> Option<End> {
    match step {
        Step::Change(change) => Some(change.end()),
        // Its arguments are constants, so that it is called in validation.
        Step::Call(call) if call.error.is_some() => Some(End::Validate),
        Step::Call(_) => Some(End::Apply),
        Step::Query(_) | Step::Invoke(_) => None,
    }
}

impl<'c> Batch<'c> {
    fn round(&mut self, round: usize) -> Result<(), String> {
        for end in [End::Validate, End::Plan] {
            if self.group(round, end).is_empty() {
                continue;
            }
            // State that such a step saves is for it alone.
            let before = self.workspace.state();
            self.prepare(round, end)?;
            self.write(round, end);
            let output = match end {
                End::Validate => self.workspace.run(&["validate", "-json"]),
                _ => self.workspace.run(&["plan", "-json", "-input=false"]),
            };
            self.workspace.restore(before);
            let told = told::all(&output)?;
            self.check_errors(round, end, &told);
        }
        if !self.group(round, End::Apply).is_empty() {
            self.apply(round)?;
        }
        for member in &mut self.members {
            let problems = match member.step(round) {
                Some(Step::Query(query)) => alone::query(&self.workspace, query, self.schemas, &member.id),
                Some(Step::Invoke(invoke)) => alone::invoke(&self.workspace, invoke, &member.id),
                _ => Ok(Vec::new()),
            };
            member.report(round, problems.unwrap_or_else(|problem| vec![problem]));
        }
        Ok(())
    }

    fn apply(&mut self, round: usize) -> Result<(), String> {
        self.prepare(round, End::Apply)?;
        let planned = self.plan(round)?;
        let changes = Shown::plan(&self.workspace, "plan")?;
        for (number, change) in self.changes(round) {
            let Change {
                warnings,
                plan,
                // Written by `configuration` and `prepare`.
                given: _,
                gone: _,
                saved: _,
                config: _,
                data: _,
                ephemeral: _,
                import: _,
                moved: _,
                // Looked at in `check_errors`, `check_state` and `check_again`.
                invalid: _,
                refused: _,
                fails: _,
                state: _,
                identity: _,
                tainted: _,
                absent: _,
                world: _,
                again: _,
            } = change;
            let member = &self.members[number];
            let mut problems = told::missing(warnings, &planned, |of| member.full(of));
            problems.extend(changes.check_plans(plan, self.schemas, |of| member.full(of)));
            self.members[number].report(round, problems);
        }
        self.check_results(round, &changes);

        let told = told::all(&self.workspace.run(&["apply", "-json", "-input=false", "plan"]))?;
        self.check_errors(round, End::Apply, &told);
        let state = Shown::state(&self.workspace)?;
        for (number, change) in self.changes(round) {
            let member = &self.members[number];
            let mut problems = state.check_state(change, self.schemas, |of| member.full(of), &member.id);
            problems.extend(world::differences(&self.workspace.world(), &change.world));
            self.members[number].report(round, problems);
        }
        self.keep(round);
        self.check_again(round)
    }

    /// Who takes part in a group of a round.
    fn group(&self, round: usize, end: End) -> Vec<usize> {
        let takes_part = |member: &Member<'_>| member.step(round).and_then(ends) == Some(end);
        self.members.iter().enumerate().filter(|(_, member)| takes_part(member)).map(|(number, _)| number).collect()
    }

    /// The changes that are applied in a round, with the number of the member.
    fn changes(&self, round: usize) -> Vec<(usize, &'c Change)> {
        let numbers = self.group(round, End::Apply).into_iter();
        let change = |number: usize| match self.members.get(number)?.step(round)? {
            Step::Change(change) => Some((number, &**change)),
            _ => None,
        };
        numbers.filter_map(change).collect()
    }

    /// Makes the world and the state as the steps of a group want them.
    fn prepare(&mut self, round: usize, end: End) -> Result<(), String> {
        for number in self.group(round, end) {
            let member = &self.members[number];
            if let Some(Step::Change(change)) = member.step(round) {
                world::prepare(&self.workspace.world(), &change.given, &change.gone);
                for (address, saved) in &change.saved {
                    shown::save(&self.workspace, &member.full(address), saved, self.schemas)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the steps of a group, and for everybody else what is there.
    fn write(&self, round: usize, end: End) {
        let group: BTreeSet<usize> = self.group(round, end).into_iter().collect();
        let mut config = json!({});
        for (number, member) in self.members.iter().enumerate() {
            let own = match member.step(round).filter(|_| group.contains(&number)) {
                Some(Step::Change(change)) => member.configuration(change),
                Some(Step::Call(call)) => member.call(call),
                Some(Step::Query(_) | Step::Invoke(_)) | None => member.current.clone(),
            };
            merge(&mut config, &Json::Object(own));
        }
        self.workspace.write(pruned(config));
    }

    /// Plans a round. A case that the plan fails for is reported and left out.
    fn plan(&mut self, round: usize) -> Result<Vec<told::Told>, String> {
        loop {
            self.write(round, End::Apply);
            let told = told::all(&self.workspace.run(&["plan", "-json", "-input=false", "-out=plan"]))?;
            let errors: Vec<&told::Told> = told.iter().filter(|told| told.is_error).collect();
            if errors.is_empty() {
                return Ok(told);
            }
            let before = self.group(round, End::Apply).len();
            for member in &mut self.members {
                let own = errors.iter().filter(|told| told.is_of(&member.id));
                let own = own.map(|told| format!("the plan tells of {told}")).collect();
                member.report(round, own);
            }
            if self.group(round, End::Apply).len() == before {
                return Err(format!("the plan fails for no case: {errors:?}"));
            }
        }
    }

    /// Holds the errors of a run against those expected: one for one.
    fn check_errors(&mut self, round: usize, end: End, told: &[told::Told]) {
        let group: BTreeSet<usize> = self.group(round, end).into_iter().collect();
        let mut taken = BTreeSet::new();
        for (number, member) in self.members.iter_mut().enumerate() {
            let step = member.step(round).filter(|_| group.contains(&number));
            let expected: &[Problem] = match (step, end) {
                (Some(Step::Change(change)), End::Validate) => &change.invalid,
                (Some(Step::Change(change)), End::Plan) => &change.refused,
                (Some(Step::Change(change)), End::Apply) => &change.fails,
                _ => &[],
            };
            let is_own =
                |told: &&told::Told| told.is_error && (told.is_of(&member.id) || told.is_nameless_but(expected));
            let own: Vec<&told::Told> = told.iter().filter(is_own).collect();
            taken.extend(own.iter().map(|told| told.to_string()));
            let problems = match step {
                Some(Step::Change(_)) => told::mismatches(expected, &own, |of| member.full(of)),
                Some(Step::Call(call)) => told::call_mismatches(call, &own, self.schemas),
                Some(Step::Query(_) | Step::Invoke(_)) | None => {
                    own.iter().map(|told| format!("while others run: {told}")).collect()
                }
            };
            member.report(round, problems);
        }
        let stray = told.iter().filter(|told| told.is_error && !taken.contains(&told.to_string()));
        let stray: Vec<String> = stray.map(|told| format!("of no case: {told}")).collect();
        if let Some(member) = self.members.first_mut() {
            member.report(round, stray);
        }
    }

    /// Holds the results of functions against those expected.
    fn check_results(&mut self, round: usize, shown: &Shown) {
        for number in self.group(round, End::Apply) {
            let member = &self.members[number];
            if let Some(Step::Call(call)) = member.step(round) {
                let problems = shown.check_result(call, &member.id, self.schemas);
                self.members[number].report(round, problems);
            }
        }
    }

    /// What was applied is what is configured from now on.
    fn keep(&mut self, round: usize) {
        for (number, change) in self.changes(round) {
            let member = &mut self.members[number];
            let mut current = member.configuration(change);
            current.remove("import");
            current.remove("moved");
            member.current = current;
        }
    }

    /// What a plan after the apply wants to do.
    fn check_again(&mut self, round: usize) -> Result<(), String> {
        self.workspace.write(self.configured());
        let told = told::all(&self.workspace.run(&["plan", "-json", "-input=false", "-out=again"]))?;
        if let Some(error) = told.iter().find(|told| told.is_error) {
            return Err(format!("the next plan fails: {error}"));
        }
        let shown = Shown::plan(&self.workspace, "again")?;
        for member in &mut self.members {
            let change = match member.step(round) {
                Some(Step::Change(change)) => Some(&**change),
                _ => None,
            };
            let problems = shown.check_again(change, &member.id, |of| member.full(of));
            member.report(round, problems);
        }
        Ok(())
    }

    fn configured(&self) -> Json {
        let mut config = json!({});
        for member in &self.members {
            merge(&mut config, &Json::Object(member.current.clone()));
        }
        pruned(config)
    }

    /// Destroys everything.
    fn end(&mut self) -> Result<(), String> {
        self.workspace.write(json!({}));
        let told = told::all(&self.workspace.run(&["apply", "-json", "-input=false", "-auto-approve"]))?;
        let errors: Vec<String> = told.iter().filter(|told| told.is_error).map(told::Told::to_string).collect();
        if !errors.is_empty() {
            return Err(format!("the destroy fails: {}", errors.join("; ")));
        }
        let state = self.workspace.state().unwrap_or_default();
        let left: Json = serde_json::from_slice(&state).unwrap_or_default();
        match left["resources"].as_array().map(Vec::len) {
            Some(0) => Ok(()),
            left => Err(format!("{left:?} resources are left in the state")),
        }
    }
}
