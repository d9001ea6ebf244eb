//! The pages that the registry shows (`docs/index.md`, `docs/resources`, ...) are
//! made from the provider's schema and `examples/`. `make docs` runs this.

mod attributes;
mod every_kind;
mod examples;
mod pages;
mod schema;
mod types;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use falaj_tests::{Core, Project, repository, tool};
use serde_json::Value;

const PROVIDER: &str = "falaj";

/// What the provider says of itself. Asked of the newest core, which prints kinds of
/// objects that older ones do not know.
fn schema() -> Value {
    let project = Project::new(
        Core::NewestTerraform,
        "terraform {\n  required_providers {\n    falaj = { source = \"falaj/falaj\" }\n  }\n}\n",
    );
    let output = project.run(&["providers", "schema", "-json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut schemas: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Named as tfplugindocs looks for it.
    let providers = schemas["provider_schemas"].as_object_mut().unwrap();
    let provider = std::mem::take(providers).into_iter().next().unwrap().1;
    providers.insert(PROVIDER.to_owned(), provider);
    schemas
}

/// Pages that are there now, by their path below `docs/`.
fn present() -> BTreeMap<PathBuf, String> {
    let docs = repository().join("docs");
    let folders = pages::folders().filter_map(|folder| fs::read_dir(docs.join(folder)).ok());
    let files = folders.flatten().map(|entry| entry.unwrap().path()).chain([docs.join("index.md")]);
    let read = |path: PathBuf| Some((path.strip_prefix(&docs).unwrap().to_owned(), fs::read_to_string(path).ok()?));
    files.filter_map(read).collect()
}

#[test]
fn the_pages_say_what_the_provider_does() {
    let schemas: schema::Schemas = serde_json::from_value(schema()).unwrap();
    let wanted = pages::render(PROVIDER, &schemas.provider_schemas[PROVIDER], &repository().join("examples"));
    let present = present();
    let docs = repository().join("docs");
    let mut changed = Vec::new();
    for path in present.keys().filter(|path| !wanted.contains_key(*path)) {
        fs::remove_file(docs.join(path)).unwrap();
        changed.push(path);
    }
    for (path, page) in wanted.iter().filter(|(path, page)| present.get(*path) != Some(page)) {
        fs::create_dir_all(docs.join(path).parent().unwrap()).unwrap();
        fs::write(docs.join(path), page).unwrap();
        changed.push(path);
    }
    assert!(changed.is_empty(), "these pages were out of date and are written anew; look at them: {changed:?}");
}

/// Runs `tfplugindocs validate` on the pages below `repository`.
fn validate(repository: &Path, name: &str, schemas: &Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("schema.json");
    fs::write(&path, schemas.to_string()).unwrap();
    let output = Command::new(tool("tfplugindocs"))
        .args(["validate", "--provider-name", name])
        .arg("--provider-dir")
        .arg(repository)
        .arg("--providers-schema")
        .arg(&path)
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_registrys_own_tool_accepts_the_pages() {
    validate(&repository(), PROVIDER, &schema());
}
