//! A case as it stands in a YAML file. Nothing in a file is passed over: an
//! unknown key is an error, and a runner takes a step apart field by field, so
//! that one which forgets an expectation does not compile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

/// `<type>.<name>`, with `data.` or `ephemeral.` before it where it is one.
pub type Address = String;
/// Attributes by name.
pub type Attributes = serde_json::Map<String, Json>;
/// Blocks by type and name.
pub type Blocks = BTreeMap<String, BTreeMap<String, Attributes>>;

/// One rule, and the steps that show it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The rule, as a sentence.
    pub rule: String,
    /// What not every core has.
    #[serde(default)]
    pub needs: BTreeSet<Need>,
    pub steps: Vec<Step>,
    /// Where it stands: file and number.
    #[serde(skip)]
    pub place: String,
}

/// What a core must have for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Resource identities: Terraform 1.12, OpenTofu 1.12.
    Identity,
    /// Queries: Terraform 1.14.
    Queries,
    /// Actions: Terraform 1.14.
    Actions,
}

/// One thing that a user does.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Applies a configuration.
    Change(Box<Change>),
    /// Calls a function.
    Call(Call),
    /// Asks for the objects of a resource.
    Query(Query),
    /// Invokes an action.
    Invoke(Invoke),
}

/// A query.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub list: String,
    #[serde(default)]
    pub given: BTreeMap<Address, Attributes>,
    pub config: Attributes,
    /// The most that are wanted; 0 for all.
    #[serde(default)]
    pub limit: i64,
    #[serde(default)]
    pub include_resource: bool,
    /// All that is found, in order.
    #[serde(default)]
    pub found: Vec<Found>,
    /// A part of the one error.
    #[serde(default)]
    pub fails: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub display_name: String,
    pub identity: Attributes,
    /// Its state, where that was asked for.
    #[serde(default)]
    pub resource: Option<Attributes>,
}

/// An invocation of an action.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoke {
    pub action: String,
    pub config: Attributes,
    /// All that it says on the way.
    #[serde(default)]
    pub progress: Vec<String>,
    /// A part of the one error.
    #[serde(default)]
    pub fails: Option<String>,
    #[serde(default)]
    pub world: BTreeMap<Address, Option<Attributes>>,
}

/// A configuration that is planned and applied, and what must come of it.
/// Afterwards the next plan must have nothing to do, but for `again`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Change {
    /// Objects that exist in the world before, by `<type>.<name>`; replaces
    /// what is there.
    pub given: BTreeMap<Address, Attributes>,
    /// Objects that vanish from the world before.
    pub gone: Vec<Address>,
    /// State that another release wrote.
    pub saved: BTreeMap<Address, Saved>,

    pub config: Blocks,
    pub data: Blocks,
    pub ephemeral: Blocks,
    pub import: Vec<Import>,
    pub moved: Vec<Moved>,

    /// Errors of validation; nothing is planned then.
    pub invalid: Vec<Problem>,
    /// Errors of the plan; nothing is applied then.
    pub refused: Vec<Problem>,
    /// Errors of the apply.
    pub fails: Vec<Problem>,
    /// Warnings of validation and plan.
    pub warnings: Vec<Problem>,
    pub plan: BTreeMap<Address, Planned>,
    /// Attributes after the apply; those not named are not looked at.
    pub state: BTreeMap<Address, Attributes>,
    pub identity: BTreeMap<Address, Attributes>,
    pub tainted: Vec<Address>,
    /// What must not be in the state after the apply.
    pub absent: Vec<Address>,
    /// Attributes of objects in the world after the apply; null for none there.
    pub world: BTreeMap<Address, Option<Attributes>>,
    /// What the next plan is to do.
    pub again: BTreeMap<Address, Action>,
}

/// State as another release wrote it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    pub version: i64,
    pub attributes: Attributes,
    #[serde(default)]
    pub identity: Option<Attributes>,
    #[serde(default)]
    pub identity_version: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Import {
    pub to: Address,
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub identity: Option<Attributes>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    pub from: Address,
    pub to: Address,
}

/// A diagnostic.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Whose it is.
    pub of: Address,
    /// The attribute. A core tells only the last name in it.
    #[serde(default)]
    pub at: String,
    /// A part of its summary and detail.
    pub says: String,
}

/// What a plan must do with an object.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    pub action: Action,
    /// All attributes that are known only after apply, and no others.
    #[serde(default)]
    pub unknown: Option<BTreeSet<String>>,
    /// All attributes for whose sake the object is replaced.
    #[serde(default)]
    pub replace: Option<BTreeSet<String>>,
    /// Planned attributes, unknown parts as null; those not named are not looked at.
    #[serde(default)]
    pub values: Attributes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Nothing,
    Create,
    Update,
    Replace,
    Delete,
}

/// A call of a function.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub function: String,
    pub arguments: Vec<Json>,
    #[serde(default)]
    pub result: Option<Json>,
    #[serde(default)]
    pub error: Option<CallError>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallError {
    /// A part of its text.
    pub says: String,
    /// The argument to blame, from zero.
    #[serde(default)]
    pub argument: Option<usize>,
}

impl Change {
    /// The step at which it is expected to end.
    pub fn end(&self) -> End {
        match (self.invalid.is_empty(), self.refused.is_empty()) {
            (false, _) => End::Validate,
            (true, false) => End::Plan,
            (true, true) => End::Apply,
        }
    }

    /// Why this cannot be meant, if so.
    fn nonsense(&self) -> Option<&'static str> {
        let after = !(self.fails.is_empty()
            && self.plan.is_empty()
            && self.state.is_empty()
            && self.identity.is_empty()
            && self.tainted.is_empty()
            && self.absent.is_empty()
            && self.world.is_empty()
            && self.again.is_empty());
        match self.end() {
            End::Validate if after || !self.refused.is_empty() || !self.warnings.is_empty() => {
                Some("nothing follows on `invalid`")
            }
            End::Plan if after || !self.warnings.is_empty() => Some("nothing follows on `refused`"),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Validate,
    Plan,
    Apply,
}

/// Every case, in the order of files and lines.
pub fn all() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let entries = fs::read_dir(&directory).expect("the directory of cases");
    let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let cases: Vec<Case> = files.iter().flat_map(|file| read(file)).collect();
    let mut owners = BTreeMap::new();
    for case in &cases {
        for object in case.objects() {
            // Cores run all cases in one world.
            if let Some(other) = owners.insert(object.clone(), &case.place).filter(|other| **other != case.place) {
                panic!("{}: another case, {other}, has an object of the name {object} too", case.place);
            }
        }
    }
    cases
}

fn read(file: &Path) -> Vec<Case> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = fs::read_to_string(file).expect("a file of cases");
    let cases: Result<Vec<Case>, _> = serde_saphyr::from_str(&text);
    let mut cases = cases.unwrap_or_else(|error| panic!("{name}: {error}"));
    for (case, number) in cases.iter_mut().zip(1..) {
        case.place = format!("{name}, case {number} ({})", case.rule);
        for (step, number) in case.steps.iter().zip(1..) {
            let nonsense = match step {
                Step::Change(change) => change.nonsense(),
                Step::Call(call) if call.result.is_some() == call.error.is_some() => Some("a result or an error"),
                Step::Query(_) if !case.needs.contains(&Need::Queries) => Some("a query `needs: [queries]`"),
                Step::Invoke(_) if !case.needs.contains(&Need::Actions) => Some("an action `needs: [actions]`"),
                Step::Call(_) | Step::Query(_) | Step::Invoke(_) => None,
            };
            if let Some(nonsense) = nonsense {
                panic!("{}, step {number}: {nonsense}", case.place);
            }
        }
    }
    cases
}

impl Case {
    /// The names under which the objects of this case are in the world.
    fn objects(&self) -> BTreeSet<String> {
        let changes = self.steps.iter().filter_map(|step| match step {
            Step::Change(change) => Some(change),
            _ => None,
        });
        let blocks = changes.flat_map(|change| [&change.config, &change.ephemeral]).flatten();
        let named = blocks.flat_map(|(kind, blocks)| {
            blocks.values().filter_map(move |block| Some(format!("{kind}.{}", block.get("name")?.as_str()?)))
        });
        named.collect()
    }
}
