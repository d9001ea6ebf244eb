//! What people say of themselves is nowhere on the disk in the clear: canaries
//! are planted wherever data goes in, and every file is searched for them.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use falaj_api::monitor::RunMonitor;
use falaj_tests::{Core, Project};
use serde_json::json;

/// In a person's identifier, in a category, in what an application asks, in
/// the id of its request, and in the declaration.
const ENTITY: &str = "canary-entity-7f3a";
const CATEGORY: &str = "canary-category-91bc";
const ASKED: &str = "canary-asked-5d02";
const REQUEST: &str = "canary-request-e6f8";
const DECLARED: &str = "canary-declared-c4a9";

#[test]
fn canaries_are_found_in_no_file_of_the_cluster_and_data_in_neither_state_nor_plan() {
    let project = Project::new(Core::Terraform, &configuration());
    project.write("rows.csv", &rows());
    project.succeed(&["plan", "-out=tfplan", "-no-color"]);
    project.succeed(&["apply", "-no-color", "tfplan"]);
    let inputs = json!([
        { "name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1.5] },
        { "name": "colour", "shape": [1, 1], "datatype": "BYTES", "data": [ASKED] },
    ]);
    project.post("endpoint", "/v2/models/likes/infer", &json!({ "id": REQUEST, "inputs": inputs }));
    project.post("endpoint", "/v2/models/likes/outcomes", &json!({ "outcomes": [{ "id": REQUEST, "labels": [1] }] }));
    let run = RunMonitor { workspace: "people".into(), monitor: "likes".into(), from: None };
    assert_eq!(project.call(&run).unwrap().rows_current, 1, "the answer was captured");

    let canaries = [ENTITY, CATEGORY, ASKED, REQUEST, DECLARED];
    let mut searched = 0;
    for file in files(&project.cluster_dir()) {
        // A development workspace has a plain copy of its report: it says what categories there are.
        if file.components().any(|part| part.as_os_str() == "reports" || part.as_os_str() == "bin") {
            continue;
        }
        searched += 1;
        assert_clean(&file, &canaries);
    }
    assert!(searched > 15, "only {searched} files were searched");
    let state = fs::read_to_string(project.path("terraform.tfstate")).unwrap();
    let plan = project.run(&["show", "-json", "tfplan"]);
    let plan = String::from_utf8(plan.stdout).unwrap();
    for canary in [ENTITY, CATEGORY, ASKED, REQUEST] {
        assert!(!state.contains(canary) && !plan.contains(canary), "{canary} is in the state or the plan");
    }
    let mut verify = std::process::Command::new(falaj_tests::built("falaj"));
    let verified = verify.args(["audit", "verify"]).env("FALAJ_DATA_DIR", project.path("data")).output().unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(
        verified.status.success() && said.contains("cluster: "),
        "the chains verify, beside a running server: {said}"
    );
    // The search itself finds what is there.
    assert!(state.contains(DECLARED), "labels belong to the state");
    project.destroy();
}

fn assert_clean(file: &Path, canaries: &[&str]) {
    let bytes = fs::read(file).unwrap();
    for canary in canaries {
        let hex = canary.bytes().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        for needle in [canary.as_bytes(), hex.as_bytes(), &utf16(canary)] {
            let found = bytes.windows(needle.len()).any(|window| window == needle);
            assert!(!found, "{} holds {canary}", file.display());
        }
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

fn rows() -> String {
    let mut text = "id,at,x,colour,likes\n".to_owned();
    for row in 0..400 {
        let (x, colour) = (f64::from(row % 10), if row % 3 == 0 { CATEGORY } else { "blue" });
        let likes = i32::from((row % 10) + (row % 3) > 6);
        let _ = writeln!(text, "{ENTITY}-{row},2026-01-01T{:02}:{:02}:00Z,{x},{colour},{likes}", row / 60, row % 60);
    }
    text
}

fn configuration() -> String {
    format!(
        r#"
terraform {{
  required_providers {{ falaj = {{ source = "falaj/falaj" }} }}
}}
variable "key_file" {{ type = string }}
variable "data" {{ type = string }}
provider "falaj" {{
  residency = {{ jurisdiction = "AE", allowed_regions = ["onprem:ae-du:dubai-1"] }}
}}
resource "falaj_cluster" "this" {{
  name    = "retail"
  region  = "onprem:ae-du:dubai-1"
  kms_key = {{ uri = "file://${{var.key_file}}", region = "onprem:ae-du:dubai-1" }}
  local   = {{}}
}}
resource "falaj_workspace" "people" {{
  cluster_id  = falaj_cluster.this.id
  name        = "people"
  environment = "development"
  labels      = {{ note = "{DECLARED}" }}
}}
resource "falaj_feature_store" "people" {{
  workspace_id = falaj_workspace.people.id
  name         = "people"
  entity       = {{ name = "id", type = "string" }}
  source       = {{ csv = {{ path = "rows.csv", event_time = "at" }} }}
  features     = {{ x = {{ type = "float64" }}, colour = {{ type = "string", classification = "personal" }} }}
}}
resource "falaj_model" "likes" {{
  workspace_id = falaj_workspace.people.id
  name         = "likes"
  training = {{
    features = {{ people = {{ feature_store_id = falaj_feature_store.people.id, names = ["x", "colour"] }} }}
    label    = {{ column = "likes", feature_store_id = falaj_feature_store.people.id }}
    logistic = {{}}
    seed     = 7
  }}
  promotion = {{ alias = "champion", when = "gates" }}
}}
resource "falaj_endpoint" "likes" {{
  workspace_id = falaj_workspace.people.id
  name         = "likes"
  variants     = {{ champion = {{ model_id = falaj_model.likes.id, alias = "champion", weight = 100 }} }}
  capture      = {{ sampling_percent = 100 }}
}}
resource "falaj_monitor" "likes" {{
  endpoint_id = falaj_endpoint.likes.id
  name        = "likes"
  window      = "24h"
}}
output "endpoint" {{ value = falaj_endpoint.likes }}
"#
    )
}
