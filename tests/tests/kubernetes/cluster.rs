//! `falaj_cluster.kubernetes`, from nothing to a control plane that answers, and
//! back to nothing.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use falaj_tests::{Core, Project, kill, kubernetes::Node};

use crate::image::image;

const PLATFORM: &str = r#"
terraform {
  required_providers { falaj = { source = "falaj/falaj" } }
}

provider "falaj" {
  residency = { jurisdiction = "AE", allowed_regions = ["onprem:ae-du:dubai-1", "aws:me-central-1"] }
}

resource "falaj_cluster" "this" {
  name    = "NAME"
  region  = "onprem:ae-du:dubai-1"
  kms_key = KEY
  kubernetes = {
    image = "IMAGE"
    MORE
  }
}

resource "falaj_workspace" "people" {
  cluster_id  = falaj_cluster.this.id
  name        = "people"
  environment = "development"
}

resource "falaj_feature_store" "people" {
  workspace_id = falaj_workspace.people.id
  name         = "people"
  entity       = { name = "person_id", type = "string" }
  source       = { parquet = { path = var.data, event_time = "observed_at", created_time = "loaded_at" } }
  features     = { age = { type = "int64", column = "AGEP" } }
}

variable "data" {}
variable "key_file" {}
"#;

pub(crate) const KEY_FILE: &str = r#"{ uri = "file:///run/falaj/keys/root", region = "onprem:ae-du:dubai-1" }"#;
const CLUSTER: &str = "falaj_cluster.this";

fn project(core: Core, node: &Node, name: &str, key: &str, more: &str) -> Project {
    let text = PLATFORM.replace("NAME", name).replace("KEY", key).replace("IMAGE", image(node)).replace("MORE", more);
    let mut project = Project::new(core, &text);
    project.on(node);
    project
}

/// The namespace that a user made for a cluster, with its key.
pub(crate) fn with_key(node: &Node, namespace: &str) {
    node.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}"));
    key(node, namespace);
}

fn key(node: &Node, namespace: &str) {
    node.apply_in(
        namespace,
        "{apiVersion: v1, kind: Secret, metadata: {name: root-key}, data: {root: BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=}}",
    );
}

fn differences(project: &Project) -> String {
    project.plan().change(CLUSTER)["change"]["before"]["kubernetes"]["differences"].to_string()
}

fn exists(node: &Node, kind: &str, name: &str, namespace: &str) -> bool {
    node.try_kubectl(&["get", kind, name, "--namespace", namespace]).status.success()
}

#[test]
fn a_cluster_lives_on_kubernetes_with_nothing_but_a_kubeconfig() {
    let Some(node) = Node::start() else { return };
    let more = r#"
    key_secret   = "root-key"
    environment  = { FALAJ_LOG = "debug" }
    egress_cidrs = ["172.30.0.1/32"]
    quota        = { "requests.cpu" = "4" }
"#;
    let project = project(Core::Terraform, node, "retail", KEY_FILE, more);
    let space = "falaj-retail";
    std::thread::scope(|scope| {
        // The namespace is the provider's to make; the key is brought once it is there.
        scope.spawn(|| {
            node.wait_for("the namespace", || exists(node, "namespace", space, space));
            key(node, space);
        });
        project.apply();
    });
    project.assert_plan_is_empty();

    // Others' labels, scalers and sidecars are theirs.
    node.kubectl(&["label", "statefulset", "falaj-server", "team=retail", "--namespace", space]);
    node.kubectl(&["annotate", "namespace", space, "contact=retail"]);
    project.assert_plan_is_empty();

    // A change of ours is drift, also where it keeps the runtime from answering.
    node.kubectl(&["scale", "statefulset", "falaj-server", "--replicas=0", "--namespace", space]);
    node.kubectl(&["delete", "networkpolicy", "falaj-default-deny", "--namespace", space]);
    node.wait_for("the end of the pod", || !exists(node, "pod", "falaj-server-0", space));
    let told = differences(&project);
    assert!(told.contains("StatefulSet falaj-server: spec.replicas"), "{told}");
    assert!(told.contains("NetworkPolicy falaj-default-deny: missing"), "{told}");
    assert_eq!(project.plan().actions(CLUSTER), ["update"]);
    project.apply();
    project.assert_plan_is_empty();

    // A pod that is gone comes back without anybody's doing.
    node.kubectl(&["delete", "pod", "falaj-server-0", "--namespace", space, "--grace-period=0", "--force"]);
    project.assert_plan_is_empty();

    // An image that is nowhere is said to be that, and repaired in place.
    let (name, digest) = image(node).split_once("@sha256:").unwrap();
    let (right, wrong) =
        (format!("{name}@sha256:{digest}"), format!("172.30.0.1:5000/falaj@sha256:{}", "0".repeat(64)));
    project.edit(&right, &wrong);
    let said = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("cannot get the image") && said.contains("not found"), "{said}");
    project.edit(&wrong, &right);
    project.apply();
    project.assert_plan_is_empty();

    project.destroy();
    assert!(!exists(node, "namespace", space, space));
    assert!(!exists(node, "clusterrole", "falaj:falaj-retail", space));
    assert!(!exists(node, "clusterrolebinding", "falaj:falaj-retail", space));
    assert!(!project.path("data/retail").exists());
}

#[test]
fn the_namespace_of_a_user_and_what_else_is_in_it_stay() {
    let Some(node) = Node::start() else { return };
    let space = "people-team";
    with_key(node, space);
    let project = project(
        Core::OpenTofu,
        node,
        "people",
        KEY_FILE,
        &format!("namespace = \"{space}\"\n    key_secret = \"root-key\""),
    );
    project.apply();
    project.assert_plan_is_empty();

    // Another run, of another user, says itself how the cluster is reached.
    fs::remove_dir_all(project.path("data/people")).unwrap();
    project.edit(
        "provider \"falaj\" {",
        &format!(
            "provider \"falaj\" {{\n  connections = {{ people = {{ kubernetes = {{ namespace = \"{space}\" }} }} }}"
        ),
    );
    project.assert_plan_is_empty();

    project.destroy();
    assert!(exists(node, "secret", "root-key", space));
    for left in ["statefulset", "persistentvolumeclaim", "networkpolicy", "role", "service", "poddisruptionbudget"] {
        let found = node.kubectl(&["get", left, "--namespace", space, "--output=name"]);
        assert_eq!(found, "", "{left}");
    }
    let secrets = node.kubectl(&["get", "secret", "--namespace", space, "--output=name"]);
    assert_eq!(secrets.trim(), "secret/root-key");
    node.kubectl(&["delete", "namespace", space]);
}

#[test]
fn a_pod_that_cannot_start_is_explained_by_its_cause() {
    let Some(node) = Node::start() else { return };
    let space = "causes";
    with_key(node, space);
    let more = |more: &str| format!("namespace = \"{space}\"\n    key_secret = \"root-key\"\n    {more}");
    let project = project(Core::Terraform, node, "causes", KEY_FILE, &more("environment_secrets = [\"nowhere\"]"));
    let said = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("secret \"nowhere\" not found"), "{said}");

    // The same create goes on with what was made.
    project.edit("environment_secrets = [\"nowhere\"]", "environment = { FALAJ_LOG = \"info\" }");
    project.edit("file:///run/falaj/keys/root", "file:///run/falaj/keys/other");
    let said = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(said.contains("pod falaj-server-0 ended") && said.contains("/run/falaj/keys/other"), "{said}");

    project.edit("file:///run/falaj/keys/other", "file:///run/falaj/keys/root");
    project.apply();
    project.assert_plan_is_empty();
    project.destroy();
    node.kubectl(&["delete", "namespace", space]);
}

/// Processes of the provider that serve this project.
fn providers(project: &Project) -> Vec<u32> {
    let data = format!("FALAJ_DATA_DIR={}", project.path("data").display());
    let ours = |pid: &u32| {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        exe.file_name().is_some_and(|file| file.to_string_lossy().starts_with("terraform-provider-falaj"))
            && environment.split(|byte| *byte == 0).any(|variable| variable == data.as_bytes())
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(ours).collect()
}

fn reached(apply: &mut Child, holds: impl Fn() -> bool) -> bool {
    let since = Instant::now();
    while !holds() {
        if apply.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "the apply did not come to the point");
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn a_create_whose_provider_is_killed_is_taken_up_by_the_next() {
    let Some(node) = Node::start() else { return };
    for (point, kind, name) in [
        ("begun", "secret", "falaj-seed"),
        ("made", "statefulset", "falaj-server"),
        ("lived", "secret", "killed-admin"),
    ] {
        let space = format!("killed-{point}");
        with_key(node, &space);
        let more = format!("namespace = \"{space}\"\n    key_secret = \"root-key\"");
        let project = project(Core::Terraform, node, "killed", KEY_FILE, &more);
        let mut command: Command = project.command(&["apply", "-auto-approve", "-no-color"]);
        let mut apply = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(reached(&mut apply, || exists(node, kind, name, &space)), "{point}: the apply ended before");
        providers(&project).into_iter().for_each(kill);
        apply.wait().unwrap();

        project.apply();
        project.assert_plan_is_empty();
        for kind in ["statefulset", "persistentvolumeclaim", "service"] {
            let found = node.kubectl(&["get", kind, "--namespace", &space, "--output=name"]);
            assert_eq!(found.lines().count(), 1, "{point}: {found}");
        }
        project.destroy();
        assert!(!Path::new(&project.path("data/killed")).exists());
        node.kubectl(&["delete", "namespace", &space]);
    }
}
