//! The provider in the hands of a client of the plugin protocol that is
//! neither a core nor ours.

use std::process::Command;

use falaj_tests::{built, repository, tool};

#[test]
fn an_independent_client_agrees_with_the_provider() {
    let mut driver = Command::new(tool("tofusoup"));
    driver.arg(repository().join("tests/tools/tofusoup/drive.py")).arg(built("terraform-provider-falaj"));
    let driven = driver.output().unwrap();
    let said = String::from_utf8_lossy(&driven.stdout);
    assert!(driven.status.success(), "{said}{}", String::from_utf8_lossy(&driven.stderr));
    assert_eq!(said.lines().count(), 9, "{said}");
}
