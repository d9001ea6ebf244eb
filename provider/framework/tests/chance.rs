//! Random schemas and configurations under real cores: none calls a plan invalid or
//! a result inconsistent, and after an apply there is nothing to do.
//!
//! `make fuzz` goes on for as long as it is told.

#![cfg(unix)]

mod common;
mod random;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use random::hcl::Writer;
use random::{Random, number, seed_of};
use serde_json::Value as Json;
use tempfile::TempDir;
use tfplugin::Value;
use tfplugin::schema::Attribute;

/// The seed where the environment names none.
const SEED: u64 = 0xfa1a_1000;
/// How many resource types one provider has.
const TYPES: u64 = 100;
/// How many each core is given, where the environment gives no time instead.
const CASES: u64 = 500;

#[test]
fn terraform_rejects_no_plan_and_no_result() {
    run(&common::core());
}

#[test]
fn opentofu_rejects_no_plan_and_no_result() {
    run(&common::tool("opentofu"));
}

fn run(core: &str) {
    if let Some(batch) = number("TFPLUGIN_FUZZ_CASE") {
        return Batch::new(core, batch).live();
    }
    let time = number("TFPLUGIN_FUZZ_SECONDS").map(Duration::from_secs);
    let seed = number("TFPLUGIN_FUZZ_SEED").unwrap_or(SEED);
    // Each core has cases of its own.
    let seed = seed_of(seed, u64::from(core.ends_with("tofu")));
    let begun = Instant::now();
    let mut batches = 0;
    while time.map_or(batches * TYPES < CASES, |time| begun.elapsed() < time) {
        Batch::new(core, seed_of(seed, batches)).live();
        batches += 1;
    }
    println!("{core}: {} cases of seed {seed:#x}", batches * TYPES);
}

/// A resource type, and one object of it as it is configured first and then.
struct Case {
    attributes: Vec<Attribute>,
    configs: [Value; 2],
}

/// A provider of many random types, and a directory to use them in.
struct Batch {
    core: String,
    seed: u64,
    cases: BTreeMap<u64, Case>,
    root: TempDir,
}

impl Batch {
    fn new(core: &str, seed: u64) -> Self {
        let only = number("TFPLUGIN_FUZZ_ONLY");
        let positions = (0..TYPES).filter(|position| only.is_none_or(|only| only == *position));
        let case = |position| {
            let attributes = Random::new(seed_of(seed, position)).schema();
            let mut random = Random::new(seed_of(seed, position + TYPES));
            let first = random.config(&attributes);
            let then = random.changed(&attributes, &first);
            (position, Case { attributes, configs: [first, then] })
        };
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path();
        for directory in ["bin", "work"] {
            fs::create_dir(path.join(directory)).expect("a directory");
        }
        let provider = common::example("terraform-provider-chance");
        std::os::unix::fs::symlink(provider, path.join("bin/terraform-provider-chance")).expect("a link");
        let overrides = format!(
            "provider_installation {{\n dev_overrides {{ \"example/chance\" = {:?} }}\n direct {{}}\n}}\n",
            path.join("bin")
        );
        fs::write(path.join("terraform.rc"), overrides).expect("the CLI configuration");
        Self { core: core.to_owned(), seed, cases: positions.map(case).collect(), root }
    }

    /// The whole life of all objects.
    fn live(&self) {
        for step in 0..2 {
            self.write(step);
            self.run(step, &["apply", "-auto-approve"]);
            self.run(step, &["plan", "-detailed-exitcode"]);
        }
        self.run(1, &["destroy", "-auto-approve"]);
    }

    fn write(&self, step: usize) {
        let mut sources = Vec::new();
        let mut objects = Vec::new();
        for (position, case) in &self.cases {
            let (written, source) = self.written(*position, case, step);
            objects.push(format!("\"chance_t{position}\": {{\"it\": {written}}}"));
            sources.extend(source.map(|source| format!("\"t{position}\": {source}")));
        }
        let text = format!(
            "{{\"terraform\": {{\"required_providers\": {{\"chance\": {{\"source\": \"example/chance\"}}}}}},\n\
             \"resource\": {{\"chance_source\": {{{}}},\n{}}}}}\n",
            sources.join(",\n"),
            objects.join(",\n")
        );
        fs::write(self.root.path().join("work/main.tf.json"), text).expect("the configuration");
    }

    /// An object and the source that it refers to, if it does.
    fn written(&self, position: u64, case: &Case, step: usize) -> (String, Option<String>) {
        let mut random = Random::new(seed_of(self.seed, position + 2 * TYPES));
        let source = format!("chance_source.t{position}");
        let mut writer = Writer::new(&mut random, &source);
        let written = writer.object(&case.attributes, &case.configs[step]);
        let inputs = writer.inputs.join(", ");
        let source = written.contains(&source).then(|| format!("{{\"input\": [{inputs}]}}"));
        (written, source)
    }

    fn run(&self, step: usize, arguments: &[&str]) {
        let output = Command::new(&self.core)
            .args(arguments)
            .args(["-json", "-no-color"])
            .current_dir(self.root.path().join("work"))
            .env("TF_CLI_CONFIG_FILE", self.root.path().join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env("TFPLUGIN_FUZZ_SEED", self.seed.to_string())
            .env("TFPLUGIN_FUZZ_TYPES", TYPES.to_string())
            .env_remove("TF_LOG")
            .output()
            .expect("the core runs");
        if !output.status.success() {
            panic!("{}", self.report(step, arguments, &output));
        }
    }

    /// What the core says of each case, with all that is needed to have it again.
    fn report(&self, step: usize, arguments: &[&str], output: &Output) -> String {
        let mut words: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        let mut other = Vec::new();
        let said = String::from_utf8_lossy(&output.stdout);
        for line in said.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok()) {
            let text = match line["type"].as_str() {
                Some("diagnostic") if line["diagnostic"]["severity"] == "error" => {
                    let diagnostic = &line["diagnostic"];
                    let part = |name: &str| diagnostic[name].as_str().unwrap_or_default().to_owned();
                    format!("{} {}: {}", part("address"), part("summary"), part("detail"))
                }
                Some("planned_change") if arguments.first() == Some(&"plan") => line["@message"].to_string(),
                _ => continue,
            };
            match self.cases.keys().find(|position| text.contains(&format!("chance_t{position}."))) {
                Some(position) => drop(words.entry(*position).or_default().insert(text)),
                None => other.push(text),
            }
        }
        let mut report = format!(
            "{} {} of the {} configuration failed\n",
            self.core,
            arguments.join(" "),
            ["first", "second"][step]
        );
        for (position, said) in words.iter().take(3) {
            let Some(case) = self.cases.get(position) else { continue };
            let (written, source) = self.written(*position, case, step);
            report += &format!(
                "\nTFPLUGIN_FUZZ_CASE={:#x} TFPLUGIN_FUZZ_ONLY={position}\n{}\nschema:\n{}configuration: {written}\nsource: {}\n",
                self.seed,
                said.iter().cloned().collect::<Vec<_>>().join("\n"),
                described(&case.attributes, 1),
                source.unwrap_or_default(),
            );
            if step == 1 {
                report += &format!("configuration before: {}\n", self.written(*position, case, 0).0);
            }
        }
        if words.len() > 3 {
            report += &format!("\nand {} more types\n", words.len() - 3);
        }
        if words.is_empty() {
            report +=
                &format!("TFPLUGIN_FUZZ_CASE={:#x}\n{said}{}", self.seed, String::from_utf8_lossy(&output.stderr));
        }
        report + &other.join("\n")
    }
}

/// A schema in a line for each attribute.
fn described(attributes: &[Attribute], depth: usize) -> String {
    use tfplugin::schema::Kind;
    let mut text = String::new();
    for attribute in attributes {
        let (kind, nested) = match &attribute.kind {
            Kind::Plain(kind) => (kind.to_json().to_string(), String::new()),
            Kind::Nested(nesting, nested) => (format!("{nesting:?}"), described(nested, depth + 1)),
        };
        let mut flags = vec![format!("{:?}", attribute.mode)];
        let mut flag = |set: bool, name: &str| flags.extend(set.then(|| name.to_owned()));
        flag(attribute.replace, "replace");
        flag(attribute.write_only, "write-only");
        flag(attribute.refined.is_not_null(), "not null");
        flag(attribute.same.is_some(), "span");
        flags.extend(attribute.default.as_ref().map(|default| format!("default {default:?}")));
        if attribute.is_computed() {
            flags.push(format!("depends on {:?}", attribute.depends_on));
        }
        text += &format!("{}{}: {kind} {}\n{nested}", "  ".repeat(depth), attribute.name, flags.join(", "));
    }
    text
}
