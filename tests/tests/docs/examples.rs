//! The examples on the pages are one configuration together: a platform that plans.

use std::{collections::BTreeSet, ffi::OsStr, fs, path::PathBuf, process::Command};

use falaj_api::Id;
use falaj_tests::{Core, Project, repository};

/// Files of the examples that are named `file`, with the folder each is in.
fn examples(kind: &str, file: &str) -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(repository().join("examples").join(kind)).unwrap().map(|entry| entry.unwrap().path());
    let name = |folder: &PathBuf| folder.file_name().and_then(OsStr::to_str).unwrap().to_owned();
    folders.map(|folder| (name(&folder), folder.join(file))).filter(|(_, path)| path.is_file()).collect()
}

fn platform(core: Core) -> Project {
    let examples_dir = repository().join("examples");
    let project = Project::new(core, &fs::read_to_string(examples_dir.join("provider/provider.tf")).unwrap());
    for (kind, file) in [("resources", "resource.tf"), ("data-sources", "data-source.tf"), ("functions", "function.tf")]
    {
        for (name, path) in examples(kind, file) {
            fs::copy(path, project.path(&format!("{kind}-{name}.tf"))).unwrap();
        }
    }
    fs::copy(examples_dir.join("quickstart/data/people.parquet"), project.path("people.parquet")).unwrap();
    project
}

fn plans(core: Core) {
    let project = platform(core);
    project.succeed(&["validate", "-no-color"]);
    let plan = project.plan();
    let planned = plan.json["planned_values"]["root_module"]["resources"].as_array().unwrap();
    let of_type = |mode: &str| -> BTreeSet<String> {
        let of_mode = planned.iter().filter(|resource| resource["mode"] == mode);
        of_mode.map(|resource| resource["type"].as_str().unwrap().to_owned()).collect()
    };
    let shown = |kind, file| -> BTreeSet<String> { examples(kind, file).into_iter().map(|(name, _)| name).collect() };
    assert_eq!(of_type("managed"), shown("resources", "resource.tf"));
    // Functions are pure: what the comment beside one says is already in the plan.
    let outputs = &plan.json["planned_values"]["outputs"];
    assert_eq!(outputs["jurisdiction"]["value"], "QA");
    assert_eq!(outputs["key_region"]["value"], "aws:me-central-1");
}

#[test]
fn the_examples_plan_with_terraform() {
    plans(Core::Terraform);
}

#[test]
fn the_examples_plan_with_opentofu() {
    plans(Core::OpenTofu);
}

#[test]
fn the_examples_are_formatted() {
    for folder in ["provider", "resources", "data-sources", "functions"] {
        let output = Command::new("terraform")
            .args(["fmt", "-check", "-diff", "-recursive", folder])
            .current_dir(repository().join("examples"))
            .output()
            .unwrap();
        assert!(output.status.success(), "run `terraform fmt`: {}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn an_imports_id_is_one_of_the_resource() {
    for (name, path) in examples("resources", "import.sh") {
        let command = fs::read_to_string(path).unwrap();
        let id: Id = command.split('\'').nth(1).unwrap().parse().unwrap();
        let noun = match (&id.place.workspace, &id.place.object) {
            (_, Some((noun, _))) => noun,
            (Some(_), None) => "workspace",
            (None, None) => "cluster",
        };
        assert_eq!(name, format!("falaj_{noun}"));
        let block = examples("resources", "import-by-string-id.tf").into_iter().find(|(other, _)| *other == name);
        let block = fs::read_to_string(block.unwrap().1).unwrap();
        assert!(block.contains(&format!("\"{id}\"")), "{block}");
    }
}
