//! The example provider through its life, in process.

#[allow(dead_code)] // Its `main`.
#[path = "../examples/terraform-provider-note.rs"]
mod note;

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tfplugin::testing::{Action, Host};
use tfplugin::{Diagnostics, MoveSource, Value};

struct World {
    directory: TempDir,
    host: Host<note::NoteProvider>,
}

async fn world() -> World {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let host = Host::configured(note::NoteProvider, json!({ "directory": directory.path() })).await;
    World { host: host.expect("the provider is configured"), directory }
}

fn config(text: &str) -> Json {
    json!({
        "title": "first", "text": text, "weight": 0.1, "keep": "1h30m", "labels": { "a": "b" },
        "readers": { "ann": {}, "bob": { "access": "write" } },
        "stamps": [{ "day": "mon" }, { "day": "tue", "ink": "red" }],
        "secret_wo": "hush", "timeouts": { "create": "1m" },
    })
}

fn messages(errors: &Diagnostics) -> String {
    errors.to_string()
}

#[tokio::test]
async fn a_note_is_created_updated_replaced_and_destroyed() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");

    assert_eq!(note.apply(config("hello")).await?.action, Action::Create);
    assert_eq!(note.state().get("revision"), &Value::from(1));
    assert_eq!(note.state().get("readers").get("bob").get("badge"), &Value::from(2));
    assert_eq!(note.state().get("secret_wo"), &Value::Null);
    assert_eq!(note.identity().map(|identity| identity.get("title").clone()), Some("first".into()));

    assert_eq!(note.apply(config("hello")).await?.action, Action::NoOp);

    let step = note.apply(config("again")).await?;
    assert_eq!((step.action, step.planned.get("revision").is_unknown()), (Action::Update, true));
    assert_eq!(note.state().get("revision"), &Value::from(2));

    let mut other = config("again");
    other["title"] = "second".into();
    let step = note.apply(other).await?;
    assert_eq!((step.action, step.replace), (Action::Replace, vec!["title".into()]));
    assert!(!world.directory.path().join("first.json").exists());

    assert_eq!(note.destroy().await?.action, Action::Delete);
    assert!(note.state().is_null());
    assert!(!world.directory.path().join("second.json").exists());
    Ok(())
}

#[tokio::test]
async fn the_id_is_known_by_its_prefix_before_it_exists() -> Result<(), Diagnostics> {
    let world = world().await;
    let step = world.host.resource("note_note").plan(config("hello")).await?;
    match step.planned.get("id") {
        Value::Unknown(known) => {
            assert_eq!(known.prefix(), Some("note/first/"));
            assert!(known.is_not_null());
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_change_of_timeouts_calls_nothing() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    let mut config = config("hello");
    config.as_object_mut().expect("an object").remove("secret_wo");
    note.apply(config.clone()).await?;
    let file = world.directory.path().join("first.json");
    let written = std::fs::metadata(&file).and_then(|file| file.modified()).expect("the note's file");
    config["timeouts"] = json!({ "create": "2m", "update": "5m" });
    assert_eq!(note.apply(config).await?.action, Action::Update);
    assert_eq!(note.state().get("timeouts").get("update"), &Value::from("5m"));
    assert_eq!(std::fs::metadata(&file).and_then(|file| file.modified()).ok(), Some(written));
    Ok(())
}

#[tokio::test]
async fn what_is_gone_is_created_again() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    note.apply(config("hello")).await?;
    std::fs::remove_file(world.directory.path().join("first.json")).expect("the note's file");
    assert_eq!(note.apply(config("hello")).await?.action, Action::Create);
    Ok(())
}

#[tokio::test]
async fn what_was_changed_behind_the_back_is_put_right() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    note.apply(config("hello")).await?;
    let changed = json!({ "id": note.state().get("id").as_str(), "text": "defaced", "revision": 1 });
    std::fs::write(world.directory.path().join("first.json"), changed.to_string()).expect("the note's file");
    assert_eq!(note.apply(config("hello")).await?.action, Action::Update);
    Ok(())
}

#[tokio::test]
async fn a_create_that_failed_half_way_is_replaced() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    let errors = note.apply(config("half")).await.expect_err("it fails");
    assert!(messages(&errors).contains("error at text: Only half of it"), "{errors}");
    assert!(note.is_tainted());
    assert_eq!(note.apply(config("whole")).await?.action, Action::Replace);
    assert!(!note.is_tainted());
    Ok(())
}

#[tokio::test]
async fn a_failed_update_keeps_the_prior_state() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    note.apply(config("hello")).await?;
    let before = note.state().clone();
    assert!(note.apply(config("refuse")).await.is_err());
    assert_eq!(note.state(), &before);
    assert!(!note.is_tainted());
    assert_eq!(note.apply(config("hello")).await?.action, Action::NoOp);
    Ok(())
}

#[tokio::test]
async fn a_panic_is_an_error_of_one_note_only() -> Result<(), Diagnostics> {
    let world = world().await;
    let errors = world.host.resource("note_note").apply(config("panic")).await.expect_err("it fails");
    assert!(messages(&errors).contains("The provider crashed in note_note"), "{errors}");
    assert!(messages(&errors).contains("asked to"), "{errors}");
    world.host.resource("note_note").apply(config("fine")).await?;
    Ok(())
}

#[tokio::test]
async fn an_interrupted_create_is_saved_with_a_warning_and_goes_on() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.host.stop();
    };
    let (step, ()) = tokio::join!(note.apply_unchecked(config("wait")), stop);
    assert!(messages(&step?.warnings).contains("Interrupted while working on note_note"));
    assert!(!note.is_tainted());
    assert_eq!(note.state().get("revision"), &Value::Null);
    // The stop was for what was in flight; the provider serves on.
    assert_eq!(note.apply(config("go on")).await?.action, Action::Update);
    assert_eq!(note.state().get("revision"), &Value::from(1));
    Ok(())
}

#[tokio::test]
async fn a_timeout_of_the_configuration_counts() {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    let mut config = config("wait");
    config["timeouts"] = json!({ "create": "100ms" });
    let errors = note.apply(config).await.expect_err("it fails");
    assert!(messages(&errors).contains("It took too long"), "{errors}");
    assert!(note.is_tainted());
}

#[tokio::test]
async fn notes_are_imported_by_id_and_by_identity() -> Result<(), Diagnostics> {
    let world = world().await;
    world.host.resource("note_note").apply(config("hello")).await?;

    let mut imported = world.host.resource("note_note");
    imported.import("note/first").await?;
    assert_eq!(imported.state().get("text"), &Value::from("hello"));

    let mut imported = world.host.resource("note_note");
    imported.import_identity(json!({ "title": "first" })).await?;
    assert_eq!(imported.state().get("revision"), &Value::from(1));

    let absent = world.host.resource("note_note").import("note/absent").await.expect_err("it is not there");
    assert!(messages(&absent).contains("non-existent"), "{absent}");
    assert!(world.host.resource("note_note").import("nonsense").await.is_err());
    Ok(())
}

#[tokio::test]
async fn bad_configuration_is_refused_where_it_is() {
    let world = world().await;
    let note = world.host.resource("note_note");
    let problems = async |change: fn(&mut Json)| {
        let mut config = config("hello");
        change(&mut config);
        let errors = note.validate(config).await.expect_err("it is refused");
        errors.iter().map(|problem| problem.path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(problems(|config| config["title"] = "Not A Name".into()).await, ["title"]);
    assert_eq!(problems(|config| config["keep"] = "soon".into()).await, ["keep"]);
    assert_eq!(
        problems(|config| config["readers"]["ann"] = json!({ "access": "all" })).await,
        [r#"readers["ann"].access"#]
    );
}

#[tokio::test]
async fn unknown_configuration_is_valid_and_planned() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    let unknown = |name: &str| if name == "title" { Value::from("first") } else { Value::unknown() };
    let names = ["title", "text", "weight", "keep", "labels", "readers", "stamps", "secret_wo", "timeouts"];
    let mut config: Value = names.iter().map(|name| (*name, unknown(name))).collect();
    if let Value::Map(config) = &mut config {
        config.extend(["id", "revision"].map(|name| (name.to_owned(), Value::Null)));
    }
    let step = note.plan(config).await?;
    assert_eq!((step.action, step.planned.get("readers")), (Action::Create, &Value::unknown()));
    Ok(())
}

#[tokio::test]
async fn data_sources_and_functions_answer() -> Result<(), Diagnostics> {
    let world = world().await;
    world.host.resource("note_note").apply(config("hello")).await?;
    let count = world.host.data_source("note_count", json!({})).await?;
    assert_eq!(count.get("total"), &Value::from(1));

    let shout = async |arguments| world.host.call("shout", arguments).await;
    assert_eq!(shout(vec!["hey".into(), Value::from(2)]).await, Ok("HEYHEY".into()));
    assert_eq!(shout(vec!["hey".into(), Value::Null]).await, Ok("HEY".into()));
    assert_eq!(shout(vec!["hey".into(), Value::from(11)]).await.map_err(|error| error.argument), Err(Some(1)));
    assert_eq!(shout(vec!["".into(), Value::Null]).await.map_err(|error| error.argument), Err(Some(0)));
    Ok(())
}

#[tokio::test]
async fn a_function_takes_null_unknown_any_type_and_any_number_of_arguments() {
    let world = world().await;
    let letter = async |arguments| world.host.call("letter", arguments).await;
    let lines = |lines: &[&str]| Value::List(lines.iter().map(|line| Value::from(*line)).collect());
    assert_eq!(letter(vec![Value::Null]).await, Ok(lines(&["Dear all,"])));
    assert_eq!(letter(vec!["ann".into(), "hello".into(), Value::Null]).await, Ok(lines(&["Dear ann,", "hello", ""])));
    let blamed = async |arguments| letter(arguments).await.map_err(|error| error.argument);
    assert_eq!(blamed(vec!["ann".into(), "hi".into(), "bye".into()]).await, Err(Some(2)));
    assert_eq!(blamed(vec!["ann".into(), "hi".into(), "a line that is too long".into()]).await, Err(Some(2)));
    assert_eq!(blamed(vec![]).await, Err(None));

    let describe = async |thing| world.host.call("describe", vec![thing]).await;
    assert_eq!(describe(Value::unknown()).await, Ok("not known yet".into()));
    assert_eq!(describe(Value::Null).await, Ok("nothing".into()));
    assert_eq!(describe(lines(&["a"])).await, Ok("a tuple".into()));

    let labelled = world.host.call("label", vec![true.into()]).await;
    let expected: Value = [("label", Value::from("thing")), ("thing", true.into())].into_iter().collect();
    assert_eq!(labelled, Ok(expected.into_dynamic()));

    let card = |title: &str| Value::from_iter([("title", Value::from(title)), ("tags", Value::Null)]);
    let tidied = world.host.call("tidy", vec![card("b"), Value::List(vec![card("a")])]).await;
    assert_eq!(tidied, Ok(Value::from_iter([("a", card("a")), ("b", card("b"))])));
}

#[tokio::test]
async fn a_host_that_would_store_a_secret_is_given_none_at_any_depth() {
    let world = world().await;
    let note = world.host.resource("note_note");
    let config = json!({ "title": "first", "secret_wo": "hush", "locks": { "front": { "code_wo": "1" }, "back": {} } });
    assert!(note.validate(config.clone()).await.is_ok());
    let errors = note.validate_for_older_host(config).await.expect_err("it is refused");
    let paths: Vec<_> = errors.iter().map(|error| error.path.to_string()).collect();
    assert_eq!(paths, ["secret_wo", r#"locks["front"].code_wo"#]);
    assert!(messages(&errors).contains("needs a host with write-only attributes"), "{errors}");
}

#[tokio::test]
async fn a_memo_becomes_a_note_and_a_stone_does_not() -> Result<(), Diagnostics> {
    let world = world().await;
    world.host.resource("note_memo").apply(json!({ "name": "first", "text": "hello" })).await?;
    let source = |type_name: &str| MoveSource {
        provider: "registry.terraform.io/example/note".into(),
        type_name: type_name.into(),
        version: 0,
        state: json!({ "name": "first", "text": "hello" }),
        private: Vec::new(),
        identity: None,
    };
    let mut note = world.host.resource("note_note");
    note.move_from(source("note_memo")).await?;
    assert_eq!(note.state().get("text"), &Value::from("hello"));
    assert_eq!(note.identity().map(|identity| identity.get("title").clone()), Some("first".into()));
    let errors = world.host.resource("note_note").move_from(source("stone")).await.expect_err("it is refused");
    assert!(messages(&errors).contains("A stone is no note"), "{errors}");
    let errors = world.host.resource("note_memo").move_from(source("stone")).await.expect_err("it is refused");
    assert!(messages(&errors).contains("A stone of registry.terraform.io/example/note cannot become"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn an_identity_of_an_older_release_is_upgraded_and_of_a_newer_one_refused() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    note.apply(config("hello")).await?;
    note.restore_identity(0, json!({ "name": "first" })).await?;
    assert_eq!(note.identity().map(|identity| identity.get("title").clone()), Some("first".into()));
    assert_eq!(note.apply(config("hello")).await?.action, Action::NoOp);
    let errors = note.restore_identity(2, json!({ "title": "first" })).await.expect_err("it is refused");
    assert!(messages(&errors).contains("written by a newer release"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn what_is_deprecated_is_told_where_it_is_used() -> Result<(), Diagnostics> {
    let world = world().await;
    let memo = world.host.resource("note_memo");
    let warnings = async |config| Ok::<_, Diagnostics>(messages(&memo.validate(config).await?));
    let told = warnings(json!({ "name": "first" })).await?;
    assert!(told.contains("warning: note_memo is deprecated: Use note_note") && !told.contains("`text`"), "{told}");
    let told = warnings(json!({ "name": "first", "text": "x" })).await?;
    assert!(told.contains("warning at text: `text` is deprecated: Say nothing."), "{told}");
    Ok(())
}

#[tokio::test]
async fn a_query_finds_notes_up_to_its_limit_and_with_their_state_where_asked() -> Result<(), Diagnostics> {
    let world = world().await;
    for title in ["a-1", "a-2", "b-1"] {
        world.host.resource("note_note").apply(json!({ "title": title, "text": "hello" })).await?;
    }
    let all = world.host.list("note_note", json!({}), 0, false).await?;
    let names: Vec<_> = all.iter().map(|listed| listed.display_name.as_str()).collect();
    assert_eq!(names, ["Note a-1", "Note a-2", "Note b-1"]);
    assert!(all.iter().all(|listed| listed.resource.is_none()));

    let some = world.host.list("note_note", json!({ "prefix": "a" }), 1, true).await?;
    let titles: Vec<_> = some.iter().map(|listed| listed.identity.get("title")).collect();
    assert_eq!(titles, [&Value::from("a-1")]);
    let state = some.first().and_then(|listed| listed.resource.clone()).unwrap_or(Value::Null);
    assert_eq!(state.get("text"), &Value::from("hello"));

    let errors = world.host.list("note_note", json!({ "prefix": "broken" }), 0, false).await.expect_err("it fails");
    assert!(messages(&errors).contains("error at prefix: The drawer is broken"), "{errors}");
    let errors = world.host.list("note_note", json!({ "prefix": "x".repeat(64) }), 0, false).await;
    assert!(errors.is_err_and(|errors| messages(&errors).contains("error at prefix: Invalid")));
    Ok(())
}

#[tokio::test]
async fn an_action_says_how_it_gets_on_and_how_it_ended() -> Result<(), Diagnostics> {
    let world = world().await;
    let invoke = async |config: Json| world.host.invoke("note_copy", config).await;
    world.host.resource("note_note").apply(config("hello")).await?;
    let copied = invoke(json!({ "title": "first", "copies": 2 })).await?;
    assert_eq!((copied.progress, copied.end.is_ok()), (vec!["made copy 1".into(), "made copy 2".into()], true));
    assert!(world.directory.path().join("first.copy-2").exists());

    let failed = invoke(json!({ "title": "absent" })).await?.end.expect_err("it fails");
    assert!(messages(&failed).contains("Cannot copy the note"), "{failed}");
    assert!(invoke(json!({ "title": "first", "copies": 0 })).await.is_err());
    let refused = invoke(json!({ "title": "first", "copies": 13 })).await.expect_err("it is refused");
    assert!(messages(&refused).contains("error at copies: Thirteen"), "{refused}");

    let stop = async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        world.host.stop();
    };
    let (stopped, ()) = tokio::join!(invoke(json!({ "title": "first", "copies": 1000 })), stop);
    let errors = stopped?.end.expect_err("it is interrupted");
    assert!(messages(&errors).contains("error: Interrupted: 2 copies were made"), "{errors}");
    Ok(())
}

#[tokio::test]
async fn a_configuration_generated_from_a_note_plans_nothing() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut note = world.host.resource("note_note");
    let mut config = config("hello");
    config.as_object_mut().expect("an object").remove("secret_wo");
    note.apply(config).await?;
    let generated = note.generate_config().await?;
    assert_eq!(generated.get("revision"), &Value::Null);
    assert_eq!(generated.get("readers").get("ann").get("access"), &Value::Null);
    assert_eq!(generated.get("readers").get("bob").get("access"), &Value::from("write"));
    assert_eq!(note.plan(generated).await?.action, Action::NoOp);
    Ok(())
}

#[tokio::test]
async fn a_key_is_opened_renewed_and_closed_with_what_the_open_remembered() -> Result<(), Diagnostics> {
    let world = world().await;
    let mut key = world.host.open("note_key", json!({ "drawer": "top" })).await?;
    assert_eq!(key.result().get("secret"), &Value::from("key-of-top"));
    assert_eq!(key.result().get("turn"), &Value::from("right"));
    assert!(key.renew_at().is_some_and(|time| time > std::time::SystemTime::now()));
    key.renew().await?;
    assert_eq!(key.renew_at(), None);
    key.close().await?;
    let log = std::fs::read_to_string(world.directory.path().join("top.log")).expect("the log");
    assert_eq!(log, "open\nrenew\nclose\n");

    let refused = async |config: Json| match world.host.open("note_key", config).await {
        Ok(_) => panic!("it opens"),
        Err(errors) => messages(&errors),
    };
    assert!(refused(json!({ "drawer": "jammed" })).await.contains("error at drawer: The drawer is jammed"));
    assert!(refused(json!({ "drawer": "top", "turn": "left" })).await.contains("error at turn"));
    assert!(refused(json!({ "drawer": "No Name" })).await.contains("error at drawer: Invalid"));
    Ok(())
}

#[tokio::test]
async fn without_configuration_a_change_is_an_error_and_validation_is_not() {
    let host = Host::new(note::NoteProvider);
    let mut note = host.resource("note_note");
    assert!(note.validate(config("hello")).await.is_ok());
    let errors = note.apply(config("hello")).await.expect_err("it fails");
    assert!(messages(&errors).contains("The provider is not configured"), "{errors}");
}
