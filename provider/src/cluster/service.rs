//! What keeps a local cluster's server running: nothing, or systemd.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fmt, fs, io};

use falaj_api::local::SERVER_LOG;
use tokio::process::Command;

use super::LocalError;
use super::runtime::Installed;
use super::unit::{UnitText, mark};

/// Time between two looks at a unit that is starting.
const LOOK: Duration = Duration::from_millis(500);

/// What keeps a server running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The provider starts it whenever it needs it.
    None,
    Systemd,
}

impl Service {
    /// As `local.service` says; anything else is refused by its validation.
    pub fn of(text: &str) -> Self {
        if text == "systemd" { Self::Systemd } else { Self::None }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Systemd => "systemd",
        })
    }
}

/// Whether systemd can keep a server of this user running.
///
/// # Errors
/// It cannot; the text says why.
pub async fn available() -> Result<(), String> {
    let output = match systemctl(&["is-system-running"]).output().await {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("this machine has no systemctl".to_owned());
        }
        Err(error) => return Err(format!("systemctl cannot be run: {error}")),
    };
    let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match state.as_str() {
        "initializing" | "starting" | "running" | "degraded" | "maintenance" => Ok(()),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
            let whose = if is_root() { "systemd is" } else { "the systemd of this user is" };
            let state = if state.is_empty() { "not running" } else { &state };
            Err(if said.is_empty() { format!("{whose} {state}") } else { format!("{whose} {state} ({said})") })
        }
    }
}

/// Whether the services of this user end when the user logs out, and so do not
/// start with the machine either.
pub fn ends_at_logout() -> bool {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    !is_root() && !user.is_ok_and(|user| Path::new("/var/lib/systemd/linger").join(user).exists())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `systemctl` of the system for root, of the user for anybody else.
fn systemctl(arguments: &[&str]) -> Command {
    let mut command = Command::new("systemctl");
    if !is_root() {
        command.arg("--user");
        let runtime = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
        // Not set where a user works through sudo or cron.
        if std::env::var_os("XDG_RUNTIME_DIR").is_none() && runtime.is_dir() {
            command.env("XDG_RUNTIME_DIR", runtime);
        }
    }
    command.args(["--no-pager", "--no-ask-password"]).args(arguments);
    command.env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(arguments: &[&str]) -> Result<String, LocalError> {
    let failed = |said: String| LocalError::Service { command: format!("systemctl {}", arguments.join(" ")), said };
    let output = systemctl(arguments).output().await.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The unit of a cluster, whether it is there or not.
#[derive(Debug, Clone)]
pub struct Unit {
    cluster: String,
    /// The data directory, without links.
    dir: PathBuf,
    name: String,
    path: PathBuf,
}

impl Unit {
    /// # Errors
    /// It is not known where the units of this user are.
    pub fn of(cluster: &str, dir: &Path) -> Result<Self, LocalError> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = if is_root() {
            PathBuf::from("/etc/systemd/system")
        } else {
            let settings = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
            let unknown = || io::Error::other("neither XDG_CONFIG_HOME nor HOME is set");
            let settings = settings.ok_or_else(|| LocalError::io("find this user's systemd units", unknown()))?;
            settings.join("systemd/user")
        };
        let name = format!("falaj-{cluster}.service");
        let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        Ok(Self { cluster: cluster.to_owned(), dir, path: folder.join(&name), name })
    }

    /// Whether there is such a unit, and it is of this data directory.
    pub fn exists(&self) -> bool {
        let mark = mark(&self.dir);
        fs::read_to_string(&self.path).is_ok_and(|text| text.lines().any(|line| line == mark))
    }

    /// # Errors
    /// Another cluster has a unit of this name.
    pub fn check_free(&self) -> Result<(), LocalError> {
        if self.path.exists() && !self.exists() {
            return Err(LocalError::ForeignUnit { path: self.path.clone(), dir: self.dir.clone() });
        }
        Ok(())
    }

    /// Makes the unit start this copy of the runtime, now and with the machine.
    ///
    /// # Errors
    /// Another cluster has a unit of this name, or systemd refuses it.
    pub async fn start(&self, installed: &Installed, key_uri: &str) -> Result<Starting, LocalError> {
        self.check_free()?;
        let log = self.dir.join(SERVER_LOG);
        let failed = |source| LocalError::io(format!("write {}", self.path.display()), source);
        let text = UnitText {
            cluster: &self.cluster,
            dir: &self.dir,
            program: installed.program(&self.dir),
            onnxruntime: installed.onnxruntime(&self.dir),
            log: log.clone(),
            home: std::env::var_os("HOME").map(PathBuf::from),
            system: is_root(),
            needs_tmp: below_tmp(&self.dir)
                || below_tmp(Path::new(key_uri.strip_prefix("file://").unwrap_or_default())),
        };
        let text = text.render().map_err(|problem| failed(io::Error::other(problem)))?;
        let log_from = super::process::open_log(&self.dir).and_then(|log| log.metadata()).map_err(failed)?.len();
        if fs::read_to_string(&self.path).ok().as_ref() != Some(&text) {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new("/"))).map_err(failed)?;
            super::runtime::write_whole(&self.path, text.as_bytes()).map_err(failed)?;
            run(&["daemon-reload"]).await?;
        }
        run(&["enable", "--quiet", &self.name]).await?;
        let restarts = self.restarts().await?;
        run(&["start", &self.name]).await?;
        tracing::info!(unit = self.name, "systemd keeps the runtime running");
        Ok(Starting { unit: self.clone(), log, log_from, restarts, looked: Instant::now() })
    }

    /// Stops the server until it is started again.
    pub async fn stop(&self) -> Result<(), LocalError> {
        run(&["stop", &self.name]).await.map(drop)
    }

    /// Stops the server and forgets the unit.
    pub async fn remove(&self) -> Result<(), LocalError> {
        run(&["disable", "--now", "--quiet", &self.name]).await?;
        fs::remove_file(&self.path)
            .map_err(|source| LocalError::io(format!("remove {}", self.path.display()), source))?;
        run(&["daemon-reload"]).await.map(drop)
    }

    /// How often systemd has started the server again.
    async fn restarts(&self) -> Result<u64, LocalError> {
        let said = run(&["show", "--property=NRestarts", "--value", &self.name]).await?;
        Ok(said.trim().parse().unwrap_or(0))
    }
}

fn below_tmp(path: &Path) -> bool {
    path.starts_with("/tmp") || path.starts_with("/var/tmp")
}

/// A server that systemd was asked to start.
pub struct Starting {
    unit: Unit,
    log: PathBuf,
    log_from: u64,
    restarts: u64,
    looked: Instant,
}

impl Starting {
    /// The error of a server that ended and that systemd had to start again.
    pub async fn ended(&mut self) -> Option<LocalError> {
        if self.looked.elapsed() < LOOK {
            return None;
        }
        self.looked = Instant::now();
        let restarts = self.unit.restarts().await.ok()?;
        (restarts > self.restarts).then(|| LocalError::Ended {
            status: format!("{} was started {} times again", self.unit.name, restarts - self.restarts),
            said: super::process::last_lines(&self.log, self.log_from),
        })
    }
}
