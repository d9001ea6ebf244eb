//! A newer release of the provider meets what an older one made.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use falaj_api::{cluster::GetRuntimeVersion, version};
use falaj_tests::{Core, Project, built};

const PLATFORM: &str = include_str!("platform.tf");

/// Copies a program as another release of it: the same code under another number.
fn release(program: &str, directory: &Path, number: &str) {
    let mut bytes = fs::read(built(program)).unwrap();
    let (old, new) = (format!("falaj release {}", version()), format!("falaj release {number}"));
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> =
        (0..bytes.len() - old.len()).filter(|at| &bytes[*at..at + old.len()] == old.as_bytes()).collect();
    assert!(!places.is_empty(), "{program} does not say its release");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    let path = directory.join(program);
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_newer_provider_brings_its_runtime_along_and_the_plan_after_it_is_empty() {
    let mut project = Project::new(Core::Terraform, PLATFORM);
    project.apply();
    let before = project.output("endpoint");
    let (major, rest) = version().split_once('.').unwrap();
    let (minor, patch) = rest.split_once('.').unwrap();
    let newer = format!("{major}.{}.{patch}", minor.parse::<u32>().unwrap() + 1);
    let directory = project.path("newer");
    fs::create_dir(&directory).unwrap();
    release("terraform-provider-falaj", &directory, &newer);
    release("falaj", &directory, &newer);

    let overrides = fs::read_to_string(project.path("cli.rc")).unwrap();
    let old = built("terraform-provider-falaj").parent().unwrap().display().to_string();
    project.write("cli.rc", &overrides.replace(&old, &directory.display().to_string()));
    project.set("FALAJ_RUNTIME", &directory.join("falaj").display().to_string());

    // Nothing that was declared is another for the newer release; what runs stays until it is asked for.
    project.assert_plan_is_empty();
    assert_eq!(project.call(&GetRuntimeVersion {}).unwrap().version, version());
    project.edit("  local   = {}", &format!("  local   = {{}}\n  runtime_version = {newer:?}"));
    assert_eq!(project.plan().actions("falaj_cluster.this"), ["update"]);
    project.apply();
    project.assert_plan_is_empty();
    assert_eq!(project.call(&GetRuntimeVersion {}).unwrap().version, newer);
    let after = project.output("endpoint");
    for name in ["id", "url", "ca_file", "client_cert_file"] {
        assert_eq!(before[name], after[name], "{name} stays");
    }
    project.destroy();
}
