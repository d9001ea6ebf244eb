//! Why pods do not start: what Kubernetes knows of them, read as one cause.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Event, Pod};
use kube::api::{Api, ListParams, LogParams};

use crate::access::Kube;
use crate::error::KubeError;
use crate::labels;

const LOG_LINES: usize = 12;
/// Restarts after which a program that ends at once is not waited for any longer.
const RESTARTS: i32 = 2;

/// What keeps a pod from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No node fits; the scheduler says why.
    Unschedulable,
    /// An image cannot be had.
    Image,
    /// Something that the pod names is missing or wrong, such as a Secret.
    Configuration,
    /// A program ended.
    Crash,
    /// A volume is not there.
    Volume,
    /// The API server refuses the pod: quota, pod security, a webhook.
    Refused,
    /// It runs, and does not say that it is ready.
    NotReady,
}

/// Why a pod does not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub kind: Kind,
    pub pod: Option<String>,
    pub container: Option<String>,
    /// In Kubernetes' own words where it has any.
    pub message: String,
    /// The last lines that a program that ended had written.
    pub log: Vec<String>,
    /// How long this may last before waiting for it is of no use; `None` as
    /// long as one likes: it may heal by itself.
    pub patience: Option<Duration>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pod = self.pod.as_deref().unwrap_or("that is wanted");
        let container = self.container.as_deref().map(|name| format!(" of its container {name:?}")).unwrap_or_default();
        match self.kind {
            Kind::Unschedulable => write!(f, "no node takes the pod {pod}: {}", self.message),
            Kind::Image => write!(f, "the pod {pod} cannot get the image{container}: {}", self.message),
            Kind::Configuration => write!(f, "the pod {pod} cannot start as it is declared: {}", self.message),
            Kind::Crash => write!(f, "the pod {pod} ended: {}", self.message),
            Kind::Volume => write!(f, "the pod {pod} waits for a volume: {}", self.message),
            Kind::Refused => write!(f, "Kubernetes refuses the pod {pod}: {}", self.message),
            Kind::NotReady => write!(f, "the pod {pod} runs but is not ready: {}", self.message),
        }?;
        if self.log.is_empty() {
            return Ok(());
        }
        write!(f, "; it said last:\n{}", self.log.join("\n"))
    }
}

impl Cause {
    fn new(kind: Kind, pod: Option<&Pod>, message: impl Into<String>, patience: Option<u64>) -> Self {
        Self {
            kind,
            pod: pod.and_then(|pod| pod.metadata.name.clone()),
            container: None,
            message: message.into().trim().to_owned(),
            log: Vec::new(),
            patience: patience.map(Duration::from_secs),
        }
    }

    fn of_container(mut self, container: &str) -> Self {
        self.container = Some(container.to_owned());
        self
    }
}

/// The first cause found in pods and in the events about them, their volume
/// claims and their owners. `None`: nothing is known to be wrong.
#[must_use]
pub fn diagnose(pods: &[Pod], events: &[Event]) -> Option<Cause> {
    let alive: Vec<&Pod> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    if alive.is_empty() {
        let failed = latest(events, |event| matches!(event.reason.as_deref(), Some("FailedCreate")))?;
        // A quota may be raised; what pod security forbids stays forbidden.
        let patience = if failed.contains("violates PodSecurity") { 0 } else { 20 };
        return Some(Cause::new(Kind::Refused, None, failed, Some(patience)));
    }
    alive.iter().find_map(|pod| of_pod(pod, events))
}

fn of_pod(pod: &Pod, events: &[Event]) -> Option<Cause> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let unscheduled =
        conditions.clone().find(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled {
        let said = condition.message.clone().unwrap_or_default();
        if said.contains("PersistentVolumeClaim") || said.contains("persistentvolumeclaim") {
            let claim = latest(events, |event| {
                event.involved_object.kind.as_deref() == Some("PersistentVolumeClaim")
                    && matches!(event.reason.as_deref(), Some("ProvisioningFailed" | "FailedBinding"))
            });
            return Some(Cause::new(Kind::Volume, Some(pod), claim.unwrap_or(said), Some(45)));
        }
        // An autoscaler may bring a node: minutes, on some clouds.
        return Some(Cause::new(Kind::Unschedulable, Some(pod), said, Some(300)));
    }
    let containers =
        || status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    if let Some(cause) = containers().find_map(|container| of_container(pod, container, events)) {
        return Some(cause);
    }
    if status.phase.as_deref() == Some("Failed") {
        let said = [status.reason.clone(), status.message.clone()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        return Some(Cause::new(Kind::Crash, Some(pod), said, Some(0)));
    }
    let sandbox = ["FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox"];
    let starting = containers().next().is_none()
        || containers().any(|container| container.state.as_ref().is_some_and(|state| state.waiting.is_some()));
    if starting && let Some((reason, said)) = about(pod, events, &sandbox) {
        let missing = said.contains("not found");
        return Some(match reason {
            // A volume that is to hold a Secret's keys is no volume to a user.
            "FailedMount" if missing => Cause::new(Kind::Configuration, Some(pod), said, Some(15)),
            "FailedCreatePodSandBox" => Cause::new(Kind::Configuration, Some(pod), said, Some(60)),
            _ => Cause::new(Kind::Volume, Some(pod), said, None),
        });
    }
    let unready = containers()
        .find(|container| !container.ready && container.state.as_ref().is_some_and(|s| s.running.is_some()))?;
    let said = about(pod, events, &["Unhealthy"])
        .map_or_else(|| "its probe has not succeeded yet".to_owned(), |(_, said)| said);
    Some(Cause::new(Kind::NotReady, Some(pod), said, None).of_container(&unready.name))
}

fn of_container(pod: &Pod, container: &ContainerStatus, events: &[Event]) -> Option<Cause> {
    let state = container.state.as_ref()?;
    let found = match state {
        ContainerState { waiting: Some(waiting), .. } => {
            let said = waiting.message.clone().unwrap_or_default();
            match waiting.reason.as_deref().unwrap_or_default() {
                "InvalidImageName" | "ErrImageNeverPull" => Cause::new(Kind::Image, Some(pod), said, Some(0)),
                "ErrImagePull" | "ImagePullBackOff" | "ImageInspectError" | "RegistryUnavailable" => {
                    let told = about(pod, events, &["Failed"]).filter(|(_, told)| told.contains("pull image"));
                    let said = told.map_or(said, |(_, told)| told);
                    // What the registry refuses it will refuse again; a registry that
                    // does not answer may come back.
                    let final_answer = ["not found", "NotFound", "denied", "unauthorized", "forbidden", "no such host"];
                    let patience = if final_answer.iter().any(|word| said.contains(word)) { 5 } else { 90 };
                    Cause::new(Kind::Image, Some(pod), said, Some(patience))
                }
                "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                    Cause::new(Kind::Configuration, Some(pod), said, Some(15))
                }
                "CrashLoopBackOff" => {
                    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref())?;
                    crash(pod, container, last)
                }
                _ => return None,
            }
        }
        ContainerState { terminated: Some(ended), .. } if ended.exit_code != 0 => crash(pod, container, ended),
        _ => return None,
    };
    Some(found.of_container(&container.name))
}

fn crash(pod: &Pod, container: &ContainerStatus, ended: &ContainerStateTerminated) -> Cause {
    let how = match (ended.reason.as_deref(), ended.signal) {
        (Some("OOMKilled"), _) => "it was killed because it needed more memory than its limit".to_owned(),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => format!("exit status {}", ended.exit_code),
    };
    let restarts = container.restart_count;
    let times = if restarts == 0 { String::new() } else { format!(" ({restarts} restarts)") };
    let patience = if restarts >= RESTARTS { 0 } else { 60 };
    let mut cause = Cause::new(Kind::Crash, Some(pod), format!("{how}{times}"), Some(patience));
    let said: Vec<&str> = ended.message.as_deref().unwrap_or_default().trim().lines().collect();
    cause.log = said.iter().skip(said.len().saturating_sub(LOG_LINES)).map(|line| (*line).to_owned()).collect();
    cause
}

/// The latest event about a pod for one of these reasons.
fn about<'a>(pod: &Pod, events: &'a [Event], reasons: &[&'a str]) -> Option<(&'a str, String)> {
    let mine = |event: &Event| event.involved_object.uid == pod.metadata.uid && event.involved_object.uid.is_some();
    let found = events
        .iter()
        .filter(|event| mine(event))
        .filter_map(|event| {
            let reason = reasons.iter().find(|reason| event.reason.as_deref() == Some(**reason))?;
            Some((when(event), *reason, event.message.clone()?))
        })
        .max_by_key(|(when, ..)| *when)?;
    Some((found.1, found.2))
}

fn latest(events: &[Event], wanted: impl Fn(&Event) -> bool) -> Option<String> {
    events.iter().filter(|event| wanted(event)).max_by_key(|event| when(event))?.message.clone()
}

/// Microseconds since 1970 of an event's last occurrence.
fn when(event: &Event) -> i128 {
    let last = event.last_timestamp.as_ref().map(|time| time.0.as_nanosecond());
    last.or_else(|| event.event_time.as_ref().map(|time| time.0.as_nanosecond())).unwrap_or_default() / 1000
}

impl Kube {
    /// Why the pods that `selector` selects are not at work, with the last log
    /// lines of one that ended. `owners` are names of what makes them (a
    /// StatefulSet, a Job) and of their volume claims.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn explain(
        &self,
        namespace: &str,
        selector: &BTreeMap<String, String>,
        owners: &[&str],
    ) -> Result<Option<Cause>, KubeError> {
        let pods: Vec<Pod> = self.list(Some(namespace), &labels::query(selector)).await?;
        let mut subjects: Vec<&str> = owners.to_vec();
        subjects.extend(pods.iter().filter_map(|pod| pod.metadata.name.as_deref()));
        let mut events = Vec::new();
        for subject in subjects {
            events.extend(self.events(namespace, subject).await?);
        }
        let Some(mut cause) = diagnose(&pods, &events) else { return Ok(None) };
        if let (Kind::Crash, Some(pod), true) = (cause.kind, &cause.pod, cause.log.is_empty()) {
            cause.log = self.last_lines(namespace, pod, cause.container.as_deref()).await;
        }
        Ok(Some(cause))
    }

    /// The events about an object of this name; of a ReplicaSet that a
    /// Deployment of this name made, too.
    async fn events(&self, namespace: &str, name: &str) -> Result<Vec<Event>, KubeError> {
        let api: Api<Event> = Api::namespaced(self.client.clone(), namespace);
        let params = ListParams::default().fields(&format!("involvedObject.name={name}"));
        let listed = self.answer("list", &format!("events of {namespace}/{name}"), api.list(&params)).await?;
        Ok(listed.items)
    }

    /// What a container wrote last: the one that ended before, if it runs again.
    async fn last_lines(&self, namespace: &str, pod: &str, container: Option<&str>) -> Vec<String> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        for previous in [true, false] {
            let params = LogParams {
                container: container.map(str::to_owned),
                previous,
                tail_lines: i64::try_from(LOG_LINES).ok(),
                ..LogParams::default()
            };
            if let Ok(text) = self.answer("read the log of", pod, api.logs(pod, &params)).await
                && !text.trim().is_empty()
                // An answer of success, when the container's log is gone already.
                && !text.starts_with("unable to retrieve container logs")
            {
                return text.lines().map(str::to_owned).collect();
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Event, Pod};
    use serde_json::{Value, json};

    use super::{Kind, diagnose};

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "server-0", "uid": "u1" }, "status": status })).unwrap()
    }

    fn waiting(reason: &str, message: &str) -> Value {
        json!({ "phase": "Pending", "containerStatuses": [{
            "name": "server", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": reason, "message": message } },
        }] })
    }

    fn event(kind: &str, uid: &str, reason: &str, message: &str, at: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": {}, "involvedObject": { "kind": kind, "uid": uid },
            "reason": reason, "message": message, "lastTimestamp": at,
        }))
        .unwrap()
    }

    const EARLY: &str = "2026-01-01T00:00:00Z";
    const LATE: &str = "2026-01-01T00:01:00Z";

    #[test]
    fn a_pod_without_a_node_is_explained_in_the_schedulers_words() {
        let status = json!({ "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
        }] });
        let cause = diagnose(&[pod(status)], &[]).unwrap();
        assert_eq!(cause.kind, Kind::Unschedulable);
        assert!(cause.to_string().contains("didn't match Pod's node affinity"), "{cause}");
    }

    #[test]
    fn an_image_that_the_registry_does_not_have_is_soon_given_up() {
        let told = "Failed to pull image \"r/falaj@sha256:00\": not found";
        let events =
            [event("Pod", "u1", "Failed", told, EARLY), event("Pod", "u1", "Failed", "Error: ErrImagePull", EARLY)];
        let cause = diagnose(&[pod(waiting("ImagePullBackOff", "Back-off pulling image"))], &events[..1]).unwrap();
        assert!(cause.kind == Kind::Image && cause.message == told, "{cause}");
        assert!(cause.patience.unwrap().as_secs() < 10);
        let slow = diagnose(&[pod(waiting("ErrImagePull", "i/o timeout"))], &[]).unwrap();
        assert!(slow.patience.unwrap().as_secs() > 60);
    }

    #[test]
    fn a_missing_secret_is_named() {
        let cause = diagnose(&[pod(waiting("CreateContainerConfigError", "secret \"aws\" not found"))], &[]).unwrap();
        assert!(cause.kind == Kind::Configuration && cause.to_string().contains("secret \"aws\" not found"), "{cause}");
        let mount = event("Pod", "u1", "FailedMount", "MountVolume.SetUp failed: secret \"key\" not found", LATE);
        let cause = diagnose(&[pod(waiting("ContainerCreating", ""))], &[mount]).unwrap();
        assert!(cause.kind == Kind::Configuration && cause.message.contains("\"key\""), "{cause}");
    }

    #[test]
    fn a_program_that_keeps_ending_is_not_waited_for() {
        let status = |restarts: u32| {
            json!({ "phase": "Running", "containerStatuses": [{
                "name": "server", "image": "i", "imageID": "", "ready": false, "restartCount": restarts,
                "state": { "waiting": { "reason": "CrashLoopBackOff" } },
                "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } },
            }] })
        };
        let cause = diagnose(&[pod(status(2))], &[]).unwrap();
        assert!(cause.kind == Kind::Crash && cause.message.contains("memory"), "{cause}");
        assert_eq!(cause.patience.unwrap().as_secs(), 0);
        assert!(diagnose(&[pod(status(1))], &[]).unwrap().patience.unwrap().as_secs() > 0);
    }

    #[test]
    fn what_admission_refuses_is_told_though_there_is_no_pod() {
        let quota = event("StatefulSet", "s1", "FailedCreate", "exceeded quota: falaj", EARLY);
        let security = event("StatefulSet", "s1", "FailedCreate", "violates PodSecurity \"restricted:latest\"", LATE);
        let cause = diagnose(&[], &[security, quota.clone()]).unwrap();
        assert!(cause.kind == Kind::Refused && cause.message.contains("PodSecurity"), "{cause}");
        assert_eq!(cause.patience.unwrap().as_secs(), 0);
        assert!(diagnose(&[], &[quota]).unwrap().patience.unwrap().as_secs() > 0);
        assert_eq!(diagnose(&[], &[]), None);
    }

    #[test]
    fn a_claim_that_nothing_binds_is_told_by_its_own_event() {
        let status = json!({ "phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False",
            "message": "pod has unbound immediate PersistentVolumeClaims",
        }] });
        let claim = event("PersistentVolumeClaim", "c1", "ProvisioningFailed", "storageclass \"fast\" not found", LATE);
        let cause = diagnose(&[pod(status)], &[claim]).unwrap();
        assert!(cause.kind == Kind::Volume && cause.message.contains("fast"), "{cause}");
    }

    #[test]
    fn another_pods_events_are_not_this_ones() {
        let other = event("Pod", "u2", "FailedMount", "no such volume", LATE);
        assert_eq!(diagnose(&[pod(waiting("ContainerCreating", ""))], &[other]), None);
    }
}
