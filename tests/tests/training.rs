//! Training as a user of the core sees it: runs that fail, gates that do not
//! pass, applies that are interrupted, and features from several stores.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use falaj_api::model::GetModelVersion;
use falaj_tests::{Core, Project, interrupt};

const PLATFORM: &str = include_str!("platform.tf");

#[test]
fn a_failed_update_says_why_keeps_the_difference_and_is_repaired_by_the_next() {
    let project = Project::new(Core::Terraform, PLATFORM);
    project.apply();
    project.edit("    seed      = 7\n", "    seed      = 7\n    window    = { last = \"1d\" }\n");
    let said = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("its event times run from 2015"), "the reason is the runtime's: {said}");
    assert_eq!(project.plan().actions("falaj_model.employed"), ["update"], "the difference stays");
    assert_eq!(project.output("version"), 1, "what was trained before is still declared to be served");
    project.edit("{ last = \"1d\" }", "{ from = \"2015-01-01T00:00:00Z\", until = \"2016-01-01T00:00:00Z\" }");
    project.apply();
    project.assert_plan_is_empty();
    assert_eq!(project.output("version"), 2);
    project.destroy();
}

#[test]
fn a_gate_that_does_not_pass_deletes_nothing_and_says_what_is_missing() {
    let project = Project::new(Core::OpenTofu, PLATFORM);
    project.edit("min = 0.5", "min = 0.999");
    let said = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("champion") && said.contains("gates"), "the endpoint says that the alias is not set: {said}");
    let candidate =
        GetModelVersion { workspace: "people".into(), model: "employed".into(), version: "candidate".into() };
    let version = project.call(&candidate).unwrap();
    assert!(
        version.gates.iter().any(|gate| !gate.passed && gate.reason.contains("under 0.999")),
        "{:?}",
        version.gates
    );
    // The version is there: the endpoint may follow it by another name.
    project.edit("alias = \"champion\", weight", "alias = \"candidate\", weight");
    project.apply();
    project.assert_plan_is_empty();
    project.destroy();
}

#[test]
fn an_interrupted_apply_leaves_nothing_tainted_and_the_next_one_finishes_it() {
    let project = Project::new(Core::Terraform, PLATFORM);
    // Long enough to be interrupted.
    project.edit("logistic  = { l2 = 0.0001 }", "mlp = { hidden_layers = [64, 64], epochs = 400, batch_size = 64 }");
    let mut command = project.command(&["apply", "-auto-approve", "-no-color"]);
    let apply = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while !project.clusters().iter().any(|cluster| cluster.join("logs/train.log").exists()) {
        assert!(since.elapsed() < Duration::from_secs(60), "training does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    interrupt(apply.id());
    let output = apply.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(60), "the apply did not stop when asked");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("Apply complete"), "{said}");
    // The declaration that was interrupted is replaced by one that trains in a moment.
    project.edit("mlp = { hidden_layers = [64, 64], epochs = 400, batch_size = 64 }", "logistic  = { l2 = 0.0001 }");
    let actions = project.plan().actions("falaj_model.employed");
    assert!(actions == ["update"] || actions == ["create"], "it is not replaced: {actions:?}");
    project.apply();
    project.assert_plan_is_empty();
    project.destroy();
}

#[test]
fn features_of_another_store_are_joined_as_they_were_known_at_the_time() {
    let project = Project::new(Core::Terraform, &two_stores());
    // The label is what the other store said last before the observation, as it
    // was known then; corrections that came later say the opposite.
    let mut observations = "id,at,noise,label\n".to_owned();
    let mut scores = "id,at,known,score\n".to_owned();
    for person in 0..300 {
        let truth = person % 2;
        let day = |number: i32| format!("2026-02-{number:02}T00:00:00Z");
        observations += &format!("p{person},{},{},{truth}\n", day(15), person % 7);
        scores += &format!("p{person},{},{},{}\n", day(1), day(1), 1 - truth);
        scores += &format!("p{person},{},{},{truth}\n", day(10), day(11));
        scores += &format!("p{person},{},{},{}\n", day(10), day(20), 1 - truth);
        scores += &format!("p{person},{},{},{}\n", day(16), day(16), 1 - truth);
    }
    project.write("observations.csv", &observations);
    project.write("scores.csv", &scores);
    project.apply();
    let metrics = project.output("metrics");
    assert_eq!(
        metrics["auc"], 1.0,
        "a join that looked ahead, or took a correction, would have the opposite: {metrics}"
    );
    project.destroy();
}

#[test]
fn a_pool_of_devices_that_are_not_there_is_refused_with_what_is_there() {
    let project = Project::new(Core::Terraform, PLATFORM);
    let pool = r#"
resource "falaj_gpu_node_pool" "training" {
  cluster_id  = falaj_cluster.this.id
  name        = "training"
  accelerator = { product = "NVIDIA imaginary", count_per_node = 1 }
}
"#;
    project.write("pool.tf", pool);
    let said = project.fail(&["apply", "-auto-approve", "-no-color", "-target=falaj_gpu_node_pool.training"]);
    assert!(said.contains("NVIDIA imaginary") && said.contains("this machine has"), "{said}");
    project.destroy();
}

fn two_stores() -> String {
    r#"
terraform {
  required_providers { falaj = { source = "falaj/falaj" } }
}
variable "key_file" { type = string }
variable "data" { type = string }
provider "falaj" {
  residency = { jurisdiction = "AE", allowed_regions = ["onprem:ae-du:dubai-1"] }
}
resource "falaj_cluster" "this" {
  name    = "retail"
  region  = "onprem:ae-du:dubai-1"
  kms_key = { uri = "file://${var.key_file}", region = "onprem:ae-du:dubai-1" }
  local   = {}
}
resource "falaj_workspace" "people" {
  cluster_id  = falaj_cluster.this.id
  name        = "people"
  environment = "development"
}
resource "falaj_feature_store" "observations" {
  workspace_id = falaj_workspace.people.id
  name         = "observations"
  entity       = { name = "id", type = "string" }
  source       = { csv = { path = "observations.csv", event_time = "at" } }
  features     = { noise = { type = "float64" } }
}
resource "falaj_feature_store" "scores" {
  workspace_id = falaj_workspace.people.id
  name         = "scores"
  entity       = { name = "id", type = "string" }
  source       = { csv = { path = "scores.csv", event_time = "at", created_time = "known" } }
  features     = { score = { type = "float64" } }
  online       = { ttl = "30d" }
}
resource "falaj_model" "likes" {
  workspace_id = falaj_workspace.people.id
  name         = "likes"
  training = {
    features = {
      own   = { feature_store_id = falaj_feature_store.observations.id, names = ["noise"] }
      other = { feature_store_id = falaj_feature_store.scores.id, names = ["score"] }
    }
    label      = { column = "label", feature_store_id = falaj_feature_store.observations.id }
    logistic   = {}
    evaluation = { split = "random", holdout_percent = 30 }
    seed       = 7
  }
}
output "metrics" { value = falaj_model.likes.metrics }
"#
    .to_owned()
}
