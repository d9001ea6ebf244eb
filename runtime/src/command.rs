//! What a person runs against a cluster of this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use falaj_api::{
    client::Client,
    local::{ADMIN_DIR, CA_FILE, CERT_FILE, KEY_FILE, RUNNING_FILE, Running},
    monitor::{DriftReport, RunMonitor, Verdict},
};
use jiff::Timestamp;

/// Which cluster is meant.
#[derive(Debug, Args)]
pub struct Target {
    /// Directory that holds the clusters of this machine, or one cluster's own.
    #[arg(long, env = "FALAJ_DATA_DIR")]
    data_dir: PathBuf,
    /// Name of the cluster, where there are several.
    #[arg(long)]
    cluster: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Monitor {
    /// Looks at what an endpoint saw, now.
    Run {
        /// `<workspace>/<monitor>`.
        monitor: String,
        /// Looks back to this moment instead of over the declared window.
        #[arg(long)]
        from: Option<Timestamp>,
        /// Prints the report as JSON.
        #[arg(long, conflicts_with = "brief")]
        json: bool,
        /// Prints the verdict without the table of features.
        #[arg(long)]
        brief: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Verifies every chain of events from its first, and names the first bad one.
    Verify {
        #[command(flatten)]
        target: Target,
    },
}

/// # Errors
/// The cluster cannot be reached, or refuses.
pub async fn monitor(command: Monitor) -> Result<()> {
    let Monitor::Run { monitor, from, json, brief, target } = command;
    let Some((workspace, monitor)) = monitor.split_once('/') else {
        bail!("{monitor:?} does not name a monitor: write <workspace>/<monitor>, such as people/employed");
    };
    let call = RunMonitor { workspace: workspace.to_owned(), monitor: monitor.to_owned(), from };
    let report = connect(&target.find()?)?.call(&call).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", describe(&report, brief));
    }
    Ok(())
}

/// # Errors
/// The files cannot be read, or a chain was altered.
pub async fn audit(command: Audit) -> Result<()> {
    let Audit::Verify { target } = command;
    crate::audit::verify_files(&target.find()?).await
}

impl Target {
    fn find(&self) -> Result<PathBuf> {
        let is_cluster = |path: &Path| path.join(falaj_api::local::SEED_FILE).is_file();
        if is_cluster(&self.data_dir) {
            return Ok(self.data_dir.clone());
        }
        if let Some(name) = &self.cluster {
            return Ok(self.data_dir.join(name));
        }
        let entries =
            std::fs::read_dir(&self.data_dir).with_context(|| format!("{} cannot be read", self.data_dir.display()))?;
        let clusters: Vec<PathBuf> =
            entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| is_cluster(p)).collect();
        match clusters.as_slice() {
            [only] => Ok(only.clone()),
            [] => bail!("{} holds no cluster", self.data_dir.display()),
            _ => bail!("{} holds several clusters: name one with --cluster", self.data_dir.display()),
        }
    }
}

fn connect(data_dir: &Path) -> Result<Client> {
    let file = data_dir.join(RUNNING_FILE);
    let bytes = std::fs::read(&file)
        .with_context(|| format!("the cluster in {} is not running; `terraform plan` starts it", data_dir.display()))?;
    let running: Running = serde_json::from_slice(&bytes)?;
    let admin = data_dir.join(ADMIN_DIR);
    Ok(Client::new(&running.url, &admin.join(CA_FILE), &admin.join(CERT_FILE), &admin.join(KEY_FILE))?)
}

/// A report as a person reads it in a terminal.
fn describe(report: &DriftReport, brief: bool) -> String {
    let mark = match report.verdict {
        Verdict::NoMaterialDrift => "✓",
        Verdict::Drift => "⚠",
        Verdict::InsufficientData => "…",
    };
    let mut text = format!("{mark} {}\n", report.summary);
    let shown =
        report.features.iter().filter(|feature| feature.drifted).chain(report.features.iter().filter(|f| !f.drifted));
    for feature in shown.take(if brief { 0 } else { 5 }) {
        text.push_str(&format!(
            "    {:<22} {:<20} {:>7.3}  {} {}\n",
            feature.feature,
            feature.method.as_str(),
            feature.statistic,
            if feature.drifted { ">" } else { "≤" },
            feature.threshold,
        ));
    }
    if let Some(performance) = &report.performance {
        text.push_str(&format!(
            "    {} {:.3} on {} labelled rows; {:.3} when it was trained{}\n",
            performance.metric,
            performance.current,
            performance.labelled_rows,
            performance.baseline,
            performance.min.map(|min| format!(", at least {min} is declared")).unwrap_or_default(),
        ));
    }
    text
}
