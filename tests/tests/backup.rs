//! What `docs/guides/one-machine.md` says of backups holds: a stopped cluster's
//! directory, packed without its programs and logs, brings it back.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use falaj_api::{audit::VerifyAudit, model::ListModelVersions};
use falaj_tests::{Core, Project, interrupt};
use serde_json::{Value, json};

const PLATFORM: &str = include_str!("platform.tf");

fn predict(project: &Project) -> Value {
    let input = |name: &str, datatype: &str, value: Value| json!({ "name": name, "datatype": datatype, "shape": [1, 1], "data": [value] });
    let inputs = json!([
        input("age", "INT64", json!(40)),
        input("schooling", "INT64", json!(20)),
        input("marital_status", "BYTES", json!("1")),
    ]);
    project.post("endpoint", "/v2/models/employed/infer", &json!({ "inputs": inputs }))["outputs"].take()
}

fn tar(arguments: &[&str]) {
    let output = Command::new("tar").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_cluster_comes_back_from_its_packed_directory() {
    let project = Project::new(Core::Terraform, PLATFORM);
    project.apply();
    let before = predict(&project);
    interrupt(project.running().pid);
    let since = Instant::now();
    while !project.processes().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(30), "the server does not stop");
        std::thread::sleep(Duration::from_millis(50));
    }

    let (data, backup) = (project.path("data"), project.path("retail.tar.gz"));
    let (data, backup) = (data.to_str().unwrap(), backup.to_str().unwrap());
    tar(&["-czf", backup, "--exclude=./retail/bin", "--exclude=./retail/logs", "-C", data, "./retail"]);
    fs::remove_dir_all(project.cluster_dir()).unwrap();
    assert!(project.clusters().is_empty());
    tar(&["-xzf", backup, "-C", data]);

    project.assert_plan_is_empty();
    assert_eq!(predict(&project), before, "the same model at the same address");
    let versions = project.call(&ListModelVersions { workspace: "people".into(), model: "employed".into() }).unwrap();
    assert_eq!(versions.len(), 1, "nothing was trained again");
    for chain in project.call(&VerifyAudit {}).unwrap() {
        assert_eq!(chain.first_bad, None);
    }
    project.destroy();
    assert!(project.clusters().is_empty());
}
