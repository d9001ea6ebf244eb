//! `docs/guides/write-a-provider.md`: its code is the code of the example, which lives
//! under real cores against a real HTTP server, and its commands run.

#![cfg(unix)]

#[path = "../examples/terraform-provider-queues/broker.rs"]
mod broker;
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use broker::Broker;
use serde_json::Value as Json;
use tempfile::TempDir;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn guide() -> String {
    fs::read_to_string(repository().join("docs/guides/write-a-provider.md")).expect("the guide")
}

fn source(file: &str) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/terraform-provider-queues");
    fs::read_to_string(examples.join(file)).expect("the example")
}

/// The blocks of code in a language.
fn blocks(guide: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    guide.split(&opening).skip(1).filter_map(|rest| Some(format!("{}\n", rest.split_once("\n```")?.0))).collect()
}

#[test]
fn the_code_of_the_guide_is_the_code_of_the_example() {
    let blocks = blocks(&guide(), "rust");
    let files: Vec<String> = ["main.rs", "client.rs", "queue.rs", "tests.rs"].map(source).to_vec();
    for block in &blocks {
        assert!(files.iter().any(|file| file.contains(block.as_str())), "no passage of the example:\n{block}");
    }
    // The resource is shown as a whole, but for what it uses.
    let shown = blocks.concat();
    let resource = source("queue.rs");
    for line in resource.lines().skip_while(|line| !line.starts_with("///")) {
        assert!(shown.contains(line) || line == "pub struct Queue;", "the guide lacks: {line}");
    }
    let lines = resource.lines().count();
    assert!(lines < 120 && guide().contains(&format!("is {lines} lines")), "{lines} lines");
}

/// A directory with a configuration of one queue, the provider, and a broker.
struct World {
    root: TempDir,
    core: String,
    broker: Broker,
    endpoint: String,
    _runtime: tokio::runtime::Runtime,
}

const ORDERS: &str =
    "name = \"orders\"\n labels = { team = \"shop\" }\n password_wo = \"rabbit\"\n password_wo_version = 1\n";

impl World {
    fn new(core: &str) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (broker, endpoint) = runtime.block_on(Broker::start(0));
        let root = tempfile::tempdir().expect("a temporary directory");
        let provider = common::example("terraform-provider-queues");
        std::os::unix::fs::symlink(provider, root.path().join("terraform-provider-queues")).expect("a link");
        let overrides = format!(
            "provider_installation {{\n dev_overrides {{ \"example/queues\" = {:?} }}\n direct {{}}\n}}\n",
            root.path()
        );
        fs::write(root.path().join("dev.tfrc"), overrides).expect("the CLI configuration");
        Self { root, core: core.to_owned(), broker, endpoint, _runtime: runtime }
    }

    fn write(&self, queue: &str) {
        let text = format!(
            "terraform {{\n required_providers {{\n queues = {{ source = \"example/queues\" }}\n }}\n}}\n\
             provider \"queues\" {{\n endpoint = {:?}\n token = \"swordfish\"\n}}\n\
             resource \"queues_queue\" \"it\" {{\n {queue}}}\n",
            self.endpoint
        );
        fs::write(self.root.path().join("main.tf"), text).expect("the configuration");
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.core)
            .args(arguments)
            .arg("-no-color")
            .current_dir(self.root.path())
            .env("TF_CLI_CONFIG_FILE", self.root.path().join("dev.tfrc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_LOG")
            .output()
            .expect("the core runs")
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{} {arguments:?}: {}", self.core, text(&output));
        text(&output)
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{} {arguments:?} succeeded: {}", self.core, text(&output));
        text(&output)
    }

    /// Applies; then there is nothing to do.
    fn settle(&self) {
        self.ok(&["apply", "-auto-approve"]);
        self.ok(&["plan", "-detailed-exitcode"]);
    }

    fn stored(&self) -> String {
        fs::read_to_string(self.root.path().join("terraform.tfstate")).expect("a state")
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_queue_lives_under_terraform() {
    a_queue_lives_under(&common::core());
}

#[test]
fn a_queue_lives_under_opentofu() {
    a_queue_lives_under(&common::tool("opentofu"));
}

fn a_queue_lives_under(core: &str) {
    let world = World::new(core);
    world.write(ORDERS);
    world.settle();
    assert_eq!(world.broker.queues()["q-1"]["password"], "rabbit");
    assert!(!world.stored().contains("rabbit"));

    // Another spelling of seven days is no change, and a new label is one of the
    // labels and the revision only.
    world.write(&format!("{ORDERS} retention = \"168h\"\n"));
    world.ok(&["plan", "-detailed-exitcode"]);
    world.write(&ORDERS.replace("shop", "store"));
    let plan = world.ok(&["plan"]);
    assert!(plan.contains("1 to change") && plan.matches("known after apply").count() == 1, "{plan}");
    world.settle();

    // A new password is sent when its version is raised.
    let raised = ORDERS.replace("rabbit", "hare").replace("version = 1", "version = 2");
    world.write(&raised);
    world.settle();
    assert_eq!(world.broker.queues()["q-1"]["password"], "hare");

    // What the broker refuses is told at the attribute.
    world.write(&format!("{raised} max_messages = 5\n"));
    let said = world.fails(&["apply", "-auto-approve"]);
    assert!(said.contains("It holds ten messages already") && said.contains("max_messages = 5"), "{said}");

    // What somebody deleted is made anew, and another name is another queue.
    world.write(&raised);
    world.broker.queues().clear();
    assert!(world.ok(&["plan"]).contains("1 to add"));
    world.settle();
    world.write(&raised.replace("orders", "wishes"));
    assert!(world.ok(&["plan"]).contains("must be replaced"));
    world.settle();

    // A queue that does not start is kept, and replaced by the next apply.
    world.write("name = \"broken\"\n");
    assert!(world.fails(&["apply", "-auto-approve"]).contains("out of disk"));
    assert!(world.stored().contains("tainted"));
    world.write("name = \"slow\"\n timeouts = { create = \"1s\" }\n");
    assert!(world.fails(&["apply", "-auto-approve"]).contains("did not start in 1s"));
    world.write(ORDERS);
    world.settle();

    // Forgotten and found again.
    world.ok(&["state", "rm", "queues_queue.it"]);
    let id = world.broker.queues().keys().next().cloned().expect("a queue");
    world.ok(&["import", "queues_queue.it", &id]);
    assert!(world.stored().contains("\"name\": \"orders\""));
    world.ok(&["destroy", "-auto-approve"]);
    assert!(world.broker.queues().is_empty());
}

/// On a port and in a directory that nobody else has.
#[test]
fn the_commands_of_the_guide_run() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let root = tempfile::tempdir().expect("a temporary directory");
    let commands = blocks(&guide(), "sh").concat();
    assert!(commands.contains("8700") && commands.contains("/tmp/queues") && commands.contains("-debug"));
    let commands = commands
        .replace("8700", &port.to_string())
        .replace("/tmp/queues", &root.path().to_string_lossy())
        .replace("target/debug", &target().to_string_lossy())
        .replace("$PWD//", "/")
        .replace("amd64", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    let script = format!("set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n{commands}");
    let tools = Path::new(&common::tool("tfplugindocs")).parent().map(Path::to_owned).expect("a directory");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(repository())
        .env("PATH", path)
        .env("CHECKPOINT_DISABLE", "1")
        .env_remove("TF_LOG")
        .output()
        .expect("bash runs");
    assert!(output.status.success(), "{}", text(&output));
    let schema = fs::read(root.path().join("schema.json")).expect("the schema");
    assert!(serde_json::from_slice::<Json>(&schema).is_ok());
    let page = fs::read_to_string(root.path().join("docs/resources/queue.md")).expect("a page");
    assert!(page.contains("How many messages it holds at most. Default: `1000`."), "{page}");
}

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("the target directory").to_owned()
}
