//! What each of our crates may know, as `docs/architecture.md` lists it.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// Crates that the provider must stay free of: it asks the runtime instead.
const NOT_IN_THE_PROVIDER: [&str; 6] = ["candle-core", "ort", "arrow", "parquet", "sqlx", "aws-sdk-kms"];

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
        .current_dir(falaj_tests::repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The normal dependencies of each package, by name.
fn edges(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let normal =
        |dependency: &&Value| dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| {
            let dependencies = node["deps"].as_array().unwrap().iter().filter(normal);
            let dependencies = dependencies.map(|dependency| names[dependency["pkg"].as_str().unwrap()].to_owned());
            (names[node["id"].as_str().unwrap()].to_owned(), dependencies.collect())
        })
        .fold(
            BTreeMap::new(),
            |mut all: BTreeMap<String, BTreeSet<String>>, (name, dependencies): (String, BTreeSet<String>)| {
                all.entry(name).or_default().extend(dependencies);
                all
            },
        )
}

#[test]
fn our_crates_know_each_other_as_the_architecture_page_says() {
    let edges = edges(&metadata());
    let page = std::fs::read_to_string(falaj_tests::repository().join("docs/architecture.md")).unwrap();
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("- `") && line.contains(" -> ")) {
        let (left, right) = line.trim_start_matches("- ").split_once(" -> ").unwrap();
        let names = |side: &str| side.split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>();
        for name in names(left) {
            allowed.entry(name).or_default().extend(names(right));
        }
    }
    assert!(allowed.len() >= 5, "the page lists the edges: {allowed:?}");
    let ours = [
        "terraform-provider-falaj",
        "tfplugin",
        "tfplugin-derive",
        "falaj",
        "falaj-api",
        "falaj-kms",
        "falaj-kube",
        "falaj-engine",
        "falaj-store",
    ];
    for name in ours {
        let found: BTreeSet<String> =
            edges[name].iter().filter(|other| ours.contains(&other.as_str())).cloned().collect();
        assert_eq!(found, allowed.get(name).cloned().unwrap_or_default(), "what {name} depends on");
    }
}

#[test]
fn the_provider_holds_no_machine_learning_and_no_database() {
    let edges = edges(&metadata());
    let mut reached = BTreeSet::new();
    let mut next = vec!["terraform-provider-falaj".to_owned()];
    while let Some(name) = next.pop() {
        if reached.insert(name.clone()) {
            next.extend(edges.get(&name).into_iter().flatten().cloned());
        }
    }
    assert!(reached.contains("tonic"), "the walk goes through dependencies");
    for name in NOT_IN_THE_PROVIDER {
        assert!(!reached.contains(name), "the provider links {name}");
    }
}
