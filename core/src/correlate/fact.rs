//! Facts in a pod's status, and their causes.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::{
    cause::{normalized, reasons, without_numbers},
    dedup::{Cause, Key},
    ends::End,
};
use crate::{
    causes,
    finding::{ContainerKind, FindingKind, WaitingFor},
    object::{Condition, ContainerStatus, Pod, Terminated},
};

/// A fact of a pod's status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusFact {
    /// Cause. Reported once, except that container terminations are counted.
    pub(super) cause: Cause,
    /// End of a container, if the fact is one.
    pub(super) end: Option<End>,
    /// Time of the fact, if the status shows it.
    pub(super) at: Option<Timestamp>,
    /// Time at which the fact began, else the latest earlier time in the status. Decides if the fact is history.
    pub(super) began: Option<Timestamp>,
    pub(super) kind: FindingKind,
}

impl StatusFact {
    /// Returns the identity of this fact. It is the same in every process, because a relist or a restart shows the fact
    /// again.
    pub(super) fn identity(&self) -> Key {
        match &self.end {
            Some(end) => end.identity(),
            None => hash(&(self.cause.key, &self.cause.parts)),
        }
    }
}

/// Returns the cause of a fact, the same for status and Events.
pub(super) fn cause(kind: &FindingKind) -> Cause {
    match kind {
        FindingKind::Event { reason, message, warning: true } => {
            let key = match causes::of_preparation(kind) {
                Some((cause, names)) => hash(&("event", cause, of_names(&names))),
                None => hash(&("event", reason, normalized(message))),
            };
            Cause::from(key).of_family(family(reason))
        }
        // A step of an ordinary start with another message is another step.
        FindingKind::Event { reason, message, .. } => hash(&("event", reason, message)).into(),
        FindingKind::Refused { message } => {
            Cause::from(hash(&("refused", without_numbers(message)))).of_family(hash(&"refused"))
        }
        FindingKind::Unschedulable { message } => {
            let parts = reasons(message).iter().map(hash).collect();
            Cause::new(hash(&"unschedulable"), parts).of_family(scheduling())
        }
        FindingKind::Evicted { message } if message.starts_with("Evicted pod: ") => {
            // Karpenter's Event has the reason of the eviction, the status only that the pod is evicted.
            Cause::new(disrupted("EvictionByEvictionAPI"), vec![hash(message)])
        }
        FindingKind::Evicted { .. } => hash(&"evicted").into(),
        FindingKind::Disrupted { reason, .. } => disrupted(reason).into(),
        FindingKind::Failed { reason, message } => hash(&("failed", reason, normalized(message))).into(),
        FindingKind::Terminated { container, exit_code, reason, .. } => {
            Cause::from(hash(&("ended", container, exit_code, reason))).of_family(container_family(container))
        }
        FindingKind::ImagePull { image, message, .. } => {
            // A known failure is one cause, whatever the wording.
            let cause = match causes::of_image_pull(message, image) {
                Some(known) => hash(known.id),
                None => hash(&normalized(beginning(message))),
            };
            Cause::new(image_pull(image), vec![cause]).of_family(images())
        }
        FindingKind::Waiting { why: WaitingFor::Image, image, .. } => {
            Cause::from(image_pull(image)).of_family(images())
        }
        FindingKind::Waiting { why: WaitingFor::CrashLoop, container, .. } => {
            Cause::from(crash_loop(container)).of_family(container_family(container))
        }
        FindingKind::Waiting { why: WaitingFor::ImageName, container, .. } => image_name(container).into(),
        FindingKind::Waiting { container, reason, message, .. } => {
            Cause::from(no_start(container, reason, message)).of_family(container_family(container))
        }
        FindingKind::Unhealthy { container, message, .. } => {
            let key = unhealthy(container, message);
            let is_readiness = key == readiness(container);
            Cause::from(key).of_family(if is_readiness { key } else { container_family(container) })
        }
        FindingKind::SlowPull { image, .. } => Cause::from(hash(&("slow pull", image))).of_family(images()),
        FindingKind::Recovered { stage, .. } => hash(&("recovered", stage)).into(),
        FindingKind::Created => hash(&"created").into(),
        FindingKind::Deleted => hash(&"deleted").into(),
    }
}

/// Start of the message of a failed readiness probe; the container keeps running.
const READINESS: &str = "Readiness probe";

/// Returns the family of causes about a container's readiness probe.
pub(super) fn readiness(container: &str) -> Key {
    unhealthy(container, READINESS)
}

/// Returns the family of causes about the pod's node.
pub(super) fn scheduling() -> Key {
    hash(&"scheduling")
}

/// Returns the family of causes about the pod's images.
pub(super) fn images() -> Key {
    hash(&"images")
}

/// Returns the family of causes about a container's starts, ends and restarts.
pub(super) fn container_family(container: &str) -> Key {
    hash(&("container", container))
}

/// Returns the family of causes about the pod's volumes.
pub(super) fn volumes() -> Key {
    hash(&"volumes")
}

/// Returns the family of causes about the pod's sandbox and network.
pub(super) fn sandbox() -> Key {
    hash(&"sandbox")
}

/// Returns the family of an Event.
pub(super) fn family(reason: &str) -> Key {
    match reason {
        "NotTriggerScaleUp" | "FailedScaleUp" | "FailedBinding" | "ProvisioningFailed" => scheduling(),
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => volumes(),
        "FailedCreatePodSandBox" | "NetworkNotReady" | "FailedPodSandBoxStatus" => sandbox(),
        "FailedToRetrieveImagePullSecret" => images(),
        reason => hash(&("family", reason)),
    }
}

/// Returns the cause of a failing probe of this kind, whatever the wording.
pub(super) fn unhealthy(container: &str, message: &str) -> Key {
    let kind = message.split(' ').next().unwrap_or_default();
    hash(&("unhealthy", container, kind))
}

/// Returns the cause of an image that cannot be pulled, whatever the reason.
pub(super) fn image_pull(image: &str) -> Key {
    hash(&("image", image))
}

/// Returns the cause of a container with an invalid image name.
pub(super) fn image_name(container: &str) -> Key {
    hash(&("image name", container))
}

/// Returns the cause of a container that waits before its next start.
pub(super) fn crash_loop(container: &str) -> Key {
    hash(&("crash loop", container))
}

/// Returns the cause of a container that ended with an error, whatever the error.
pub(super) fn ended(container: &str) -> Key {
    hash(&("ended", container))
}

/// Returns the names in a message, without the parts that differ between retries.
fn of_names(names: &[String]) -> Vec<String> {
    names.iter().map(|name| normalized(name)).collect()
}

/// Returns the cause of a container that cannot be created or started. A known failure is one cause whatever the
/// wording, unless it names what is missing.
pub(super) fn no_start(container: &str, reason: &str, message: &str) -> Key {
    match causes::of_container_start(reason, message) {
        Some((cause, names)) => hash(&("no start", container, cause, of_names(&names))),
        None => hash(&("no start", container, normalized(beginning(message)))),
    }
}

/// Returns the part of a message that an Event also holds. An Event is cut at 1,024 bytes, including the text before
/// the message.
fn beginning(message: &str) -> &str {
    const LENGTH: usize = 600;
    message[..message.floor_char_boundary(LENGTH)].trim()
}

/// Returns the cause of the waiting state that repeats this failed start.
pub(super) fn said_by_end(kind: &FindingKind) -> Option<Key> {
    match kind {
        FindingKind::Terminated { container, reason, message, .. }
            if matches!(reason.as_str(), "StartError" | "ContainerCannotRun") =>
        {
            Some(no_start(container, reason, message))
        }
        _ => None,
    }
}

/// Returns the cause of a pod that the cluster removes.
pub(super) fn disrupted(reason: &str) -> Key {
    hash(&("disrupted", reason))
}

pub(super) fn hash(kind: &(impl Hash + ?Sized)) -> Key {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    hasher.finish()
}

/// Returns the facts of a pod's status that its owner should read.
pub(super) fn of_status(pod: &Pod) -> Vec<StatusFact> {
    let status = &pod.status;
    let latest = latest(pod);
    let mut facts = Vec::new();
    let mut once = |kind: FindingKind, at: Option<Timestamp>, began| {
        facts.push(StatusFact { cause: cause(&kind), end: None, at, began: at.or(began), kind });
    };
    if status.phase == "Failed" && !status.reason.is_empty() {
        let message = status.message.clone();
        let kind = match status.reason.as_str() {
            "Evicted" => FindingKind::Evicted { message },
            reason => {
                FindingKind::Failed { reason: reason.to_owned(), message: without_rejection(&message).to_owned() }
            }
        };
        once(kind, None, latest);
    }
    for condition in &status.conditions {
        let message = condition.message.clone();
        let kind = match (condition.kind.as_str(), condition.status.as_str(), condition.reason.as_str()) {
            ("PodScheduled", "False", "Unschedulable" | "SchedulingGated" | "SchedulerError") => {
                FindingKind::Unschedulable { message }
            }
            // The kubelet's own eviction is in the pod's phase and in an Event.
            ("DisruptionTarget", "True", reason) if reason != "TerminationByKubelet" => {
                FindingKind::Disrupted { reason: reason.to_owned(), message }
            }
            _ => continue,
        };
        once(kind, condition.last_transition_time, latest);
    }
    let init = status.init_container_statuses.iter().map(|status| (status, ContainerKind::Init));
    for (container, which) in init.chain(status.container_statuses.iter().map(|status| (status, ContainerKind::App))) {
        let which = pod.spec.kind_of(&container.name).unwrap_or(which);
        of_container(pod, (container, which), latest, &mut facts);
    }
    facts
}

/// Removes the prefix that the status of a refused pod has, and its Event does not.
fn without_rejection(message: &str) -> &str {
    message.strip_prefix("Pod was rejected: ").unwrap_or(message)
}

/// Returns the latest time in the status, at least the pod's creation time.
fn latest(pod: &Pod) -> Option<Timestamp> {
    let status = &pod.status;
    let conditions = status.conditions.iter().filter_map(|condition| condition.last_transition_time);
    let containers = status.init_container_statuses.iter().chain(&status.container_statuses);
    let ends = containers.flat_map(|container| [&container.last_state, &container.state]);
    let ends = ends.filter_map(|state| state.terminated.as_ref()?.finished_at);
    conditions.chain(ends).chain(status.start_time).chain(pod.metadata.creation_timestamp).max()
}

fn of_container(
    pod: &Pod,
    (status, which): (&ContainerStatus, ContainerKind),
    latest: Option<Timestamp>,
    facts: &mut Vec<StatusFact>,
) {
    for (terminated, end) in super::ends::of(status) {
        if ended_well(pod, which, terminated) {
            continue;
        }
        let kind = FindingKind::Terminated {
            container: status.name.clone(),
            which,
            exit_code: terminated.exit_code,
            reason: terminated.reason.clone(),
            memory_limit: memory_limit(pod, &status.name),
            message: terminated.message.clone(),
        };
        let at = terminated.finished_at;
        facts.push(StatusFact { cause: cause(&kind), end: Some(end), at, began: at.or(latest), kind });
    }
    let Some(waiting) = &status.state.waiting else { return };
    let Some(why) = WaitingFor::parse(&waiting.reason) else { return };
    let (container, image) = (status.name.clone(), image(pod, &status.name));
    let reason = waiting.reason.clone();
    let kind = match (why, pull_error(&waiting.reason, &waiting.message)) {
        (_, Some(message)) => {
            let container = first_with(pod, &image, container);
            let which = pod.spec.kind_of(&container).unwrap_or(which);
            FindingKind::ImagePull { container, which, image, message }
        }
        // The back-off time changes, and its Event has another wording.
        (WaitingFor::CrashLoop, _) => {
            FindingKind::Waiting { container, which, why, reason, image, message: String::new() }
        }
        _ => FindingKind::Waiting { container, which, why, reason, image, message: waiting.message.clone() },
    };
    facts.push(StatusFact { cause: cause(&kind), end: None, at: None, began: latest, kind });
}

/// Returns the error of a failed pull, if the status shows it.
fn pull_error(reason: &str, message: &str) -> Option<String> {
    let cause = match reason {
        "ErrImagePull" => message,
        "ImagePullBackOff" => message.split_once(": ErrImagePull: ")?.1,
        _ => return None,
    };
    (!cause.trim().is_empty()).then(|| cause.to_owned())
}

/// True for an end that was requested, as a pod being deleted gets SIGTERM, then SIGKILL; or for one without an error,
/// if the container need not stay.
fn ended_well(pod: &Pod, which: ContainerKind, terminated: &Terminated) -> bool {
    let oom = terminated.reason == "OOMKilled";
    let asked_for = pod.metadata.deletion_timestamp.is_some() && !oom;
    // The reason of an evicted pod is in its phase or condition; its containers' ends add nothing.
    let disrupted = |condition: &Condition| condition.kind == "DisruptionTarget" && condition.status == "True";
    let thrown_out = (!pod.status.reason.is_empty() || pod.status.conditions.iter().any(disrupted)) && !oom;
    let stays = matches!(pod.spec.restart_policy.as_str(), "" | "Always") || pod.status.phase == "Succeeded";
    let done = match which {
        ContainerKind::App => terminated.exit_code == 0 && !oom && !stays,
        ContainerKind::Init => terminated.exit_code == 0 && !oom,
        // The kubelet stops the sidecars once the app containers have ended.
        ContainerKind::Sidecar => {
            let apps = &pod.status.container_statuses;
            !oom && !apps.is_empty() && apps.iter().all(|app| app.state.terminated.is_some())
        }
    };
    done || asked_for || thrown_out
}

fn memory_limit(pod: &Pod, container: &str) -> Option<String> {
    pod.spec.container(container)?.resources.limits.memory.as_ref().map(|quantity| quantity.0.clone())
}

fn image(pod: &Pod, container: &str) -> String {
    pod.spec.container(container).map(|spec| spec.image.clone()).unwrap_or_default()
}

/// Returns the first container of this image: the line is about the image, even if other containers need it.
fn first_with(pod: &Pod, image: &str, container: String) -> String {
    let found = pod.spec.each_container().find(|(spec, _)| spec.image == image);
    found.map_or(container, |(spec, _)| spec.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_the_same_fact_as_state_and_as_last_state() {
        let pod = |json: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({"status": {"containerStatuses": [json]}})).unwrap()
        };
        let end = serde_json::json!({"terminated": {"exitCode": 137, "reason": "OOMKilled",
            "finishedAt": "2026-11-22T17:20:21Z"}});
        let now = of_status(&pod(serde_json::json!({"name": "dev", "restartCount": 0, "state": end})));
        let later = of_status(&pod(serde_json::json!({"name": "dev", "restartCount": 1, "lastState": end})));
        assert_eq!(now.len(), 1);
        assert_eq!(now, later);
    }

    #[test]
    fn an_ordinary_start_and_an_ordinary_end_say_nothing() {
        for json in [
            serde_json::json!({"status": {"phase": "Pending", "containerStatuses": [
                {"name": "dev", "state": {"waiting": {"reason": "ContainerCreating"}}}]}}),
            serde_json::json!({"status": {"initContainerStatuses": [
                {"name": "i", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}}),
            serde_json::json!({"metadata": {"deletionTimestamp": "2026-11-22T17:20:21Z"},
                "status": {"containerStatuses": [{"name": "dev", "state": {"terminated": {"exitCode": 143}}}]}}),
        ] {
            let pod: Pod = serde_json::from_value(json).unwrap();
            assert_eq!(of_status(&pod), []);
        }
    }

    #[test]
    fn a_new_cause_of_an_image_failure_is_a_new_fact() {
        let facts = |reason: &str, message: &str| {
            let waiting = serde_json::json!({"waiting": {"reason": reason, "message": message}});
            let status = serde_json::json!({"containerStatuses": [{"name": "dev", "state": waiting}]});
            of_status(&serde_json::from_value(serde_json::json!({"status": status})).unwrap()).remove(0).cause
        };
        let busy = facts("ErrImagePull", "pull QPS exceeded");
        let login = facts("ErrImagePull", "failed to resolve image: 401 Unauthorized");
        assert!(busy.key == login.key && busy.parts != login.parts);
        let again = facts("ImagePullBackOff", "Back-off pulling image \"x\": ErrImagePull: failed: 401 Unauthorized");
        assert_eq!(again, login);
        // Before Kubernetes 1.31 a back-off does not repeat the cause, and adds nothing to a message that does.
        let no_cause = facts("ImagePullBackOff", "Back-off pulling image \"x\"");
        assert_eq!((no_cause.key, no_cause.parts), (login.key, Vec::new()));
    }
}
