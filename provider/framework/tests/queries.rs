//! What Terraform has since 1.14: queries and actions. Where the core under
//! test is older, the newest installed one is used; without any, nothing can
//! be shown and the tests say so.

#![cfg(unix)]

mod common;
#[path = "common/workspace.rs"]
mod workspace;

use std::fs;

use workspace::{Workspace, core_since, signal, start, text, wait_for};

fn workspace(resources: &str) -> Option<Workspace> {
    let core = core_since((1, 14));
    if core.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must have a Terraform of 1.14 or later: tests/tools/install terraform-1.15"
        );
        eprintln!("not run: no Terraform of 1.14 or later; tests/tools/install terraform-1.15");
    }
    core.map(|core| Workspace::under(core, resources))
}

fn keep(workspace: &Workspace, title: &str) {
    let note = format!(r#"{{"id": "note/{title}/1", "text": "lost", "revision": 3}}"#);
    fs::write(workspace.note(title), note).expect("a note");
}

#[test]
fn a_query_finds_the_notes_that_nobody_manages_yet() {
    let Some(workspace) = workspace("") else { return };
    for title in ["found-1", "found-2", "other"] {
        keep(&workspace, title);
    }
    let query = |config: &str| {
        let list = format!("list \"note_note\" \"all\" {{\n provider = note\n {config}\n}}\n");
        fs::write(workspace.root.path().join("work/all.tfquery.hcl"), list).expect("the query");
    };
    query("");
    let output = workspace.ok(&["query", "-no-color"]);
    assert!(output.contains("title=found-1") && output.contains("Note found-1"), "{output}");
    assert!(output.contains("title=other"), "{output}");

    query("limit = 1\n include_resource = true\n config {\n prefix = \"found\"\n }");
    let output = workspace.ok(&["query", "-json"]);
    assert!(output.contains(r#""revision":3"#) && output.contains(r#""title":"found-1""#), "{output}");
    assert!(!output.contains("found-2") && !output.contains("other"), "{output}");

    query("config {\n prefix = \"broken\"\n }");
    let output = workspace.fails(&["query", "-no-color"]);
    assert!(output.contains("The drawer is broken"), "{output}");
}

#[test]
fn what_a_query_found_is_imported_with_a_generated_configuration() {
    let Some(workspace) = workspace("") else { return };
    keep(&workspace, "found");
    let list = "list \"note_note\" \"all\" {\n provider = note\n include_resource = true\n}\n";
    fs::write(workspace.root.path().join("work/all.tfquery.hcl"), list).expect("the query");
    workspace.ok(&["query", "-no-color", "-generate-config-out=generated.tf"]);
    let generated = fs::read_to_string(workspace.root.path().join("work/generated.tf")).expect("a configuration");
    assert!(generated.contains("= \"lost\"") && !generated.contains("revision"), "{generated}");
    let output = workspace.apply();
    assert!(output.contains("1 imported, 0 added, 0 changed, 0 destroyed"), "{output}");
    assert_eq!(workspace.planned(), []);
}

const COPY: &str = r#"
action "note_copy" "twice" {
  config {
    title  = "first"
    copies = 2
  }
}
resource "note_note" "a" {
  title = "first"
  lifecycle {
    action_trigger {
      events  = [after_create]
      actions = [action.note_copy.twice]
    }
  }
}
"#;

#[test]
fn an_action_follows_a_create_and_is_invoked_by_hand() {
    let Some(workspace) = workspace(COPY) else { return };
    let output = workspace.apply();
    assert!(output.contains("made copy 1") && output.contains("made copy 2"), "{output}");
    assert!(workspace.note("first").with_extension("copy-2").exists());

    workspace.write(&COPY.replace("copies = 2", "copies = 3"));
    let output = workspace.ok(&["apply", "-auto-approve", "-no-color", "-invoke=action.note_copy.twice"]);
    assert!(output.contains("made copy 3"), "{output}");

    workspace.write(&COPY.replace("copies = 2", "copies = 13"));
    let output = workspace.fails(&["apply", "-auto-approve", "-no-color", "-invoke=action.note_copy.twice"]);
    assert!(output.contains("Thirteen copies bring bad luck"), "{output}");
    workspace.write(&COPY.replace("copies = 2", "copies = 0"));
    let output = workspace.fails(&["validate", "-no-color"]);
    assert!(output.contains("Invalid `copies`"), "{output}");
}

#[test]
fn an_action_ends_when_the_user_interrupts_it() {
    let Some(workspace) = workspace(COPY) else { return };
    workspace.apply();
    workspace.write(&COPY.replace("copies = 2", "copies = 1000"));
    let apply = start(&workspace, &["apply", "-auto-approve", "-no-color", "-invoke=action.note_copy.twice"]);
    wait_for("the third copy", || workspace.note("first").with_extension("copy-3").exists());
    signal("INT", apply.id());
    let output = text(&apply.wait_with_output().expect("terraform ends"));
    assert!(output.contains("copies were made"), "{output}");
    assert_eq!(workspace.providers(), 0);
}
