//! Processes of this machine: the runtime starts itself again, in another role.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path, process::Stdio};

use anyhow::{Context, Result};
use tokio::process::{Child, Command};

use crate::host::Host;

/// A command of this program's with an empty environment, whose log goes to a
/// file of its own. It is killed when the handle is dropped.
///
/// # Errors
/// The log cannot be opened.
pub fn command(host: &Host, role: &str, log: &str) -> Result<Command> {
    let logs = host.data.dir(&["logs"])?;
    let log = open_log(&logs.join(log))?;
    let mut command = Command::new(&host.program);
    command.arg(role).env_clear().current_dir("/").stderr(Stdio::from(log)).kill_on_drop(true);
    Ok(command)
}

/// # Errors
/// The program cannot be started.
pub fn spawn(mut command: Command) -> Result<Child> {
    command.spawn().context("the runtime could not start itself again")
}

fn open_log(path: &Path) -> Result<std::fs::File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("the log {} cannot be opened", path.display()))
}
