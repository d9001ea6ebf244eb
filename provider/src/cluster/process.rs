//! The server process of a local cluster: started apart from the provider,
//! waited for, stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use falaj_api::local::{LOCK_FILE, RUNNING_FILE, Running, SERVER_LOG};
use rustix::fs::{FlockOperation, flock};

use super::LocalError;
use super::runtime::{Installed, make_private_dir};

const POLL: Duration = Duration::from_millis(100);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that was just started, and where its part of the log begins.
pub struct Started {
    child: Child,
    log_from: u64,
}

/// Starts a server that outlives the provider: no descriptor of the provider's
/// stays open in it, or the host would wait for it for ever. It leaves the
/// provider's session by itself, which the leader of a process group could not.
pub fn start(dir: &Path, installed: &Installed) -> Result<Started, LocalError> {
    let failed = |source| LocalError::io(format!("start {}", installed.program(dir).display()), source);
    let log = open_log(dir).map_err(failed)?;
    let log_from = log.metadata().map_err(failed)?.len();
    let mut command = Command::new(installed.program(dir));
    command.arg("server").arg("--data-dir").arg(dir);
    if let Some(library) = installed.onnxruntime(dir) {
        command.arg("--onnxruntime").arg(library);
    }
    // What the host tells a plugin is not for the plugin's children.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("PLUGIN_") || name.starts_with("TF_")) {
            command.env_remove(&name);
        }
    }
    let errors = log.try_clone().map_err(failed)?;
    let child = command.current_dir(dir).stdin(Stdio::null()).stdout(log).stderr(errors).spawn().map_err(failed)?;
    tracing::info!(pid = child.id(), "started the runtime");
    Ok(Started { child, log_from })
}

/// The server's log, to write at its end.
pub fn open_log(dir: &Path) -> std::io::Result<File> {
    let path = dir.join(SERVER_LOG);
    make_private_dir(path.parent().unwrap_or(dir))?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

impl Started {
    /// The error of a server that ended, with what it said last.
    pub fn ended(&mut self, dir: &Path) -> Option<LocalError> {
        let status = self.child.try_wait().ok().flatten()?;
        let log = dir.join(SERVER_LOG);
        Some(LocalError::Ended { status: status.to_string(), said: last_lines(&log, self.log_from) })
    }

    /// What it says of itself, once it does.
    pub fn running(&self, dir: &Path) -> Option<Running> {
        running(dir).filter(|running| running.pid == self.child.id())
    }
}

/// What the server says of itself; `None` while there is none.
pub fn running(dir: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(dir.join(RUNNING_FILE)).ok()?).ok()
}

/// Whether a server holds the data directory.
pub fn is_held(dir: &Path) -> Result<bool, LocalError> {
    let path = dir.join(LOCK_FILE);
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(LocalError::io(format!("open {}", path.display()), error)),
    };
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive).is_err())
}

/// Held while one provider looks whether a server runs and starts it.
pub struct StartLock(#[allow(dead_code, reason = "holding the file is holding the lock")] File);

/// Waits until no other provider is starting this cluster's server.
pub async fn lock_start(dir: &Path, timeout: Duration) -> Result<StartLock, LocalError> {
    let path = dir.join("start.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.map_err(|source| LocalError::io(format!("open {}", path.display()), source))?;
    let deadline = Instant::now() + timeout;
    while flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        if Instant::now() > deadline {
            return Err(LocalError::StartLocked { path });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(StartLock(file))
}

/// Asks the server to stop and waits until it has let go of the directory.
pub async fn stop(dir: &Path) -> Result<(), LocalError> {
    if !is_held(dir)? {
        return Ok(());
    }
    let pid = running(dir).map(|running| running.pid).filter(|pid| is_ours(*pid, dir));
    let signalled = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    match signalled {
        Some(pid) => {
            if let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM) {
                tracing::debug!(%error, "the server was gone before it was asked to stop");
            }
        }
        None => tracing::debug!("the server has not said who it is; waiting for it to end"),
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while is_held(dir)? {
        if Instant::now() > deadline {
            return Err(LocalError::NotStopped { dir: dir.to_owned(), seconds: STOP_TIMEOUT.as_secs() });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Whether a process serves this data directory: a stale file may name a
/// number that belongs to another program by now. Its command line is asked,
/// because the server closes everything else in `/proc` to its own user.
fn is_ours(pid: u32, dir: &Path) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line.split(|byte| *byte == 0).any(|argument| argument == dir.as_os_str().as_bytes()),
        // Without /proc the lock, which is held, has to do.
        Err(_) => !Path::new("/proc/self").exists(),
    }
}

/// Why a server ended: the end of what its log holds after `from`.
pub fn last_lines(log: &Path, from: u64) -> String {
    let mut text = String::new();
    let read = File::open(log).and_then(|mut file| {
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(8192))))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(())
    });
    if let Err(error) = read {
        return format!("(its log cannot be read: {error})");
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    // What the program says when it gives up is the reason; the log before it is not.
    if let Some(reason) = lines.iter().rev().find_map(|line| line.strip_prefix("falaj: ")) {
        return reason.to_owned();
    }
    format!("it said\n{}", lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n"))
}
