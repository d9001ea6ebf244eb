//! Fetches pinned packages: from the cache, a mirror, or the snapshot of the day
//! they were pinned. A file is used when its digest is the pinned one, wherever it
//! comes from, so neither mirror nor cache has to be trusted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, StatusCode};

use super::lock::{Lock, Package};
use crate::sha256_hex;

/// Where packages come from.
#[derive(Debug, Clone, clap::Args)]
pub struct Source {
    /// A Debian mirror. Packages of the security archive are looked for at the same address with
    /// `-security` added.
    #[arg(long, env = "FALAJ_DEBIAN_MIRROR", value_name = "URL", default_value = "https://deb.debian.org/debian")]
    pub mirror: String,
    /// Archive of old packages, asked for what has left the mirror.
    #[arg(
        long,
        env = "FALAJ_DEBIAN_SNAPSHOT",
        value_name = "URL",
        default_value = "https://snapshot.debian.org/archive"
    )]
    pub snapshot: String,
    /// Directory that keeps fetched packages, each as `<SHA-256>.deb`. Filled beforehand, nothing is
    /// fetched [default: ~/.cache/falaj/debian].
    #[arg(long, env = "FALAJ_DEBIAN_CACHE", value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

impl Source {
    /// The packages of the lock, as `.deb` files.
    ///
    /// # Errors
    /// A package can be had nowhere with the pinned digest.
    pub async fn fetch(&self, lock: &Lock) -> Result<Vec<Vec<u8>>> {
        let cache = self.cache_dir()?;
        let client = super::http_client()?;
        let mut packages = Vec::new();
        for package in &lock.packages {
            packages.push(self.package(&client, &cache, lock, package).await?);
        }
        Ok(packages)
    }

    fn cache_dir(&self) -> Result<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = self.cache.clone().or_else(|| {
            let base = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
            base.map(|base| base.join("falaj/debian"))
        });
        cache.context("there is no home directory to keep Debian packages in; name a directory with --cache")
    }

    async fn package(&self, client: &Client, cache: &Path, lock: &Lock, package: &Package) -> Result<Vec<u8>> {
        let kept = cache.join(format!("{}.deb", package.sha256));
        if let Ok(bytes) = std::fs::read(&kept)
            && sha256_hex(&bytes) == package.sha256
        {
            return Ok(bytes);
        }
        let archive = package.archive.strip_prefix("debian").unwrap_or_default();
        let mirror = format!("{}{archive}/{}", self.mirror.trim_end_matches('/'), package.path);
        let snapshot =
            format!("{}/{}/{}/{}", self.snapshot.trim_end_matches('/'), package.archive, lock.snapshot, package.path);
        let mut refused = Vec::new();
        for url in [mirror, snapshot] {
            eprintln!("fetching {} {} from {url}", package.name, package.version);
            match download(client, &url, package).await {
                Ok(bytes) => {
                    keep(&kept, &bytes).with_context(|| format!("{} cannot be written", kept.display()))?;
                    return Ok(bytes);
                }
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        bail!(
            "the package {} {} cannot be had:\n  {}\nName a mirror with --mirror, or put the file into {}",
            package.name,
            package.version,
            refused.join("\n  "),
            kept.display()
        )
    }
}

/// Times that a download is tried when the connection or the server fails.
const TRIES: u32 = 3;

async fn download(client: &Client, url: &str, package: &Package) -> Result<Vec<u8>> {
    let mut tried = 1;
    let bytes = loop {
        let outcome = async { client.get(url).send().await?.error_for_status()?.bytes().await }.await;
        match outcome {
            Ok(bytes) => break bytes,
            Err(error) if tried == TRIES || error.status().is_some_and(|status| status.is_client_error()) => {
                if error.status() == Some(StatusCode::NOT_FOUND) {
                    bail!("{url}: not there");
                }
                return Err(anyhow::Error::new(error.without_url()).context(url.to_owned()));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500) * tried).await,
        }
        tried += 1;
    };
    let digest = sha256_hex(&bytes);
    if digest != package.sha256 {
        bail!(
            "{url}: {} bytes with SHA-256 {digest}; pinned are {} with {}",
            bytes.len(),
            package.size,
            package.sha256
        );
    }
    Ok(bytes.to_vec())
}

/// Writes whole or not at all, so that two builds at once do not disturb each other.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let half = folder.join(format!(".{}", uuid::Uuid::new_v4()));
    std::fs::write(&half, bytes)?;
    std::fs::rename(&half, path).inspect_err(|_| {
        let _ = std::fs::remove_file(&half);
    })
}
