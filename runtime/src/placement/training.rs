//! The process of a training run, wherever it is.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use falaj_api::local::{CA_FILE, CERT_FILE, KEY_FILE};
use falaj_kube::{
    diagnose::Kind,
    training::Training,
    workload::{self, Nodes, Resources},
};
use falaj_store::operations::{self, Operation};
use k8s_openapi::api::{batch::v1::Job, core::v1::Secret};
use tokio::process::Child;

use super::{Placement, Pods, command, spawn};
use crate::{
    control::Control,
    identity::Principal,
    pipe::{Receiver, Sender},
    switchboard::{Read, Write},
};

/// How often it is looked why a pod does not come.
const LOOK: Duration = Duration::from_secs(2);
/// Days that a pod's certificate holds.
const TRAINER_DAYS: i64 = 7;

/// A process that trains, and the pipes to it. It ends with this.
pub struct Trainer {
    pub input: Sender<Write>,
    pub output: Receiver<Read>,
    home: Home,
}

enum Home {
    Child(Box<Child>),
    /// Dropping it deletes the Job.
    Pod(Box<Abandon>),
}

impl Trainer {
    /// Starts `falaj train` for this attempt.
    ///
    /// # Errors
    /// It cannot be started; for a pod, why.
    pub async fn start(control: &Control, operation: &Operation) -> Result<Self> {
        match &control.host.placement {
            Placement::Processes => child(control),
            Placement::Pods(pods) => pod(control, pods, operation).await,
        }
    }

    /// What is known of a process that ended before it was done.
    pub async fn ended(self) -> String {
        match self.home {
            Home::Child(mut child) => {
                let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
                format!("it ended early ({status}); see logs/train.log")
            }
            Home::Pod(abandon) => abandon.why().await,
        }
    }
}

fn child(control: &Control) -> Result<Trainer> {
    let mut command = command(&control.host, "train", "train.log")?;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = spawn(command)?;
    let input = Sender::new(Box::new(child.stdin.take().context("no pipe to the process")?) as Write);
    let output = Receiver::new(Box::new(child.stdout.take().context("no pipe from the process")?) as Read);
    Ok(Trainer { input, output, home: Home::Child(Box::new(child)) })
}

async fn pod(control: &Control, pods: &Pods, operation: &Operation) -> Result<Trainer> {
    let training = Training {
        operation: operation.id.clone(),
        attempt: operation.attempt,
        resources: Resources::new("1", "2Gi"),
        nodes: Nodes::default(),
    };
    let (name, labels) = (training.name(), training.labels(&pods.site));
    let mut arrival = control.switchboard.expect(&operation.id, operation.attempt);
    let abandon = Abandon { pods: pods.clone(), training: training.clone() };
    let principal = Principal::Trainer { operation: operation.id.clone(), attempt: operation.attempt };
    let leaf = control.host.authority.client(&principal, TRAINER_DAYS)?;
    let files = [
        (CA_FILE, control.host.authority.certificate_pem()),
        (CERT_FILE, leaf.certificate_pem.as_str()),
        (KEY_FILE, leaf.key_pem.as_str()),
    ];
    pods.kube.take(&workload::identity(&pods.site, &name, &labels, &Default::default(), &files)).await?;
    pods.kube.take(&training.job(&pods.site)?).await?;
    let selector = training.selector(&pods.site);
    let mut troubled: Option<(Kind, Instant)> = None;
    let arrived = loop {
        if let Ok(arrived) = tokio::time::timeout(LOOK, &mut arrival).await {
            break arrived.context("the attempt was given up")?;
        }
        let Some(cause) = pods.kube.explain(&pods.site.namespace, &selector, &[&name]).await? else { continue };
        let since = match troubled {
            Some((kind, since)) if kind == cause.kind => since,
            _ => troubled.insert((cause.kind, Instant::now())).1,
        };
        if cause.patience.is_some_and(|patience| since.elapsed() >= patience) {
            control.switchboard.forget(&operation.id, operation.attempt);
            bail!("{cause}");
        }
        let mut tx = control.store.begin().await?;
        // Superseded: a newer run took over, and this one's Job is deleted.
        operations::advance(&mut tx, &operation.id, operation.attempt, 0.0, &format!("waiting: {cause}")).await?;
        tx.commit().await?;
    };
    pods.attest(&arrived.hello.pod, arrived.peer, &selector).await?;
    Ok(Trainer { input: arrived.sender, output: arrived.receiver, home: Home::Pod(Box::new(abandon)) })
}

/// Deletes the Job when it is no longer wanted.
struct Abandon {
    pods: Pods,
    training: Training,
}

impl Abandon {
    async fn why(&self) -> String {
        let (pods, name) = (&self.pods, self.training.name());
        // What ended is known to Kubernetes a moment later than to us.
        tokio::time::sleep(LOOK).await;
        match pods.kube.explain(&pods.site.namespace, &self.training.selector(&pods.site), &[&name]).await {
            Ok(Some(cause)) => cause.to_string(),
            Ok(None) => format!("the Job {name} ended early"),
            Err(error) => format!("the Job {name} ended early, and Kubernetes cannot be asked why: {error}"),
        }
    }
}

impl Drop for Abandon {
    fn drop(&mut self) {
        let (pods, name) = (self.pods.clone(), self.training.name());
        tokio::spawn(async move {
            let namespace = Some(pods.site.namespace.as_str());
            let gone = async {
                pods.kube.delete::<Job>(namespace, &name).await?;
                pods.kube.delete::<Secret>(namespace, &name).await
            };
            if let Err(error) = gone.await {
                tracing::warn!(%error, job = name, "what a training run leaves could not be deleted");
            }
        });
    }
}
