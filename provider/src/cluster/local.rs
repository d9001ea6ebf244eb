//! A cluster on this machine: one data directory, one server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use falaj_api::client::{Client, ClientError};
use falaj_api::cluster::ClusterSpec;
use falaj_api::local::{ADMIN_DIR, CA_FILE, CERT_FILE, KEY_FILE, Running, SEED_FILE, Seed};

use super::process;
use super::runtime::{Bundle, Installed, current, make_private_dir, write_whole};
use super::service::{Service, Starting, Unit};
use crate::connection::{Connection, release};

const START_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// A data directory, whether there is a cluster in it or not.
#[derive(Debug, Clone)]
pub struct LocalCluster {
    name: String,
    dir: PathBuf,
}

/// A seed, and whether no runtime has ever lived from it.
#[derive(Debug)]
pub struct Planted {
    pub seed: Seed,
    pub fresh: bool,
}

/// Why a local cluster is not there.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("cannot {action}: {source}")]
    Io { action: String, source: io::Error },
    #[error(
        "the runtime that belongs to this provider is missing: there is no {path}. It comes in the same archive as the provider; FALAJ_RUNTIME may name it elsewhere"
    )]
    NoRuntime { path: PathBuf },
    #[error("the runtime ended at once ({status}): {said}")]
    Ended { status: String, said: String },
    #[error("the runtime did not answer within {seconds} s: {reason}")]
    Silent { seconds: u64, reason: String },
    #[error("another run is starting this cluster and does not end; it holds {path}")]
    StartLocked { path: PathBuf },
    #[error("the server that uses {dir} did not stop within {seconds} s")]
    NotStopped { dir: PathBuf, seconds: u64 },
    #[error("{0}")]
    Downgrade(String),
    #[error("{command} failed: {said}. systemd keeps this cluster running (local.service), so it has to answer here")]
    Service { command: String, said: String },
    #[error(
        "{path} is not the unit of the data directory {dir}, but of another cluster of this name; give this one another name, or remove that unit"
    )]
    ForeignUnit { path: PathBuf, dir: PathBuf },
}

/// A server that was asked to start, and by whom.
enum Begun {
    Process(process::Started),
    Unit(Starting),
}

impl LocalError {
    pub fn io(action: impl Into<String>, source: io::Error) -> Self {
        Self::Io { action: action.into(), source }
    }
}

impl LocalCluster {
    pub fn new(data_dir: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), dir: data_dir.join(name) }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the cluster began with; `None` if there is none here.
    pub fn seed(&self) -> Result<Option<Seed>, LocalError> {
        let path = self.dir.join(SEED_FILE);
        let failed = |source| LocalError::io(format!("read {}", path.display()), source);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| failed(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Lays down the data directory and the seed. Where a runtime has lived, the
    /// seed is left as it is: whether the cluster may be taken over, its runtime
    /// decides.
    pub fn plant(&self, spec: &ClusterSpec) -> Result<Planted, LocalError> {
        let before = self.seed()?;
        if let Some(seed) = before.as_ref().filter(|_| self.has_lived()) {
            return Ok(Planted { seed: seed.clone(), fresh: false });
        }
        let failed = |source| LocalError::io(format!("make the data directory {}", self.dir.display()), source);
        make_private_dir(&self.dir).map_err(failed)?;
        let uid = before.map_or_else(|| uuid::Uuid::new_v4().to_string(), |seed| seed.uid);
        let seed = Seed { name: self.name.clone(), uid, spec: spec.clone() };
        let text = serde_json::to_vec_pretty(&seed).map_err(|error| failed(error.into()))?;
        write_whole(&self.dir.join(SEED_FILE), &text).map_err(failed)?;
        Ok(Planted { seed, fresh: true })
    }

    /// Whether a runtime has ever come to life here.
    pub fn has_lived(&self) -> bool {
        self.dir.join(ADMIN_DIR).exists()
    }

    /// What keeps the server running.
    pub fn service(&self) -> Service {
        if self.unit().is_some() { Service::Systemd } else { Service::None }
    }

    /// The unit that keeps the server running, if one does.
    fn unit(&self) -> Option<Unit> {
        Unit::of(&self.name, &self.dir).ok().filter(Unit::exists)
    }

    /// # Errors
    /// Another cluster of this name has the unit that this one would have.
    pub fn check_unit_is_free(&self) -> Result<(), LocalError> {
        Unit::of(&self.name, &self.dir)?.check_free()
    }

    /// Hands the server over to what is to keep it running from now on. True if
    /// it was another before: the server answers elsewhere now.
    ///
    /// # Errors
    /// It does not come up there. It is left as it would be without a service.
    pub async fn keep_by(&self, service: Service) -> Result<bool, LocalError> {
        if self.service() == service {
            return Ok(false);
        }
        if service == Service::Systemd {
            self.check_unit_is_free()?;
        }
        let _start = process::lock_start(&self.dir, START_TIMEOUT).await?;
        if let Some(unit) = self.unit() {
            unit.remove().await?;
        }
        process::stop(&self.dir).await?;
        tracing::info!(cluster = self.name, %service, "handing the runtime over");
        match service {
            Service::None => drop(self.start().await?),
            Service::Systemd => {
                let unit = Unit::of(&self.name, &self.dir)?;
                let handed_over = match self.start_by(&unit).await {
                    Ok(begun) => self.wait_for(Some(begun)).await,
                    Err(error) => Err(error),
                };
                if handed_over.is_err() && unit.exists() {
                    unit.remove().await?;
                }
                handed_over?;
            }
        }
        Ok(true)
    }

    /// A connection to the cluster's server, which is started if it is down.
    pub async fn ensure_running(&self) -> Result<Connection, LocalError> {
        if let Some(connection) = self.answering().await {
            return Ok(connection);
        }
        // Keeps other provider processes from starting a second one meanwhile.
        let _start = process::lock_start(&self.dir, START_TIMEOUT).await?;
        if let Some(connection) = self.answering().await {
            return Ok(connection);
        }
        if process::is_held(&self.dir)? {
            return self.wait_for(None).await;
        }
        self.start().await
    }

    /// Puts the provider's own runtime in the place of the one that runs.
    ///
    /// # Errors
    /// The provider's is older, or it does not come up.
    pub async fn upgrade(&self) -> Result<Connection, LocalError> {
        let _start = process::lock_start(&self.dir, START_TIMEOUT).await?;
        if let Some(installed) = current(&self.dir)?
            && release(&installed.version) > release(falaj_api::version())
        {
            return Err(LocalError::Downgrade(format!(
                "the cluster {:?} runs {}, which is newer than this provider ({}); its data cannot go back",
                self.name,
                installed.version,
                falaj_api::version()
            )));
        }
        self.stop().await?;
        Bundle::find()?.install(&self.dir)?;
        self.start().await
    }

    async fn stop(&self) -> Result<(), LocalError> {
        if let Some(unit) = self.unit() {
            unit.stop().await?;
        }
        process::stop(&self.dir).await
    }

    /// Stops the server and removes everything of the cluster.
    pub async fn remove(&self) -> Result<(), LocalError> {
        if let Some(unit) = self.unit() {
            unit.remove().await?;
        }
        process::stop(&self.dir).await?;
        let failed = |source| LocalError::io(format!("remove {}", self.dir.display()), source);
        // Out of the way in one step, so that nothing half removed is ever found.
        let parent = self.dir.parent().unwrap_or(Path::new("/"));
        let doomed = parent.join(format!(".{}-{}", self.name, uuid::Uuid::new_v4()));
        match fs::rename(&self.dir, &doomed) {
            Ok(()) => fs::remove_dir_all(&doomed).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// The server's answer, if it gives one.
    async fn answering(&self) -> Option<Connection> {
        let running = process::running(&self.dir)?;
        process::is_held(&self.dir).ok().filter(|held| *held)?;
        self.open(&running).await.ok()
    }

    async fn open(&self, running: &Running) -> Result<Connection, ClientError> {
        let admin = self.dir.join(ADMIN_DIR);
        let client = Client::new(&running.url, &admin.join(CA_FILE), &admin.join(CERT_FILE), &admin.join(KEY_FILE))?;
        Connection::open(client).await
    }

    /// The copy to start from: the cluster's own, until `runtime_version` asks
    /// for another. Between builds of one release it follows the provider's,
    /// which matters to its developers.
    fn installed(&self) -> Result<Installed, LocalError> {
        let bundled = || Bundle::find()?.install(&self.dir);
        match current(&self.dir)? {
            Some(installed) if installed.version != falaj_api::version() => Ok(installed),
            Some(installed) => bundled().or(Ok(installed)),
            None => bundled(),
        }
    }

    async fn start(&self) -> Result<Connection, LocalError> {
        let begun = match self.unit() {
            Some(unit) => self.start_by(&unit).await?,
            None => {
                let installed = self.installed()?;
                tracing::info!(cluster = self.name, version = installed.version, "starting the cluster's runtime");
                Begun::Process(process::start(&self.dir, &installed)?)
            }
        };
        self.wait_for(Some(begun)).await
    }

    async fn start_by(&self, unit: &Unit) -> Result<Begun, LocalError> {
        let key = self.seed()?.map(|seed| seed.spec.kms_key.uri.to_string()).unwrap_or_default();
        unit.start(&self.installed()?, &key).await.map(Begun::Unit)
    }

    /// Waits until the server answers: one that was started here, or by another.
    async fn wait_for(&self, mut begun: Option<Begun>) -> Result<Connection, LocalError> {
        let since = Instant::now();
        let mut reason = "it has not said where it answers".to_owned();
        let mut told = 0;
        while since.elapsed() < START_TIMEOUT {
            let ended = match &mut begun {
                Some(Begun::Process(started)) => started.ended(&self.dir),
                Some(Begun::Unit(starting)) => starting.ended().await,
                None => None,
            };
            if let Some(ended) = ended {
                return Err(ended);
            }
            let running = match &begun {
                Some(Begun::Process(started)) => started.running(&self.dir),
                _ => process::running(&self.dir),
            };
            if let Some(running) = running {
                match self.open(&running).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) => reason = error.to_string(),
                }
            }
            if since.elapsed().as_secs() / 5 > told {
                told = since.elapsed().as_secs() / 5;
                tracing::info!(
                    cluster = self.name,
                    seconds = since.elapsed().as_secs(),
                    reason,
                    "waiting for the runtime"
                );
            }
            tokio::time::sleep(POLL).await;
        }
        Err(LocalError::Silent { seconds: START_TIMEOUT.as_secs(), reason })
    }
}
