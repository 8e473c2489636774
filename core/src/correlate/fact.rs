//! What a pod's status and an Event say, and when two of them say the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::told::Key;
use crate::{
    identity::{Kind, Subject},
    notice::{Happening, ImageFailure, WaitingFor},
    object::{ContainerStatus, Event, Pod, Terminated},
};

/// A fact of a pod's status.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StatusFact {
    /// This very fact: a relist shows it again.
    pub(super) identity: Key,
    /// What it is a repeat of, if such facts repeat.
    pub(super) repeats: Option<Key>,
    /// When, where the status tells.
    pub(super) at: Option<Timestamp>,
    pub(super) what: Happening,
}

/// The key of what an Event tells. Of each container by itself: kubelet's `Container started` does not name it.
pub(super) fn key_of_event(what: &Happening, event: &Event) -> Key {
    match what {
        Happening::Event { reason, message, .. } => {
            hash(&("event", &event.involved_object.field_path, reason, message))
        }
        what => key(what),
    }
}

/// The key of a fact that status and Events both tell, or that Events alone tell.
pub(super) fn key(what: &Happening) -> Key {
    match what {
        Happening::Event { reason, message, .. } => hash(&("event", reason, message)),
        Happening::Refused { message } => hash(&("refused", message)),
        Happening::Unschedulable { message } => hash(&("unschedulable", message)),
        Happening::Evicted { message } => hash(&("evicted", message)),
        Happening::Failed { reason, message } => hash(&("failed", reason, message)),
        Happening::Terminated { container, exit_code, reason, .. } => {
            hash(&("terminated", container, exit_code, reason))
        }
        // A new cause is a new fact: the first one may have been a passing one.
        Happening::Waiting { container, why: WaitingFor::Image, image, message, .. } => {
            hash(&("waiting", container, WaitingFor::Image, ImageFailure::parse(message, image)))
        }
        Happening::Waiting { container, why, .. } => hash(&("waiting", container, why)),
        Happening::Created => hash(&"created"),
        Happening::Deleted => hash(&"deleted"),
    }
}

/// The key of the same fact told without its cause: before Kubernetes 1.31 a back-off does not repeat the cause, and says
/// nothing new behind a message that does.
pub(super) fn without_cause(what: &Happening) -> Option<Key> {
    match what {
        Happening::Waiting { container, why: WaitingFor::Image, .. } => {
            Some(hash(&("waiting", container, WaitingFor::Image, None::<ImageFailure>)))
        }
        _ => None,
    }
}

fn hash(what: &impl Hash) -> Key {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// What a pod's status tells that its owner should read.
pub(super) fn of_status(pod: &Pod) -> Vec<StatusFact> {
    let status = &pod.status;
    let mut facts = Vec::new();
    let mut once = |what: Happening, at| facts.push(StatusFact { identity: key(&what), repeats: None, at, what });
    if status.phase == "Failed" && !status.reason.is_empty() {
        let message = status.message.clone();
        once(
            match status.reason.as_str() {
                "Evicted" => Happening::Evicted { message },
                reason => Happening::Failed { reason: reason.to_owned(), message },
            },
            None,
        );
    }
    for condition in &status.conditions {
        if condition.kind == "PodScheduled" && condition.status == "False" && condition.reason == "Unschedulable" {
            let at = condition.last_transition_time;
            once(Happening::Unschedulable { message: condition.message.clone() }, at);
        }
    }
    let containers = status.init_container_statuses.iter().map(|status| (status, true));
    for (container, init) in containers.chain(status.container_statuses.iter().map(|status| (status, false))) {
        of_container(pod, container, init, &mut facts);
    }
    facts
}

fn of_container(pod: &Pod, status: &ContainerStatus, init: bool, facts: &mut Vec<StatusFact>) {
    let ended = [
        // The last state is the end before the present run: one restart back.
        (&status.last_state.terminated, status.restart_count.saturating_sub(1)),
        (&status.state.terminated, status.restart_count),
    ];
    for (terminated, run) in ended {
        let Some(terminated) = terminated else { continue };
        if ended_well(pod, terminated) {
            continue;
        }
        let what = Happening::Terminated {
            container: status.name.clone(),
            init,
            exit_code: terminated.exit_code,
            reason: terminated.reason.clone(),
            memory_limit: memory_limit(pod, &status.name),
        };
        facts.push(StatusFact {
            identity: hash(&("end", &status.name, run, terminated.finished_at)),
            repeats: Some(key(&what)),
            at: terminated.finished_at,
            what,
        });
    }
    if let Some(waiting) = &status.state.waiting
        && let Some(why) = WaitingFor::parse(&waiting.reason)
    {
        let what = Happening::Waiting {
            container: status.name.clone(),
            why,
            reason: waiting.reason.clone(),
            image: image(pod, &status.name),
            message: waiting.message.clone(),
        };
        facts.push(StatusFact { identity: key(&what), repeats: None, at: None, what });
    }
}

/// Exit code 0, or the end that was asked for: a pod being deleted gets SIGTERM, then SIGKILL.
fn ended_well(pod: &Pod, terminated: &Terminated) -> bool {
    let oom = terminated.reason == "OOMKilled";
    let asked_for = pod.metadata.deletion_timestamp.is_some() && !oom;
    // A pod thrown out is told by its phase; its containers' ends say nothing more.
    let thrown_out = !pod.status.reason.is_empty() && !oom;
    (terminated.exit_code == 0 && !oom) || asked_for || thrown_out
}

fn memory_limit(pod: &Pod, container: &str) -> Option<String> {
    let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    all.find(|spec| spec.name == container)?.resources.limits.memory.as_ref().map(|quantity| quantity.0.clone())
}

fn image(pod: &Pod, container: &str) -> String {
    let mut all = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    all.find(|spec| spec.name == container).map(|spec| spec.image.clone()).unwrap_or_default()
}

/// What an Event tells, with what is random in it left out.
pub(super) fn of_event(subject: &Subject, event: &Event) -> Happening {
    let message = event.message.strip_prefix("(combined from similar events): ").unwrap_or(&event.message);
    match (subject.kind, event.reason.as_str()) {
        // The name that a StatefulSet gives its pod is no chance.
        (Kind::StatefulSet, "FailedCreate") => Happening::Refused { message: message.to_owned() },
        (Kind::ReplicaSet | Kind::Job, "FailedCreate") => {
            Happening::Refused { message: without_pod_name(&subject.name, message) }
        }
        (Kind::Pod, "FailedScheduling") => Happening::Unschedulable { message: message.to_owned() },
        (Kind::Pod, "Evicted") => Happening::Evicted { message: message.to_owned() },
        (_, reason) => Happening::Event {
            reason: reason.to_owned(),
            message: message.to_owned(),
            warning: event.kind == "Warning",
        },
    }
}

/// What a made name keeps of the name it is made from: with five random characters it has 63
/// (`MaxGeneratedNameLength` of k8s.io/apiserver).
const KEPT_OF_NAME: usize = 58;

/// `pods "ws-74fc974fd4-vgfrf"` → `pods "ws-74fc974fd4-…"`, for the pods of this workload alone. A refusal before
/// the name is made (a missing ServiceAccount) has none: `pods "ws-74fc974fd4-"`.
fn without_pod_name(workload: &str, message: &str) -> String {
    const PODS: &str = "pods \"";
    let Some(start) = message.find(PODS).map(|at| at + PODS.len()) else { return message.to_owned() };
    let Some(end) = message[start..].find('"').map(|at| start + at) else { return message.to_owned() };
    let kept = &workload[..workload.floor_char_boundary(KEPT_OF_NAME)];
    let cut = workload.len() >= KEPT_OF_NAME;
    match message[start..end].strip_prefix(kept) {
        Some(suffix) if cut || suffix.starts_with('-') => {
            format!("{}{workload}-…{}", &message[..start], &message[end..])
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_that_differ_in_the_random_name_are_the_same() {
        let quota = |name: &str| format!("Error creating: pods \"{name}\" is forbidden: exceeded quota: q");
        let expected = "Error creating: pods \"ws-74fc974fd4-…\" is forbidden: exceeded quota: q";
        // One random suffix in a thousand has no letter.
        for name in ["ws-74fc974fd4-vgfrf", "ws-74fc974fd4-95785", "ws-74fc974fd4-"] {
            assert_eq!(without_pod_name("ws-74fc974fd4", &quota(name)), expected);
        }
        for name in ["another-vgfrf", "ws-74fc974fd4"] {
            assert_eq!(without_pod_name("ws-74fc974fd4", &quota(name)), quota(name));
        }
        let long = format!("{}-74fc974fd4", "w".repeat(50));
        let expected = quota(&format!("{long}-…"));
        for name in [format!("{}vgfrf", &long[..58]), format!("{}95785", &long[..58]), format!("{long}-")] {
            assert_eq!(without_pod_name(&long, &quota(&name)), expected);
        }
        assert_eq!(without_pod_name("ws", "no name at all"), "no name at all");
        assert_eq!(without_pod_name("ws", "pods \"unclosed"), "pods \"unclosed");
    }

    #[test]
    fn a_stateful_sets_refused_pod_is_named() {
        let message = "create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded quota: q";
        let refused = |kind, reason: &str| {
            let uid = crate::identity::Uid::parse("u").unwrap();
            let subject = Subject { kind, namespace: "ns".into(), name: "db".into(), uid };
            let event = Event { reason: reason.into(), message: message.into(), ..Event::default() };
            of_event(&subject, &event)
        };
        assert_eq!(refused(Kind::StatefulSet, "FailedCreate"), Happening::Refused { message: message.to_owned() });
        let shortened = message.replace("\"db-0\"", "\"db-…\"");
        assert_eq!(refused(Kind::Job, "FailedCreate"), Happening::Refused { message: shortened });
    }

    #[test]
    fn the_same_words_about_another_container_are_another_fact() {
        let subject = Subject {
            kind: Kind::Pod,
            namespace: "ns".into(),
            name: "ws".into(),
            uid: crate::identity::Uid::parse("u").unwrap(),
        };
        let key = |path: &str| {
            let event: Event = serde_json::from_value(serde_json::json!({"reason": "Started", "type": "Normal",
                "message": "Container started", "involvedObject": {"fieldPath": path}}))
            .unwrap();
            key_of_event(&of_event(&subject, &event), &event)
        };
        assert_eq!(key("spec.containers{dev}"), key("spec.containers{dev}"));
        assert_ne!(key("spec.initContainers{prepare}"), key("spec.containers{dev}"));
    }

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
    fn a_new_cause_of_an_image_failure_is_a_new_fact() {
        let facts = |reason: &str, message: &str| {
            let waiting = serde_json::json!({"waiting": {"reason": reason, "message": message}});
            let status = serde_json::json!({"containerStatuses": [{"name": "dev", "state": waiting}]});
            of_status(&serde_json::from_value(serde_json::json!({"status": status})).unwrap()).remove(0)
        };
        let busy = facts("ErrImagePull", "pull QPS exceeded");
        let login = facts("ErrImagePull", "failed to resolve image: 401 Unauthorized");
        assert_ne!(busy.identity, login.identity);
        let again = facts("ImagePullBackOff", "Back-off pulling image \"x\": ErrImagePull: failed: 401 Unauthorized");
        assert_eq!(again.identity, login.identity);
        let no_cause = facts("ImagePullBackOff", "Back-off pulling image \"x\"");
        assert_eq!(without_cause(&login.what), Some(no_cause.identity));
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
}
