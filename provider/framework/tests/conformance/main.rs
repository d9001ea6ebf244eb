//! The conformance suite: every case in the YAML files beside this, in process,
//! over the wire by a client of our own, and by real cores.

#![cfg(unix)]

mod alone;
mod batch;
mod calls;
mod case;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod connection;
mod cores;
#[allow(dead_code)] // Its `main`.
#[path = "../../examples/terraform-provider-corner/main.rs"]
mod corner;
mod life;
mod object;
mod reading;
mod rules;
mod schemas;
mod shown;
mod streams;
mod told;
mod world;

use connection::{Connection, Way};

/// Says how many cases ran, past the capture of a passing test's output: a
/// hole must not be silent.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        writeln!(std::io::stderr(), $($text)*).expect("standard error")
    }};
}

async fn every_case_holds(way: Way) {
    let provider = common::example("terraform-provider-corner");
    let cases = case::all();
    let mut problems = Vec::new();
    for case in &cases {
        let connection = Connection::open(way, &provider).await;
        problems.extend(life::run(case, &connection).await);
    }
    say!("{way:?}: {} cases ran, 0 do not apply", cases.len());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn every_case_holds_in_process() {
    every_case_holds(Way::InProcess).await;
}

#[tokio::test]
async fn every_case_holds_over_the_wire() {
    every_case_holds(Way::OverTheWire).await;
}

async fn every_case_holds_under(name: &'static str, tool: Option<&str>) {
    let Some(core) = cores::Core::find(name, tool) else { return };
    let provider = common::example("terraform-provider-corner");
    let connection = Connection::open(Way::InProcess, &provider).await;
    let schemas = client::Client::new(connection.transport.clone()).await.schemas;
    let cases = case::all();
    let (problems, not_applicable) = batch::run(&core, &cases, &schemas, &provider);
    say!("{name}: {} cases ran, {} do not apply", cases.len() - not_applicable.len(), not_applicable.len());
    not_applicable.iter().for_each(|case| say!("{name}: does not apply: {}, needs {:?}", case.place, case.needs));
    assert!(problems.is_empty(), "{name}: {} problems:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn every_case_holds_under_the_terraform_on_the_path() {
    every_case_holds_under("the Terraform on the PATH", None).await;
}

#[tokio::test]
async fn every_case_holds_under_terraform_1_15() {
    every_case_holds_under("Terraform 1.15", Some("terraform-1.15")).await;
}

#[tokio::test]
async fn every_case_holds_under_opentofu() {
    every_case_holds_under("OpenTofu", Some("opentofu")).await;
}

#[test]
fn an_independent_client_agrees() {
    let Some(python) = cores::installed("tofusoup") else {
        assert!(std::env::var_os("CI").is_none(), "CI must have tofusoup: tests/tools/install tofusoup");
        say!("SKIPPED: no tofusoup; tests/tools/install tofusoup");
        return;
    };
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/tofusoup/drive.py");
    let provider = common::example("terraform-provider-corner");
    let driven = std::process::Command::new(python).arg(script).arg(provider).output().expect("tofusoup runs");
    let said = String::from_utf8_lossy(&driven.stdout);
    assert!(driven.status.success(), "{said}{}", String::from_utf8_lossy(&driven.stderr));
    assert_eq!(said.lines().count(), 9, "{said}");
}
