//! The life of a platform under real cores: made, unchanged, changed, imported,
//! lost, brought back and destroyed.

use std::{fs, path::Path};

use falaj_api::{
    endpoint::GetServing,
    model::TrainModel,
    monitor::Monitor,
    operation::{GetOperation, OperationState},
    record::{Delete, Put},
    residency::Residency,
    workspace::{Workspace, WorkspaceSpec},
};
use falaj_tests::{Core, Project};

const PLATFORM: &str = include_str!("platform.tf");

const ADDRESSES: [&str; 6] = [
    "falaj_cluster.this",
    "falaj_workspace.people",
    "falaj_feature_store.people",
    "falaj_model.employed",
    "falaj_endpoint.employed",
    "falaj_monitor.employed",
];

fn lifecycle(core: Core) {
    let project = Project::new(core, PLATFORM);

    // What can be known is known at plan: where everything is, under which key.
    let plan = project.plan();
    for address in ADDRESSES {
        assert_eq!(plan.actions(address), ["create"], "{address}");
        let posture = &plan.change(address)["change"]["after"]["posture"];
        assert_eq!(posture["jurisdiction"], "AE", "{address}: {posture}");
        let key = posture["kms_key_uri"].as_str().unwrap_or_default();
        assert!(key.starts_with("file://"), "{address} is under the cluster's key: {posture}");
        assert_eq!(posture["complete"], true, "{address}: {posture}");
    }

    project.succeed(&["apply", "-auto-approve", "-no-color", "tfplan"]);
    project.assert_plan_is_empty();
    assert_eq!(project.output("version"), 1);
    let endpoint = project.output("endpoint");
    for file in ["ca_file", "client_cert_file", "client_key_file"] {
        assert!(Path::new(endpoint[file].as_str().unwrap()).is_file(), "{file}");
    }

    // The state holds no secret: not the key, nor an application's.
    let state = fs::read_to_string(project.path("terraform.tfstate")).unwrap();
    assert!(!state.contains("PRIVATE KEY"), "the state holds a private key");

    // A change of the training makes version 2 in place, and the endpoint follows its alias.
    project.edit("l2 = 0.0001", "l2 = 0.01");
    let plan = project.plan();
    assert_eq!(plan.actions("falaj_model.employed"), ["update"]);
    assert_eq!(plan.actions("falaj_endpoint.employed"), ["no-op"], "an endpoint that follows an alias does not change");
    project.apply();
    project.assert_plan_is_empty();
    assert_eq!(project.output("version"), 2);
    let served = || {
        let call = GetServing { workspace: "people".into(), endpoint: "employed".into() };
        project.call(&call).unwrap().versions.get("champion").copied()
    };
    wait_until("version 2 is served", || served() == Some(2));

    // The first declaration leads back to its version, without training.
    project.edit("l2 = 0.01", "l2 = 0.0001");
    project.apply();
    assert_eq!(project.output("version"), 1);
    project.assert_plan_is_empty();

    // What the runtime does by itself is no change of what is declared.
    let record = project.call(&TrainModel { workspace: "people".into(), model: "employed".into() }).unwrap();
    let operation = record.operation.unwrap();
    wait_until("the run has ended", || {
        let state = project.call(&GetOperation { operation: operation.clone() }).unwrap().state;
        assert_ne!(state, OperationState::Failed);
        state == OperationState::Succeeded
    });
    project.assert_plan_is_empty();

    // A plan brings a killed server back, and nothing has changed.
    let before = project.running();
    project.kill_server();
    project.assert_plan_is_empty();
    let after = project.running();
    assert_ne!(before.pid, after.pid);
    assert_eq!(before.cluster_uid, after.cluster_uid);

    // What another deleted, past Terraform, is made again.
    let monitor = project.output("report_file");
    let uid = id_of(&project, "falaj_monitor.employed").rsplit('/').next().unwrap().to_owned();
    let delete = Delete::<Monitor> {
        workspace: Some("people".into()),
        name: "employed".into(),
        uid,
        kind: std::marker::PhantomData,
    };
    project.call(&delete).unwrap();
    let plan = project.plan();
    assert_eq!(plan.actions("falaj_monitor.employed"), ["create"]);
    project.apply();
    assert_eq!(project.output("report_file"), monitor, "the report's path is constant");

    // Each resource can be forgotten and imported, and then nothing differs.
    for address in ADDRESSES.iter().rev() {
        let id = id_of(&project, address);
        project.succeed(&["state", "rm", address]);
        project.succeed(&["import", "-no-color", address, &id]);
    }
    let plan = project.plan();
    for address in ADDRESSES {
        let expected = if address == "falaj_feature_store.people" { vec!["no-op", "update"] } else { vec!["no-op"] };
        let actions = plan.actions(address);
        assert!(
            actions.iter().all(|action| expected.contains(&action.as_str())),
            "{address} after import: {actions:?}"
        );
    }
    project.apply();
    project.assert_plan_is_empty();

    // Destroyed, nothing is left running or on the disk.
    project.destroy();
    assert_eq!(project.processes(), Vec::<u32>::new());
    assert_eq!(project.clusters(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn terraform_makes_changes_imports_and_destroys_a_platform() {
    lifecycle(Core::Terraform);
}

#[test]
fn opentofu_makes_changes_imports_and_destroys_a_platform() {
    lifecycle(Core::OpenTofu);
}

fn id_of(project: &Project, address: &str) -> String {
    let output = project.run(&["show", "-json"]);
    let state: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let resources = state["values"]["root_module"]["resources"].as_array().unwrap();
    let found = resources.iter().find(|resource| resource["address"] == address);
    found.unwrap_or_else(|| panic!("no {address} in the state"))["values"]["id"].as_str().unwrap().to_owned()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !holds() {
        assert!(since.elapsed() < std::time::Duration::from_secs(60), "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

/// A mistake in the configuration, and what the error must say.
struct Mistake {
    from: &'static str,
    to: &'static str,
    says: &'static [&'static str],
}

#[test]
fn mistakes_are_errors_at_plan_that_name_the_attribute_and_what_would_be_right() {
    let mistakes = [
        Mistake {
            from: "  region  = \"onprem:ae-du:dubai-1\"\n  kms_key",
            to: "  region  = \"aws:eu-west-1\"\n  kms_key",
            says: &["region = \"aws:eu-west-1\"", "IE", "allowed regions"],
        },
        Mistake {
            from: "region = \"onprem:ae-du:dubai-1\" }",
            to: "region = \"gcp:me-central1\" }",
            says: &["kms_key", "gcp:me-central1", "QA"],
        },
        Mistake {
            from: "\"aws:me-central-1\"]",
            to: "\"aws:eu-west-1\"]",
            says: &["residency", "allows aws:eu-west-1, which is in IE"],
        },
        Mistake {
            from: "name         = \"people\"\n  entity",
            to: "name         = \"People\"\n  entity",
            says: &["name", "lower-case"],
        },
        Mistake { from: "weight = 100", to: "weight = 90", says: &["variants", "add up to 90"] },
        Mistake { from: "path = var.data", to: "path = \"nowhere.parquet\"", says: &["path", "nowhere.parquet"] },
        Mistake { from: "window      = \"24h\"", to: "window      = \"1 day\"", says: &["window", "not a duration"] },
        Mistake {
            from: "logistic  = { l2 = 0.0001 }",
            to: "logistic  = {}\n    linear = {}",
            says: &["linear and logistic are set", "keep one", "training.logistic"],
        },
        Mistake {
            from: "environment = \"development\"",
            to: "environment = \"dev\"",
            says: &["environment", "development"],
        },
    ];
    for Mistake { from, to, says } in mistakes {
        let project = Project::new(Core::Terraform, PLATFORM);
        project.edit(from, to);
        let said = project.fail(&["plan", "-no-color"]);
        for part in says {
            assert!(said.contains(part), "{to:?} should say {part:?}:\n{said}");
        }
        assert_eq!(project.clusters(), Vec::<std::path::PathBuf>::new(), "a plan makes nothing");
    }
}

#[test]
fn what_the_plan_refuses_the_runtime_refuses_too_when_asked_by_hand() {
    let project = Project::new(Core::Terraform, PLATFORM);
    project.succeed(&["apply", "-auto-approve", "-no-color", "-target=falaj_workspace.people"]);
    let spec = WorkspaceSpec {
        environment: falaj_api::workspace::Environment::Development,
        access: Default::default(),
        budget: None,
        kms_key: None,
        residency: Some(Residency {
            jurisdiction: "IE".into(),
            allowed_regions: ["aws:eu-west-1".parse().unwrap()].into(),
        }),
        labels: Default::default(),
    };
    let put = Put::<Workspace> { workspace: None, name: "abroad".into(), uid: None, spec };
    let refused = project.call(&put).unwrap_err().to_string();
    assert!(refused.contains("aws:eu-west-1"), "{refused}");
    let chains = project.call(&falaj_api::audit::VerifyAudit {}).unwrap();
    assert!(chains.iter().all(|chain| chain.first_bad.is_none()), "{chains:?}");
    project.destroy();
}
