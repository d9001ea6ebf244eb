//! Programs that we did not write, against a platform that was applied: they
//! come as an application does, with its certificate, and find what the
//! protocol promises.

use std::process::Command;

use falaj_tests::{Core, Project, repository, tool};

const PLATFORM: &str = include_str!("platform.tf");

/// Another application of the same workspace, and one that keeps nothing.
const ANOTHER: &str = r#"
resource "falaj_endpoint" "other" {
  workspace_id = falaj_workspace.people.id
  name         = "other"
  variants     = { champion = { model_id = falaj_model.employed.id, alias = "champion", weight = 100 } }
}

output "other" { value = falaj_endpoint.other }
"#;

/// Runs the Python program of this name against the platform: it finds the
/// endpoints' addresses and files in its environment.
fn succeeds(project: &Project, program: &str) {
    let (employed, other) = (project.output("endpoint"), project.output("other"));
    let mut command = Command::new(tool("python"));
    command.arg(repository().join("tests/tests/clients").join(program)).arg("--verbose");
    command.env_remove("PYTHONPATH").env("PYTHONDONTWRITEBYTECODE", "1");
    for (name, endpoint) in [("EMPLOYED", &employed), ("OTHER", &other)] {
        for attribute in ["url", "ca_file", "client_cert_file", "client_key_file"] {
            let value = endpoint[attribute].as_str().unwrap_or_else(|| panic!("{name} has no {attribute}"));
            command.env(format!("{name}_{}", attribute.to_uppercase()), value);
        }
    }
    let output = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}:\n{text}");
    // A program that tests nothing proves nothing.
    assert!(text.contains("\nRan ") && !text.contains("\nRan 0 tests"), "{program}:\n{text}");
}

#[test]
fn unmodified_clients_are_answered_and_told_what_is_wrong() {
    let project = Project::new(Core::Terraform, &format!("{PLATFORM}{ANOTHER}"));
    project.apply();
    succeeds(&project, "open_inference.py");
    succeeds(&project, "outcomes.py");
    project.destroy();
}
