//! A model that a Job trains and pods serve, as it is declared on one machine.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use falaj_api::{
    Call,
    client::Client,
    local::{CA_FILE, CERT_FILE, KEY_FILE},
    monitor::RunMonitor,
};
use falaj_tests::{Core, Project, built, kubernetes::Node};
use serde_json::Value;

use crate::{
    cluster::{KEY_FILE as ROOT_KEY, with_key},
    image::image,
};

const SPACE: &str = "served";

/// The platform of the other tests, on Kubernetes.
fn project(core: Core, node: &'static Node) -> Project {
    let text = include_str!("../platform.tf");
    let local = "kms_key = { uri = \"file://${var.key_file}\", region = \"onprem:ae-du:dubai-1\" }\n  local   = {}";
    assert!(text.contains(local), "the platform is declared otherwise");
    let kubernetes = format!(
        "kms_key = {ROOT_KEY}\n  kubernetes = {{ image = \"{}\", namespace = \"{SPACE}\", key_secret = \"root-key\" }}",
        image(node)
    );
    let mut project = Project::new(
        core,
        &text.replace(local, &kubernetes).replace(
            "capture      = { sampling_percent = 100 }",
            "capture      = { sampling_percent = 100 }\n  replicas     = 2",
        ),
    );
    project.on(node);
    project
}

/// A Secret's files, beside the configuration.
fn certificate(node: &Node, project: &Project, secret: &str, files: [&str; 3]) {
    let (namespace, name) = secret.split_once('/').unwrap();
    let secret = node.get(&["secret", name, "--namespace", namespace]);
    for file in files {
        let mut decode = Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let data = secret["data"][file].as_str().unwrap();
        std::io::Write::write_all(&mut decode.stdin.take().unwrap(), data.as_bytes()).unwrap();
        std::fs::write(project.path(file), decode.wait_with_output().unwrap().stdout).unwrap();
    }
}

/// Sends the first rows of the sample, from where the endpoint is reached; how
/// many requests there were, and how many were not answered.
fn replay(node: &Node, project: &Project, url: &str, rows: usize) -> (u64, u64) {
    let mut command = node.command(built("falaj"));
    command
        .args(["replay", "--url", url, "--model", "employed", "--connections", "4", "--limit", &rows.to_string()])
        .args(["--map", "age=AGEP,schooling=SCHL,marital_status=MAR", "--parquet"])
        .arg(falaj_tests::repository().join("examples/quickstart/data/people.parquet"))
        .arg("--ca")
        .arg(project.path("ca.crt"))
        .arg("--cert")
        .arg(project.path("tls.crt"))
        .arg("--key")
        .arg(project.path("tls.key"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (report["requests"].as_u64().unwrap(), report["errors"].as_u64().unwrap())
}

/// Makes a call with the platform's certificate.
fn control_plane<C: Call + Sync>(node: &Node, project: &Project, call: &C) -> C::Response
where
    C::Response: Send,
{
    certificate(node, project, &format!("{SPACE}/retail-admin"), [CA_FILE, CERT_FILE, KEY_FILE]);
    let service = node.get(&["service", "falaj-server", "--namespace", SPACE]);
    let url = format!("https://{}:4443", service["spec"]["clusterIP"].as_str().unwrap());
    let [ca, cert, key] = [CA_FILE, CERT_FILE, KEY_FILE].map(|name| project.path(name));
    node.inside(|| {
        let client = Client::new(&url, &ca, &cert, &key).unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(client.call(call)).unwrap()
    })
}

fn pods(node: &Node, component: &str) -> Vec<Value> {
    let selector = format!("app.kubernetes.io/component={component}");
    node.get(&["pods", "--namespace", SPACE, "--selector", &selector])["items"].as_array().unwrap().clone()
}

#[test]
fn a_job_trains_what_pods_serve_and_nothing_is_lost_when_they_are_replaced() {
    let Some(node) = Node::start() else { return };
    with_key(node, SPACE);
    let project = project(Core::OpenTofu, node);
    project.apply();
    project.assert_plan_is_empty();
    assert_eq!(project.output("version"), 1);

    let endpoint = project.output("endpoint");
    let url = endpoint["url"].as_str().unwrap().to_owned();
    certificate(node, &project, endpoint["client_secret"].as_str().unwrap(), ["ca.crt", "tls.crt", "tls.key"]);
    assert_eq!(endpoint["client_key_file"], Value::Null, "there is no such file on this machine");
    assert_eq!(pods(node, "serving").len(), 2);

    assert_eq!(replay(node, &project, &url, 500), (500, 0));

    // The control plane is away: predictions are answered, and captured.
    node.kubectl(&["scale", "statefulset", "falaj-server", "--replicas=0", "--namespace", SPACE]);
    node.wait_for("the end of the control plane", || {
        !node.try_kubectl(&["get", "pod", "falaj-server-0", "--namespace", SPACE]).status.success()
    });
    assert_eq!(replay(node, &project, &url, 500), (500, 0));
    project.apply();
    project.assert_plan_is_empty();

    // Every pod is replaced while requests go on.
    let names = || -> Vec<Value> { pods(node, "serving").iter().map(|pod| pod["metadata"]["name"].clone()).collect() };
    let uid = pods(node, "serving")[0]["metadata"]["labels"]["falaj.dev/endpoint-uid"].as_str().unwrap().to_owned();
    let selector = format!("falaj.dev/endpoint-uid={uid}");
    let before = names();
    let replaced = AtomicBool::new(false);
    let (requests, errors) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut requests, mut errors) = (0, 0);
            while !replaced.load(Relaxed) {
                let seen = replay(node, &project, &url, 2_000);
                (requests, errors) = (requests + seen.0, errors + seen.1);
            }
            (requests, errors)
        });
        let rollout = |arguments: &[&str]| {
            node.kubectl(
                &[&["rollout"], arguments, &["deployment", "--selector", &selector, "--namespace", SPACE]].concat(),
            );
        };
        rollout(&["restart"]);
        rollout(&["status", "--timeout=120s"]);
        node.wait_for("the end of the pods of before", || before.iter().all(|name| !names().contains(name)));
        replaced.store(true, Relaxed);
        load.join().unwrap()
    });
    assert_eq!(errors, 0, "of {requests} requests");

    // What the pods captured, those that are gone too, is what the monitor sees.
    let monitor = RunMonitor { workspace: "people".into(), monitor: "employed".into(), from: None };
    let report = control_plane(node, &project, &monitor);
    assert!(report.rows_current >= 1_000 + requests, "{} of {requests}: {}", report.rows_current, report.summary);

    project.destroy();
    node.kubectl(&["delete", "namespace", SPACE]);
}
