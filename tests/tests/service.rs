//! `local.service = "systemd"`: the server is killed and started again by its
//! service, and predicts without Terraform. The systemd is a real one, booted
//! for the test by `tests/systemd/machine`, and the test runs beside it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use falaj_tests::{Core, Project, kill, repository, tool};
use serde_json::{Value, json};

const PLATFORM: &str = include_str!("platform.tf");
const INSIDE: &str = "FALAJ_TEST_MACHINE";
/// Not below /tmp, which a unit has to itself.
const TEMPORARY: &str = "/run/falaj-tests";

/// Whose systemd keeps the server.
#[derive(Clone, Copy, PartialEq)]
enum Owner {
    System,
    User,
}

/// Runs a test again beside a systemd of its own. True where that is the case;
/// elsewhere the test is over when this returns.
fn beside_systemd(owner: Owner, test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        fs::create_dir_all(TEMPORARY).unwrap();
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        return true;
    }
    // Nothing can be installed there.
    let _ = tool("onnxruntime");
    let systemd = repository().join("tests/systemd");
    let mut machine = Command::new(systemd.join("machine"));
    if owner == Owner::User {
        machine.arg(systemd.join("user"));
    }
    let output = machine
        .args(["env", &format!("{INSIDE}=1"), &format!("TMPDIR={TEMPORARY}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match output.status.code() {
        Some(0) => assert!(said.contains("1 passed"), "the test did not run in the machine:\n{said}"),
        // Past the capture of a passing test's output: nobody shall take it for proven.
        Some(125) => {
            assert!(std::env::var_os("CI").is_none(), "CI must be able to boot a systemd:\n{said}");
            let skipped = format!("SKIPPED {test}: {}\n", said.trim());
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
        }
        _ => panic!("in the machine:\n{said}"),
    }
    false
}

fn with_service(service: &str) -> String {
    PLATFORM.replace("local   = {}", &format!("local   = {{ service = {service:?} }}"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where the units of whoever runs this are.
fn units() -> PathBuf {
    let user = || Path::new(&std::env::var_os("HOME").unwrap()).join(".config/systemd/user");
    if is_root() { "/etc/systemd/system".into() } else { user() }
}

fn unit() -> PathBuf {
    units().join("falaj-retail.service")
}

fn systemctl(arguments: &[&str]) -> String {
    let output = Command::new("systemctl").args((!is_root()).then_some("--user")).args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Asks an endpoint as its own application, from its output alone.
fn ask(endpoint: &Value) -> Result<Value, String> {
    let file = |name: &str| fs::read(endpoint[name].as_str().unwrap()).map_err(|error| error.to_string());
    let identity = [file("client_cert_file")?, file("client_key_file")?].concat();
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&file("ca_file")?).unwrap()])
        .identity(reqwest::Identity::from_pem(&identity).unwrap())
        .timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let input = |name: &str, datatype: &str, value: Value| json!({ "name": name, "datatype": datatype, "shape": [1, 1], "data": [value] });
    let body = json!({ "inputs": [
        input("age", "INT64", json!(40)),
        input("schooling", "INT64", json!(20)),
        input("marital_status", "BYTES", json!("1")),
    ]});
    let request = client.post(format!("{}/v2/models/employed/infer", endpoint["url"].as_str().unwrap())).json(&body);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("{status}: {text}"));
        }
        let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        Ok(answer["outputs"].take())
    })
}

fn wait_for_answer(endpoint: &Value) -> Value {
    let since = Instant::now();
    loop {
        match ask(endpoint) {
            Ok(outputs) => return outputs,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(60), "no answer: {error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn main_pid() -> u32 {
    systemctl(&["show", "--property=MainPID", "--value", "falaj-retail"]).parse().unwrap()
}

#[test]
fn a_killed_server_is_started_again_by_its_service_and_predicts_without_terraform() {
    if beside_systemd(Owner::System, "a_killed_server_is_started_again_by_its_service_and_predicts_without_terraform") {
        killed_and_started_again();
    }
}

#[test]
fn a_users_own_systemd_starts_a_killed_server_again() {
    if beside_systemd(Owner::User, "a_users_own_systemd_starts_a_killed_server_again") {
        assert!(!is_root());
        killed_and_started_again();
    }
}

/// Processes that run from the data directory, by their command lines: what
/// else `/proc` has of them is closed to an ordinary user.
fn processes(project: &Project) -> Vec<u32> {
    let data = project.path("data").canonicalize().unwrap().into_os_string().into_encoded_bytes();
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let ours = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(&data));
    pids.filter(ours).collect()
}

/// What the unit takes from the server is really taken from it.
fn assert_confined(pid: u32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    assert_eq!(line("NoNewPrivs:"), "1");
    if is_root() {
        // CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
        assert_eq!(u64::from_str_radix(&line("CapBnd:"), 16).unwrap(), 0b110, "{status}");
        let own = fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
        assert_ne!(own, fs::read_link("/proc/self/ns/mnt").unwrap(), "it sees files of its own");
    }
}

fn killed_and_started_again() {
    let project = Project::new(Core::Terraform, &with_service("systemd"));
    let said = project.succeed(&["plan", "-no-color"]);
    assert_eq!(said.contains("loginctl enable-linger"), !is_root(), "a user's services end at logout: {said}");
    project.apply();
    assert_eq!(systemctl(&["is-active", "falaj-retail"]), "active");
    assert_eq!(systemctl(&["is-enabled", "falaj-retail"]), "enabled", "it starts with the machine");
    assert_eq!(main_pid(), project.running().pid, "the server is the unit's");
    assert_confined(main_pid());
    project.assert_plan_is_empty();

    let endpoint = project.output("endpoint");
    let before = wait_for_answer(&endpoint);
    for round in 0..2 {
        let killed = processes(&project);
        assert!(killed.len() >= 2, "the server and a process that serves: {killed:?}");
        killed.iter().copied().for_each(kill);
        assert_eq!(wait_for_answer(&endpoint), before, "round {round}");
        assert!(!killed.contains(&main_pid()), "systemd started another");
    }
    // The server alone: what serves is replaced without Terraform too.
    project.kill_server();
    let since = Instant::now();
    while main_pid() == 0 || processes(&project).len() < 2 {
        assert!(since.elapsed() < Duration::from_secs(60), "it is not started again");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(wait_for_answer(&endpoint), before);
    let restarts: u32 = systemctl(&["show", "--property=NRestarts", "--value", "falaj-retail"]).parse().unwrap();
    assert!(restarts >= 3, "systemd counts {restarts}");
    project.assert_plan_is_empty();

    // Stopped by its operator, it is started through the unit, never beside it.
    systemctl(&["stop", "falaj-retail"]);
    assert_eq!(processes(&project), Vec::<u32>::new());
    project.assert_plan_is_empty();
    assert_eq!(main_pid(), project.running().pid);
    assert_eq!(wait_for_answer(&endpoint), before);

    project.destroy();
    assert_eq!(processes(&project), Vec::<u32>::new());
    assert!(!unit().exists(), "no unit is left");
    assert_eq!(systemctl(&["is-enabled", "falaj-retail"]), "");
    let wanted = units().join(if is_root() { "multi-user.target.wants" } else { "default.target.wants" });
    assert!(fs::read_dir(wanted).map_or(true, |mut links| links.next().is_none()), "nor a link to it");
}

#[test]
fn a_server_is_handed_to_its_service_and_back_in_place() {
    if !beside_systemd(Owner::System, "a_server_is_handed_to_its_service_and_back_in_place") {
        return;
    }
    let project = Project::new(Core::Terraform, &with_service("none"));
    project.apply();
    let endpoint = project.output("endpoint");
    let before = wait_for_answer(&endpoint);
    let unkept = project.running().pid;
    assert!(!unit().exists());

    project.write("main.tf", &with_service("systemd"));
    let plan = project.plan();
    assert_eq!(plan.actions("falaj_cluster.this"), ["update"], "in place");
    project.apply();
    assert_eq!(main_pid(), project.running().pid);
    assert!(!Path::new(&format!("/proc/{unkept}")).exists(), "the one without a service is gone");
    project.assert_plan_is_empty();
    assert_eq!(wait_for_answer(&endpoint), before, "at the same address");

    // The unit starts the runtime that the provider brings.
    systemctl(&["stop", "falaj-retail"]);
    let newer = project.path("falaj");
    fs::copy(falaj_tests::built("falaj"), &newer).unwrap();
    fs::OpenOptions::new().append(true).open(&newer).unwrap().write_all(b"newer").unwrap();
    let old = fs::read_to_string(unit()).unwrap();
    let plan = project.command(&["plan", "-detailed-exitcode", "-no-color"]).env("FALAJ_RUNTIME", newer).output();
    assert_eq!(plan.unwrap().status.code(), Some(0), "there is nothing to change");
    assert_ne!(fs::read_to_string(unit()).unwrap(), old);
    let exe = fs::read_link(format!("/proc/{}/exe", main_pid())).unwrap();
    assert!(fs::read(exe).unwrap().ends_with(b"newer"));
    assert_eq!(wait_for_answer(&endpoint), before);

    // Somebody takes the unit away: the next plan says so, the next apply mends it.
    systemctl(&["disable", "--now", "falaj-retail"]);
    fs::remove_file(unit()).unwrap();
    systemctl(&["daemon-reload"]);
    assert_eq!(project.plan().actions("falaj_cluster.this"), ["update"]);
    project.apply();
    assert_eq!(main_pid(), project.running().pid);

    project.write("main.tf", &with_service("none"));
    project.apply();
    assert!(!unit().exists());
    assert_eq!(wait_for_answer(&endpoint), before);
    project.assert_plan_is_empty();

    // A server that does not come up under systemd is not left to it.
    project.write("main.tf", &with_service("systemd"));
    fs::rename(project.path("key"), project.path("away")).unwrap();
    let said = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("falaj-retail.service") && said.contains("key"), "it says what the server said: {said}");
    assert!(!unit().exists());
    assert_eq!(project.processes(), Vec::<u32>::new());
    fs::rename(project.path("away"), project.path("key")).unwrap();
    project.apply();
    assert_eq!(main_pid(), project.running().pid);
    assert_eq!(wait_for_answer(&endpoint), before);
    project.destroy();
    assert_eq!(project.processes(), Vec::<u32>::new());
    assert!(!unit().exists());

    // Nobody's unit is written over.
    fs::write(unit(), "[Service]\nExecStart=/bin/true\n").unwrap();
    let said = project.fail(&["plan", "-no-color"]);
    assert!(said.contains("is taken") && said.contains("another name"), "{said}");
}

#[test]
fn without_systemd_the_plan_says_what_would_be_right() {
    let project = Project::new(Core::Terraform, &with_service("systemd"));
    let mut command = project.command(&["plan", "-no-color"]);
    // Where this machine has a systemd, it is out of sight.
    let output = command.env("PATH", hidden_systemctl(&project)).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).replace(['│', '╷', '╵'], " ");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in ["No systemd can keep this cluster running", "has no systemctl", "service = \"none\"", "main.tf line"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(project.clusters().is_empty(), "nothing was made");
}

/// A search path with Terraform alone in it.
fn hidden_systemctl(project: &Project) -> std::path::PathBuf {
    let found = Command::new("sh").args(["-c", "command -v terraform"]).output().unwrap();
    let folder = project.path("path");
    fs::create_dir(&folder).unwrap();
    let terraform = String::from_utf8(found.stdout).unwrap();
    std::os::unix::fs::symlink(terraform.trim(), folder.join("terraform")).unwrap();
    folder
}
