//! The conformance suite: every case in the YAML files beside this, in process,
//! over the wire by a client of our own, and by real cores.

#![cfg(unix)]

mod calls;
mod case;
mod client;
#[path = "../common/mod.rs"]
mod common;
mod connection;
#[allow(dead_code)] // Its `main`.
#[path = "../../examples/terraform-provider-corner/main.rs"]
mod corner;
mod life;
mod object;
mod reading;
mod rules;
mod schemas;
mod world;

use connection::{Connection, Way};

async fn every_case_holds(way: Way) {
    let provider = common::example("terraform-provider-corner");
    let cases = case::all();
    let mut problems = Vec::new();
    for case in &cases {
        let connection = Connection::open(way, &provider).await;
        problems.extend(life::run(case, &connection).await);
    }
    println!("{way:?}: {} cases ran, 0 do not apply", cases.len());
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
