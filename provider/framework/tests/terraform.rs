//! The example provider under a real core: `terraform` on the PATH, or what
//! `TFPLUGIN_CORE` names (another terraform, or `tofu`).

#![cfg(unix)]

mod common;
#[path = "common/workspace.rs"]
mod workspace;

use std::fs;
use std::io::BufRead;

use serde_json::Value as Json;
use workspace::{Workspace, release, signal, start, text, wait_for};

const NOTE: &str = r#"
resource "note_note" "a" {
  title     = "first"
  text      = "hello"
  weight    = 0.1
  keep      = "60m"
  labels    = { a = "b" }
  readers   = { ann = {}, bob = { access = "write" } }
  stamps    = [{ day = "mon" }, { day = "tue", ink = "red" }]
  secret_wo = "hush"
  timeouts  = { create = "1m" }
}
"#;

#[test]
fn a_note_lives_through_create_update_replace_and_destroy() {
    let workspace = Workspace::new(NOTE);
    let output = workspace.apply();
    assert!(output.contains("1 added, 0 changed, 0 destroyed"), "{output}");
    assert_eq!(workspace.planned(), []);

    // Another spelling of an hour, and of a number: nothing to do.
    workspace.write(&NOTE.replace("60m", "1h").replace("0.1", "0.10"));
    assert_eq!(workspace.planned(), []);

    // A label changes, and with it nothing that does not depend on it.
    workspace.write(&NOTE.replace("a = \"b\"", "a = \"c\""));
    let plan = workspace.ok(&["plan", "-no-color"]);
    assert!(plan.contains("1 to change") && !plan.contains("known after apply"), "{plan}");

    workspace.write(&NOTE.replace("hello", "again"));
    let plan = workspace.ok(&["plan", "-no-color"]);
    assert!(plan.contains("revision  = 1 -> (known after apply)"), "{plan}");
    workspace.apply();
    assert_eq!(workspace.planned(), []);

    workspace.write(&NOTE.replace("first", "second"));
    assert_eq!(workspace.planned(), [("note_note.a".into(), "delete+create".into())]);
    workspace.apply();
    assert!(!workspace.note("first").exists() && workspace.note("second").exists());
    assert_eq!(workspace.planned(), []);

    let output = workspace.ok(&["destroy", "-auto-approve", "-no-color"]);
    assert!(output.contains("1 destroyed"), "{output}");
    assert!(!workspace.note("second").exists());
    assert_eq!(workspace.providers(), 0);
}

#[test]
fn the_secret_is_in_neither_plan_nor_state() {
    let workspace = Workspace::new(&NOTE.replace("hush", "swordfish"));
    workspace.ok(&["plan", "-no-color", "-out=plan"]);
    let shown: Json = serde_json::from_str(&workspace.ok(&["show", "-json", "plan"])).expect("a plan as JSON");
    // The configuration is in the plan too, and in it the secret is a literal.
    for part in ["planned_values", "resource_changes"] {
        assert!(shown[part].to_string().contains("hello"));
        assert!(!shown[part].to_string().contains("swordfish"), "{part}");
    }
    workspace.apply();
    let state = fs::read_to_string(workspace.root.path().join("work/terraform.tfstate")).expect("a state");
    assert!(!state.contains("swordfish"));
}

#[test]
fn the_prefix_of_an_unknown_id_is_known_to_other_resources_at_plan() {
    let workspace = Workspace::new(&format!(
        "{NOTE}\noutput \"starts\" {{ value = startswith(note_note.a.id, \"note/first/\") }}\n"
    ));
    let plan = workspace.ok(&["plan", "-no-color"]);
    assert!(plan.contains("starts = true"), "{plan}");
}

#[test]
fn notes_are_imported_and_then_there_is_nothing_to_do() {
    let workspace = Workspace::new("");
    fs::write(workspace.note("found"), r#"{"id": "note/found/1", "text": "lost", "revision": 3}"#).expect("a note");
    workspace.write(
        "import {\n to = note_note.b\n id = \"note/found\"\n}\n\
         resource \"note_note\" \"b\" {\n title = \"found\"\n text = \"lost\"\n}\n",
    );
    let output = workspace.apply();
    assert!(output.contains("1 imported, 0 added, 0 changed, 0 destroyed"), "{output}");
    assert_eq!(workspace.saved("b")["attributes"]["revision"], 3);
    assert_eq!(workspace.planned(), []);

    let workspace = Workspace::new("resource \"note_note\" \"b\" {\n title = \"found\"\n}\n");
    let output = workspace.fails(&["import", "-no-color", "note_note.b", "note/absent"]);
    assert!(output.contains("Cannot import non-existent remote object"), "{output}");
}

/// Identities came with Terraform 1.12, and an OpenTofu of that number has
/// them too; an older core knows nothing of them.
#[test]
fn a_note_is_imported_by_its_identity_where_the_core_can() {
    let workspace = Workspace::new("");
    fs::write(workspace.note("found"), r#"{"id": "note/found/1", "text": "lost", "revision": 3}"#).expect("a note");
    workspace.write(
        "import {\n to = note_note.b\n identity = { title = \"found\" }\n}\n\
         resource \"note_note\" \"b\" {\n title = \"found\"\n text = \"lost\"\n}\n",
    );
    if release() < (1, 12) {
        workspace.fails(&["plan", "-no-color"]);
        return;
    }
    let output = workspace.apply();
    assert!(output.contains("1 imported, 0 added, 0 changed, 0 destroyed"), "{output}");
    assert_eq!(workspace.saved("b")["identity"], serde_json::json!({ "title": "found" }));
    assert_eq!(workspace.planned(), []);
}

#[test]
fn what_is_gone_is_planned_again() {
    let workspace = Workspace::new(NOTE);
    workspace.apply();
    fs::remove_file(workspace.note("first")).expect("the note");
    assert_eq!(workspace.planned(), [("note_note.a".into(), "create".into())]);
}

#[test]
fn a_half_made_note_is_tainted_and_a_refused_change_is_not() {
    let workspace = Workspace::new(&NOTE.replace("hello", "half"));
    let output = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(output.contains("Only half of it was written") && output.contains("text      = \"half\""), "{output}");
    assert_eq!(workspace.saved("a")["status"], "tainted");

    workspace.write(NOTE);
    assert_eq!(workspace.planned(), [("note_note.a".into(), "delete+create".into())]);
    workspace.apply();

    workspace.write(&NOTE.replace("hello", "refuse"));
    let output = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(output.contains("It may not say so"), "{output}");
    assert_eq!(workspace.saved("a")["status"], Json::Null);
    assert_eq!(workspace.saved("a")["attributes"]["text"], "hello");
    assert_eq!(workspace.planned(), [("note_note.a".into(), "update".into())]);
}

#[test]
fn a_crash_in_one_note_leaves_the_others_alone() {
    let other = "resource \"note_note\" \"other\" {\n title = \"other\"\n}\n";
    let workspace = Workspace::new(&(NOTE.replace("hello", "panic") + other));
    let output = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(output.contains("The provider crashed in note_note (id `note/first/...`)"), "{output}");
    assert!(output.contains("with note_note.a"), "{output}");
    assert_eq!(workspace.saved("other")["attributes"]["revision"], 1);
}

#[test]
fn bad_configuration_is_refused_with_its_place() {
    let workspace = Workspace::new(&NOTE.replace("\"write\"", "\"all\""));
    let output = workspace.fails(&["validate", "-no-color"]);
    assert!(output.contains("`readers[\"bob\"].access` must be one of `read`, `write`"), "{output}");

    workspace.write(&NOTE.replace("60m", "soon"));
    let output = workspace.fails(&["validate", "-no-color"]);
    assert!(output.contains("A duration such as") && output.contains("keep      = \"soon\""), "{output}");
}

#[test]
fn functions_take_null_any_type_and_any_number_of_arguments() {
    let workspace = Workspace::new(
        r#"
resource "note_note" "a" {
  title = "first"
}
output "letter" { value = provider::note::letter(null, "hello", null) }
output "kinds" { value = [for thing in [{ a = 1 }, [true], "x"] : provider::note::describe(thing)] }
output "unknown" { value = provider::note::describe(note_note.a.revision) }
output "label" { value = provider::note::label(["x", 1]) }
output "tidy" {
  value = provider::note::tidy({ title = "b", tags = ["t"] }, [{ title = "a", tags = null }])
}
"#,
    );
    let plan = workspace.ok(&["plan", "-no-color"]);
    assert!(plan.contains("unknown = \"not known yet\""), "{plan}");
    // Equal arguments must give an equal result, so what is described must not
    // become known within the run.
    workspace.write(
        r#"
output "letter" { value = provider::note::letter(null, "hello", null) }
output "kinds" { value = [provider::note::describe({ a = 1 }), provider::note::describe([true])] }
output "label" { value = provider::note::label(["x", 1]) }
output "tidy" {
  value = provider::note::tidy({ title = "b", tags = ["t"] }, [{ title = "a", tags = null }])
}
"#,
    );
    workspace.apply();
    let outputs: Json = serde_json::from_str(&workspace.ok(&["output", "-json"])).expect("outputs as JSON");
    assert_eq!(outputs["letter"]["value"], serde_json::json!(["Dear all,", "hello", ""]));
    assert_eq!(outputs["kinds"]["value"], serde_json::json!(["an object", "a tuple"]));
    assert_eq!(outputs["label"]["value"], serde_json::json!({ "label": "thing", "thing": ["x", 1] }));
    assert_eq!(outputs["tidy"]["value"]["b"], serde_json::json!({ "title": "b", "tags": ["t"] }));

    workspace.write("output \"letter\" { value = provider::note::letter(\"ann\", \"hi\", \"bye\") }\n");
    let output = workspace.fails(&["plan", "-no-color"]);
    assert!(output.contains("Invalid value for \"lines\" parameter"), "{output}");
    assert!(output.contains("a letter does not end so soon"), "{output}");
}

#[test]
fn a_secret_reaches_the_note_and_is_written_again_only_when_its_version_rises() {
    let config = r#"
resource "note_note" "a" {
  title             = "first"
  secret_wo         = "swordfish"
  secret_wo_version = 1
  locks             = { front = { code_wo = "1234" } }
}
"#;
    let workspace = Workspace::new(config);
    let sealed = || {
        let note = fs::read(workspace.note("first")).expect("the note");
        serde_json::from_slice::<Json>(&note).expect("a note as JSON")["sealed"].clone()
    };
    workspace.apply();
    assert_eq!(sealed(), 13);
    assert_eq!(workspace.saved("a")["attributes"]["secret_wo"], Json::Null);
    assert_eq!(workspace.saved("a")["attributes"]["locks"]["front"], serde_json::json!({ "code_wo": null }));
    assert_eq!(workspace.planned(), []);

    // Another secret alone is not seen: nothing of it is stored.
    let other = config.replace("swordfish", "herring");
    workspace.write(&other);
    assert_eq!(workspace.planned(), []);
    assert_eq!(sealed(), 13);

    workspace.write(&other.replace("= 1\n", "= 2\n"));
    assert_eq!(workspace.planned(), [("note_note.a".into(), "update".into())]);
    workspace.apply();
    assert_eq!(sealed(), 11);
    assert_eq!(workspace.planned(), []);
    let state = fs::read_to_string(workspace.root.path().join("work/terraform.tfstate")).expect("a state");
    assert!(!state.contains("herring") && !state.contains("1234"), "{state}");
}

#[test]
fn a_memo_is_moved_to_a_note() {
    let workspace = Workspace::new("resource \"note_memo\" \"a\" {\n name = \"first\"\n text = \"hello\"\n}\n");
    let output = workspace.apply();
    assert!(output.contains("note_memo is deprecated") && output.contains("Say nothing."), "{output}");
    workspace.write(
        "resource \"note_note\" \"a\" {\n title = \"first\"\n text = \"hello\"\n}\n\
         moved {\n from = note_memo.a\n to = note_note.a\n}\n",
    );
    let output = workspace.apply();
    assert!(output.contains("0 added, 0 changed, 0 destroyed"), "{output}");
    assert_eq!(workspace.saved("a")["attributes"]["revision"], 1);
    assert_eq!(workspace.planned(), []);
    workspace.ok(&["destroy", "-auto-approve", "-no-color"]);
    assert!(!workspace.note("first").exists());
}

#[test]
fn an_identity_that_an_older_release_saved_is_read_where_the_core_keeps_one() {
    let workspace = Workspace::new("resource \"note_note\" \"a\" {\n title = \"first\"\n}\n");
    workspace.apply();
    if release() < (1, 12) {
        assert_eq!(workspace.saved("a")["identity"], Json::Null);
        return;
    }
    let path = workspace.root.path().join("work/terraform.tfstate");
    let mut state: Json = serde_json::from_slice(&fs::read(&path).expect("a state")).expect("state as JSON");
    let instance = &mut state["resources"][0]["instances"][0];
    assert_eq!(instance["identity_schema_version"], 1);
    instance["identity_schema_version"] = 0.into();
    instance["identity"] = serde_json::json!({ "name": "first" });
    fs::write(&path, state.to_string()).expect("the state is written");
    assert_eq!(workspace.planned(), []);
    workspace.ok(&["apply", "-refresh-only", "-auto-approve", "-no-color"]);
    assert_eq!(workspace.saved("a")["attributes"]["title"], "first");
}

/// Terraform has them since 1.10, OpenTofu since 1.11.
#[test]
fn a_key_is_open_while_it_is_needed_and_stored_nowhere() {
    let config = r#"
ephemeral "note_key" "k" {
  drawer = "top"
}
resource "note_note" "a" {
  title     = "first"
  text      = "nap"
  secret_wo = ephemeral.note_key.k.secret
}
"#;
    let workspace = Workspace::new(config);
    workspace.apply();
    let log = fs::read_to_string(workspace.root.path().join("notes/top.log")).expect("a log");
    let count = |line: &str| log.lines().filter(|found| *found == line).count();
    assert!(count("open") > 0 && count("open") == count("close") && log.ends_with("close\n"), "{log}");
    assert!(count("renew") > 0, "{log}");
    let state = fs::read_to_string(workspace.root.path().join("work/terraform.tfstate")).expect("a state");
    assert!(!state.contains("key-of-top"), "{state}");
    assert_eq!(workspace.planned(), []);

    workspace.write(&config.replace("\"top\"", "\"jammed\""));
    let output = workspace.fails(&["plan", "-no-color"]);
    assert!(output.contains("The drawer is jammed") && output.contains("drawer = \"jammed\""), "{output}");

    workspace.write(&config.replace("\"top\"", "\"top\"\n  turn = \"left\""));
    let output = workspace.fails(&["validate", "-no-color"]);
    assert!(output.contains("A drawer does not open to the left"), "{output}");
}

#[test]
fn an_interrupted_apply_saves_what_it_reached() {
    let workspace = Workspace::new(&NOTE.replace("hello", "wait"));
    let apply = start(&workspace, &["apply", "-auto-approve", "-no-color"]);
    wait_for("the note to be written", || workspace.note("first").exists());
    // A Ctrl-C in a terminal goes to the whole group, provider included.
    signal("INT", apply.id());
    let output = apply.wait_with_output().expect("terraform ends");
    let output = text(&output);
    assert!(output.contains("Interrupted while working on note_note"), "{output}");
    assert_eq!(workspace.saved("a")["status"], Json::Null, "{output}");
    assert_eq!(workspace.saved("a")["attributes"]["revision"], Json::Null);

    workspace.write(NOTE);
    assert_eq!(workspace.planned(), [("note_note.a".into(), "update".into())]);
    workspace.apply();
    assert_eq!(workspace.planned(), []);
}

#[test]
fn a_provider_does_not_outlive_a_killed_terraform() {
    let workspace = Workspace::new(&NOTE.replace("hello", "wait"));
    let mut apply = start(&workspace, &["apply", "-auto-approve", "-no-color"]);
    wait_for("the note to be written", || workspace.note("first").exists());
    assert_eq!(workspace.providers(), 1);
    apply.kill().expect("terraform is killed");
    apply.wait().expect("terraform ends");
    wait_for("the provider to end", || workspace.providers() == 0);
}

const SHELF: &str = r#"
terraform {
  provider_meta "note" {
    team = "blue"
  }
}
resource "note_note" "a" {
  title   = "first"
  readers = { ann = {}, bob = {} }
}
resource "note_shelf" "s" {
  room = "cellar"
  wall {}
  board { length = 80 }
  board {
    length = 90
    wood   = "pine"
  }
  dynamic "user" {
    for_each = { for name, reader in note_note.a.readers : name => reader if reader.badge > 0 }
    content { name = user.key }
  }
  sign "left" { text = note_note.a.id }
  plate {}
  timeouts { create = "1m" }
}
"#;

#[test]
fn a_shelf_in_blocks_lives_through_create_update_and_replace() {
    let workspace = Workspace::new(SHELF);
    workspace.apply();
    assert_eq!(workspace.planned(), []);
    let shelf = workspace.saved("s")["attributes"].clone();
    assert_eq!((&shelf["wall"]["material"], &shelf["team"]), (&"brick".into(), &"blue".into()));
    let numbers = |shelf: &Json| -> Vec<Json> {
        shelf["board"].as_array().into_iter().flatten().map(|board| board["number"].clone()).collect()
    };
    assert_eq!(numbers(&shelf), [1, 2]);
    assert_eq!(shelf["user"].as_array().map(Vec::len), Some(2));

    // The lowest board goes, and the other keeps its number.
    workspace.write(&SHELF.replace("board { length = 80 }", ""));
    assert_eq!(workspace.planned(), [("note_shelf.s".into(), "update".into())]);
    workspace.apply();
    assert_eq!(numbers(&workspace.saved("s")["attributes"]), [2]);

    workspace.write(&SHELF.replace("cellar", "attic"));
    assert_eq!(workspace.planned(), [("note_shelf.s".into(), "delete+create".into())]);
    workspace.apply();
    assert_eq!(workspace.planned(), []);

    // Everything that can be left out.
    workspace.write("resource \"note_shelf\" \"s\" {\n room = \"attic\"\n plate {}\n}");
    workspace.apply();
    assert_eq!(workspace.planned(), []);
    assert_eq!(workspace.saved("s")["attributes"]["board"], Json::Array(Vec::new()));
}

#[test]
fn a_block_that_the_provider_fills_in_is_demanded_by_older_cores_and_by_no_newer_one() {
    let workspace = Workspace::new("resource \"note_shelf\" \"s\" {\n room = \"attic\"\n}");
    let tofu = workspace::core().ends_with("tofu");
    if release() >= (1, 16) && !tofu {
        workspace.apply();
        assert_eq!(workspace.saved("s")["attributes"]["plate"][0]["number"], 1);
        assert_eq!(workspace.planned(), []);
        return;
    }
    let output = workspace.fails(&["plan", "-no-color"]);
    assert!(output.contains("`plate` must be written out under this host"), "{output}");
}

#[test]
fn what_a_module_says_wrongly_is_told() {
    let workspace = Workspace::new(&SHELF.replace("\"blue\"", "\"Blue!\""));
    let output = workspace.fails(&["plan", "-no-color"]);
    assert!(output.contains("Invalid `team`"), "{output}");
}

#[test]
fn a_core_connects_by_a_port_as_by_a_socket() {
    let workspace = Workspace::new(NOTE);
    let mut command = workspace.command(&["apply", "-auto-approve", "-no-color"]);
    let output = command.env("TFPLUGIN_TRANSPORT", "tcp").env("TF_LOG", "DEBUG").output().expect("terraform runs");
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("network=tcp"), "{}", text(&output));
    assert_eq!(workspace.planned(), []);
}

/// As a person with a debugger does: the core starts nothing, and leaves what
/// it found running.
#[test]
fn a_core_uses_a_provider_that_is_being_debugged() {
    let workspace = Workspace::new(NOTE);
    let mut debugged = std::process::Command::new(common::provider())
        .arg("-debug")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the provider starts");
    let lines = std::io::BufReader::new(debugged.stdout.take().expect("its output")).lines();
    let mut set = lines.map_while(Result::ok).filter_map(|line| {
        line.trim().strip_prefix("TF_REATTACH_PROVIDERS=").map(|set| set.trim_matches('\'').to_owned())
    });
    let reattach = set.next().expect("what to set").replace("note/note", "example/note");
    for arguments in [&["apply", "-auto-approve", "-no-color"][..], &["plan", "-no-color", "-detailed-exitcode"]] {
        let output = workspace.command(arguments).env("TF_REATTACH_PROVIDERS", &reattach).output();
        let output = output.expect("terraform runs");
        assert!(output.status.success(), "{}", text(&output));
    }
    assert!(workspace.note("first").exists());
    assert!(debugged.try_wait().expect("its status").is_none(), "it is still there");
    debugged.kill().expect("it ends");
    debugged.wait().expect("it ends");
}

#[test]
fn logs_are_written_only_where_they_were_asked_for() {
    let workspace = Workspace::new(NOTE);
    let quiet = workspace.run(&["plan", "-no-color"]);
    assert!(!text(&quiet).contains("note_note.create"), "{}", text(&quiet));
    let log = workspace.root.path().join("log");
    let mut command = workspace.command(&["apply", "-auto-approve", "-no-color"]);
    let output = command.env("TF_LOG_PROVIDER", "DEBUG").env("TF_LOG_PATH", &log).output().expect("terraform runs");
    assert!(output.status.success(), "{}", text(&output));
    let log = fs::read_to_string(log).expect("a log");
    let line =
        log.lines().find(|line| line.contains("apply") && line.contains("[DEBUG] provider.terraform-provider-note"));
    assert!(line.is_some_and(|line| line.contains("resource=note_note")), "{log}");
}
