//! The pods of an endpoint: what is applied for it, and the replicas that dial.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use falaj_api::{
    Problem,
    endpoint::{EndpointSpec, EndpointStatus},
    local::{CA_FILE, CERT_FILE, KEY_FILE},
};
use falaj_kube::{
    diagnose::Kind,
    labels,
    serving::{ENDPOINT, SPOOL, Serving},
    settings::SERVING_PORT,
    workload::{self, Resources},
};
use falaj_store::records;
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Secret, Service},
    policy::v1::PodDisruptionBudget,
};
use tokio::net::TcpStream;

use super::{
    Outcome, bring,
    processes::{Home, Live},
    record,
    replica::{Captures, Replica},
    snapshot::{self, Desired},
};
use crate::{
    control::Control,
    identity::{Leaf, Principal},
    placement::Pods,
    serve::protocol::{self, Tls},
    stored::from_json,
    switchboard,
};

/// Days that certificates hold; they are renewed at half of them.
const REPLICA_DAYS: i64 = 30;
const CLIENT_DAYS: i64 = 90;
const SERVER_DAYS: i64 = 365;
/// When a certificate is to be renewed, on its Secret.
const RENEW_AFTER: &str = "falaj.dev/renew-after";
/// What others did to our objects is undone after this long; sooner while
/// something is missing.
const REPEAT: Duration = Duration::from_secs(600);
const REPEAT_SOON: Duration = Duration::from_secs(10);

/// How often, and how far apart, an address is tried before others have their turn.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// An endpoint's objects, as this server applied them.
#[derive(Default)]
pub struct EndpointPods {
    pub endpoint: String,
    /// Why no replica serves yet.
    pub waits_for: Option<String>,
    applied: Option<Applied>,
    /// Whether its address was seen to answer, since replicas are there.
    reached: bool,
    /// The kind of trouble that there is, and since when.
    troubled: Option<(Kind, Instant)>,
}

struct Applied {
    spec: EndpointSpec,
    at: Instant,
    address: String,
    tls: Tls,
}

/// True: every endpoint of the workspace has all its replicas.
pub(super) async fn reconcile_workspace(
    control: &Control,
    pods: &Pods,
    live: &mut BTreeMap<String, Live>,
    arrivals: &mut Vec<switchboard::Replica>,
    workspace: &records::Record,
    wanted: &mut BTreeSet<String>,
) -> Result<bool, Problem> {
    let desired = snapshot::desired(control, workspace).await?;
    let mut settled = true;
    for declared in &desired.records {
        wanted.insert(declared.uid.clone());
        let live = live.entry(declared.uid.clone()).or_insert_with(|| Live {
            workspace: workspace.uid.clone(),
            home: Home::Pods(Box::new(EndpointPods { endpoint: declared.name.clone(), ..EndpointPods::default() })),
            replicas: BTreeMap::new(),
        });
        let mine = |replica: &mut switchboard::Replica| {
            replica.workspace == workspace.name && replica.endpoint == declared.name
        };
        let arrived: Vec<_> = arrivals.extract_if(.., mine).collect();
        let Home::Pods(home) = &mut live.home else { continue };
        let endpoint = Endpoint { control, pods, workspace, declared, spec: from_json(declared.spec.clone())? };
        let outcome = endpoint.ensure(home, &mut live.replicas, arrived, desired.only(&declared.name)).await;
        let outcome = outcome.unwrap_or_else(|error| Outcome::Fails(format!("{error:#}")));
        settled &= matches!(outcome, Outcome::Serves) && live.replicas.len() >= endpoint.replicas();
        let status = |_: &str| endpoint.status(home);
        record(control, &workspace.name, std::slice::from_ref(declared), &outcome, status).await?;
    }
    Ok(settled)
}

/// Deletes what belongs to endpoints that are gone. True: it is done.
pub(super) async fn remove_others(pods: &Pods, wanted: &BTreeSet<String>) -> bool {
    let namespace = Some(pods.site.namespace.as_str());
    let selector = labels::query(&labels::selector(&pods.site.cluster, labels::COMPONENT_SERVING));
    let removed = async {
        for deployment in pods.kube.list::<Deployment>(namespace, &selector).await? {
            let uid = deployment.metadata.labels.as_ref().and_then(|labels| labels.get(ENDPOINT));
            let Some(name) = deployment.metadata.name.as_deref() else { continue };
            if uid.is_some_and(|uid| wanted.contains(uid)) {
                continue;
            }
            pods.kube.delete::<Service>(namespace, name).await?;
            pods.kube.delete::<PodDisruptionBudget>(namespace, name).await?;
            pods.kube.delete::<Secret>(namespace, name).await?;
            // Last: it is what the others are found by.
            pods.kube.delete::<Deployment>(namespace, name).await?;
        }
        Ok::<_, falaj_kube::KubeError>(())
    };
    removed.await.inspect_err(|error| tracing::error!(%error, "what endpoints left could not be deleted")).is_ok()
}

impl Desired {
    /// What the pods of one endpoint should have.
    fn only(&self, endpoint: &str) -> Self {
        let mut endpoints = self.endpoints.clone();
        endpoints.retain(|name, _| name == endpoint);
        for snapshot in endpoints.values_mut() {
            if let Some(capture) = &mut snapshot.capture {
                capture.directory = Path::new(SPOOL).join(endpoint);
            }
        }
        let mut artifacts = self.artifacts.clone();
        let variants = || endpoints.values().flat_map(|snapshot| snapshot.variants.values());
        artifacts.retain(|digest, _| variants().any(|variant| variant.artifact == *digest));
        Self { endpoints, artifacts, records: Vec::new(), applications: self.applications.clone() }
    }
}

/// One endpoint, as it is declared.
struct Endpoint<'a> {
    control: &'a Control,
    pods: &'a Pods,
    workspace: &'a records::Record,
    declared: &'a records::Record,
    spec: EndpointSpec,
}

impl Endpoint<'_> {
    fn replicas(&self) -> usize {
        usize::try_from(self.spec.replicas).unwrap_or(usize::MAX)
    }

    fn serving(&self) -> Serving {
        Serving {
            name: workload::name(&format!("{}-{}", self.workspace.name, self.declared.name), &self.declared.uid),
            endpoint: self.declared.name.clone(),
            endpoint_uid: self.declared.uid.clone(),
            replicas: self.spec.replicas,
            resources: Resources::new("250m", "1Gi"),
        }
    }

    async fn ensure(
        &self,
        home: &mut EndpointPods,
        replicas: &mut BTreeMap<String, Replica>,
        arrived: Vec<switchboard::Replica>,
        desired: Desired,
    ) -> Result<Outcome> {
        replicas.retain(|_, replica| replica.alive());
        let serving = self.serving();
        self.admit(&serving, replicas, arrived).await;
        let repeat = if replicas.len() < self.replicas() { REPEAT_SOON } else { REPEAT };
        if home.applied.as_ref().is_none_or(|applied| applied.spec != self.spec || applied.at.elapsed() >= repeat) {
            home.applied = Some(self.apply(&serving, home.applied.take(), &desired.applications).await?);
        }
        let Some(applied) = &home.applied else { return Ok(Outcome::Waits) };
        let uid = &self.workspace.uid;
        let brought = replicas.values_mut().map(|replica| bring(self.control, replica, uid, &applied.tls, &desired));
        let brought = futures::future::join_all(brought).await;
        for (replica, outcome) in replicas.values().zip(brought) {
            // One that is gone will be replaced; what cannot be served is told.
            if let Err(error) = outcome
                && replica.alive()
            {
                return Err(error);
            }
        }
        if replicas.values().any(|replica| replica.alive() && replica.sent.is_some()) {
            home.reached = home.reached || answers(&applied.address).await;
            home.troubled = None;
            home.waits_for = (!home.reached).then(|| format!("{} does not lead to its pods yet", applied.address));
            return Ok(if home.reached { Outcome::Serves } else { Outcome::Waits });
        }
        home.reached = false;
        self.explain(home, &serving).await
    }

    /// Takes the replicas that dialled, as far as they are what they say.
    async fn admit(
        &self,
        serving: &Serving,
        replicas: &mut BTreeMap<String, Replica>,
        arrived: Vec<switchboard::Replica>,
    ) {
        let selector = serving.selector(&self.pods.site);
        for switchboard::Replica { arrival, .. } in arrived {
            let pod = arrival.hello.pod.clone();
            if let Err(error) = self.pods.attest(&pod, arrival.peer, &selector).await {
                tracing::error!(endpoint = self.declared.name, pod, "a pod gets nothing: {error:#}");
                continue;
            }
            let captures = self.control.host.data.root().join("captures");
            let captures = Captures {
                endpoint: self.declared.name.clone(),
                directory: captures.join(&self.workspace.uid).join(&self.declared.uid),
            };
            let replica = Replica::new(
                arrival.receiver,
                arrival.sender,
                arrival.hello.holds,
                Some(captures),
                self.control.serving.changed.clone(),
            );
            replicas.insert(pod, replica);
        }
    }

    /// Makes the objects what they should be.
    async fn apply(
        &self,
        serving: &Serving,
        before: Option<Applied>,
        applications: &BTreeSet<String>,
    ) -> Result<Applied> {
        let (site, kube) = (&self.pods.site, &self.pods.kube);
        let objects = serving.objects(site)?;
        let service = kube.take(&objects.service).await?;
        let address = service.spec.and_then(|spec| spec.cluster_ip).context("the Service has no address")?;
        let (name, namespace) = (&serving.name, &site.namespace);
        let tls = match before {
            Some(before) if before.address == address => before.tls,
            _ => {
                let places = [
                    format!("{name}.{namespace}.svc"),
                    format!("{name}.{namespace}.svc.cluster.local"),
                    format!("{name}.{namespace}"),
                    address.clone(),
                ];
                let leaf = self.control.host.authority.server(&places, SERVER_DAYS)?;
                Tls {
                    certificate_pem: leaf.certificate_pem,
                    key_pem: protocol::Secret::new(leaf.key_pem.as_str()),
                    client_ca_pem: self.control.host.authority.certificate_pem().to_owned(),
                }
            }
        };
        let workspace = self.workspace.name.clone();
        let replica = Principal::Replica { workspace, endpoint: self.declared.name.clone() };
        self.certify(name, &serving.labels(site), &replica, REPLICA_DAYS, [CA_FILE, CERT_FILE, KEY_FILE]).await?;
        for application in applications {
            let workspace = self.workspace.name.clone();
            let invoker = Principal::Invoker { workspace, application: application.clone() };
            let labels = labels::of(&site.cluster, labels::COMPONENT_SERVING);
            let files = ["ca.crt", "tls.crt", "tls.key"];
            self.certify(&self.client_secret(application), &labels, &invoker, CLIENT_DAYS, files).await?;
        }
        kube.take(&objects.deployment).await?;
        kube.take(&objects.budget).await?;
        Ok(Applied { spec: self.spec.clone(), at: Instant::now(), address, tls })
    }

    fn client_secret(&self, application: &str) -> String {
        format!("{}.{application}.invoker", self.workspace.name)
    }

    /// Puts a certificate into a Secret, unless a fresh one is there.
    async fn certify(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        principal: &Principal,
        days: i64,
        [ca, certificate, key]: [&str; 3],
    ) -> Result<()> {
        let (site, kube) = (&self.pods.site, &self.pods.kube);
        let authority = &self.control.host.authority;
        let known: Option<Secret> = kube.get(Some(&site.namespace), name).await?;
        if known.is_some_and(|known| is_fresh(&known, ca, authority.certificate_pem())) {
            return Ok(());
        }
        let renew_after = Timestamp::now() + (days * 12).hours();
        let annotations = [(RENEW_AFTER.to_owned(), renew_after.to_string())].into();
        let Leaf { certificate_pem, key_pem } = authority.client(principal, days)?;
        let files =
            [(ca, authority.certificate_pem()), (certificate, certificate_pem.as_str()), (key, key_pem.as_str())];
        kube.take(&workload::identity(site, name, labels, &annotations, &files)).await?;
        Ok(())
    }

    /// Why there is no replica yet.
    async fn explain(&self, home: &mut EndpointPods, serving: &Serving) -> Result<Outcome> {
        let site = &self.pods.site;
        let cause = self.pods.kube.explain(&site.namespace, &serving.selector(site), &[&serving.name]).await?;
        let Some(cause) = cause else {
            home.waits_for = Some("its pods are starting".to_owned());
            return Ok(Outcome::Waits);
        };
        let since = match home.troubled {
            Some((kind, since)) if kind == cause.kind => since,
            _ => home.troubled.insert((cause.kind, Instant::now())).1,
        };
        home.waits_for = Some(cause.to_string());
        if cause.patience.is_some_and(|patience| since.elapsed() >= patience) {
            return Ok(Outcome::Fails(cause.to_string()));
        }
        Ok(Outcome::Waits)
    }

    fn status(&self, home: &EndpointPods) -> EndpointStatus {
        let url = home.applied.as_ref().map(|applied| format!("https://{}:{SERVING_PORT}", applied.address));
        EndpointStatus {
            url: url.unwrap_or_default(),
            client_secret: format!("{}/{}", self.pods.site.namespace, self.client_secret(&self.declared.name)),
            ..EndpointStatus::default()
        }
    }
}

/// Whether a Service leads to a pod by now: a pod that is ready is known to the
/// nodes a moment later.
async fn answers(address: &str) -> bool {
    for _ in 0..TRIES {
        let connect = TcpStream::connect((address, SERVING_PORT));
        if matches!(tokio::time::timeout(PAUSE, connect).await, Ok(Ok(_))) {
            return true;
        }
        tokio::time::sleep(PAUSE).await;
    }
    false
}

/// Whether a Secret's certificate is of this authority and holds for long.
fn is_fresh(secret: &Secret, ca: &str, authority: &str) -> bool {
    let renew_after = secret.metadata.annotations.as_ref().and_then(|all| all.get(RENEW_AFTER));
    let renew_after = renew_after.and_then(|text| text.parse::<Timestamp>().ok());
    let known = secret.data.as_ref().and_then(|data| data.get(ca));
    known.is_some_and(|known| known.0 == authority.as_bytes())
        && renew_after.is_some_and(|moment| Timestamp::now() < moment)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{ByteString, api::core::v1::Secret};

    use super::{RENEW_AFTER, is_fresh};

    #[test]
    fn a_certificate_is_renewed_when_it_is_half_over_or_of_another_authority() {
        let secret = |renew_after: &str, ca: &str| {
            let mut secret = Secret::default();
            secret.metadata.annotations = Some([(RENEW_AFTER.to_owned(), renew_after.to_owned())].into());
            secret.data = Some([("ca.pem".to_owned(), ByteString(ca.as_bytes().to_vec()))].into());
            secret
        };
        assert!(is_fresh(&secret("2999-01-01T00:00:00Z", "ours"), "ca.pem", "ours"));
        assert!(!is_fresh(&secret("2999-01-01T00:00:00Z", "theirs"), "ca.pem", "ours"));
        assert!(!is_fresh(&secret("2020-01-01T00:00:00Z", "ours"), "ca.pem", "ours"));
        assert!(!is_fresh(&Secret::default(), "ca.pem", "ours"));
    }
}
