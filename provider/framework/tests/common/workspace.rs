//! A workspace of a real core, with the example provider.

#![allow(dead_code)] // No test file uses all of it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::common;

/// A configuration of its own, with its state, notes and link to the provider.
pub struct Workspace {
    pub root: TempDir,
    core: String,
}

impl Workspace {
    /// For the core under test.
    pub fn new(resources: &str) -> Self {
        Self::under(core(), resources)
    }

    /// For another core.
    pub fn under(core: String, resources: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path();
        for directory in ["bin", "notes", "work"] {
            fs::create_dir(path.join(directory)).expect("a directory");
        }
        std::os::unix::fs::symlink(common::provider(), path.join("bin/terraform-provider-note")).expect("a link");
        let overrides = path.join("bin");
        fs::write(
            path.join("terraform.rc"),
            format!(
                "provider_installation {{\n dev_overrides {{ \"example/note\" = {overrides:?} }}\n direct {{}}\n}}\n"
            ),
        )
        .expect("the CLI configuration");
        let workspace = Self { root, core };
        workspace.write(resources);
        workspace
    }

    pub fn write(&self, resources: &str) {
        let notes = self.root.path().join("notes");
        let head = format!(
            "terraform {{\n required_providers {{\n  note = {{ source = \"example/note\" }}\n }}\n}}\n\
             provider \"note\" {{\n directory = {notes:?}\n}}\n"
        );
        fs::write(self.root.path().join("work/main.tf"), head + resources).expect("the configuration");
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.core);
        command
            .args(arguments)
            .current_dir(self.root.path().join("work"))
            .env("TF_CLI_CONFIG_FILE", self.root.path().join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("terraform is on the PATH")
    }

    /// Runs and must succeed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "terraform {arguments:?}: {}", text(&output));
        text(&output)
    }

    /// Runs and must fail.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "terraform {arguments:?} succeeded: {}", text(&output));
        text(&output)
    }

    pub fn apply(&self) -> String {
        self.ok(&["apply", "-auto-approve", "-no-color"])
    }

    /// What the plan would do, as `(address, actions)`.
    pub fn planned(&self) -> Vec<(String, String)> {
        self.ok(&["plan", "-no-color", "-out=plan"]);
        let shown: Json = serde_json::from_str(&self.ok(&["show", "-json", "plan"])).expect("a plan as JSON");
        let changes = shown["resource_changes"].as_array().cloned().unwrap_or_default();
        let one = |change: &Json| {
            let actions = change["change"]["actions"].as_array().cloned().unwrap_or_default();
            let actions: Vec<_> = actions.iter().filter_map(Json::as_str).collect();
            (change["address"].as_str().unwrap_or_default().to_owned(), actions.join("+"))
        };
        changes.iter().map(one).filter(|(_, actions)| actions != "no-op").collect()
    }

    /// The saved instance of a note.
    pub fn saved(&self, name: &str) -> Json {
        let bytes = fs::read(self.root.path().join("work/terraform.tfstate")).expect("a state");
        let state: Json = serde_json::from_slice(&bytes).expect("state as JSON");
        let resources = state["resources"].as_array().cloned().unwrap_or_default();
        let found = resources.into_iter().find(|resource| resource["name"] == name);
        found.map(|resource| resource["instances"][0].clone()).unwrap_or_default()
    }

    pub fn note(&self, title: &str) -> PathBuf {
        self.root.path().join("notes").join(title).with_extension("json")
    }

    /// Processes that run this workspace's provider.
    pub fn providers(&self) -> usize {
        let binary = self.root.path().join("bin").to_string_lossy().into_owned();
        let processes = fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
        processes
            .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
            .filter(|line| String::from_utf8_lossy(line).starts_with(&binary))
            .count()
    }
}

pub use crate::common::core;

/// A core that has what Terraform has since `needed`: the one under test, else
/// the newest that `tests/tools/install terraform-1.15` put in place.
pub fn core_since(needed: (u32, u32)) -> Option<String> {
    let tofu = core().ends_with("tofu");
    if release() >= needed && !tofu {
        return Some(core());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/path");
    let found = Command::new(path).arg("terraform-1.15").output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&found.stdout).trim().to_owned())
}

/// The core's release as `(major, minor)`.
pub fn release() -> (u32, u32) {
    // Told of a missing configuration, a tofu would say so on standard output.
    let output = Command::new(core()).args(["version", "-json"]).env("TF_CLI_CONFIG_FILE", "/dev/null").output();
    let output = output.expect("a core");
    let version: Json = serde_json::from_slice(&output.stdout).expect("a version");
    let version = version["terraform_version"].as_str().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map_while(|number| number.parse().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn start(workspace: &Workspace, arguments: &[&str]) -> Child {
    let mut command = workspace.command(arguments);
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("terraform is on the PATH")
}

pub fn signal(name: &str, group: u32) {
    let sent = Command::new("kill").args([format!("-{name}"), "--".into(), format!("-{group}")]).status();
    assert!(sent.expect("kill runs").success());
}
