//! Mapping of Events to facts.

use super::{
    cause::{normalized, reasons, without_numbers},
    dedup::{Cause, ExplainedBy},
    fact::{
        cause, container_family, crash_loop, disrupted, ended, family, hash, image_name, image_pull, no_start,
        scheduling, unhealthy,
    },
};
use crate::{
    causes,
    dependency::Dependency,
    finding::{ContainerKind, FindingKind},
    identity::Subject,
    object::{Event, Pod},
    resource::Kind,
};

/// The fact that an Event reports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EventFact {
    pub(super) kind: FindingKind,
    pub(super) cause: Cause,
    /// A more informative fact for the same cause. The Event becomes a line only without it.
    pub(super) explained_by: Option<ExplainedBy>,
    /// True for a step of a retried start: the failure is counted, not the step.
    pub(super) once: bool,
}

/// The images of a pod's containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Images(Vec<Image>);

/// The image of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Image {
    container: Box<str>,
    which: ContainerKind,
    name: Box<str>,
}

impl Images {
    /// Maximum number of images. Containers beyond it are not found by their image, so their lines appear twice, once
    /// from the status and once from the Event.
    const LIMIT: usize = 32;

    pub(super) fn of(pod: &Pod) -> Self {
        let images = pod.spec.each_container().map(|(container, which)| Image {
            container: container.name.as_str().into(),
            which,
            name: container.image.as_str().into(),
        });
        Self(images.take(Self::LIMIT).collect())
    }

    /// True if a line must name the container.
    fn several(&self) -> bool {
        self.0.len() > 1
    }

    fn first_with(&self, image: &str) -> Option<(&str, ContainerKind)> {
        self.0.iter().find(|of| *of.name == *image).map(|of| (&*of.container, of.which))
    }

    /// Returns the kind of the container that an Event is about.
    pub(super) fn kind_of(&self, event: &Event) -> ContainerKind {
        let name = container(event);
        let known = self.0.iter().find(|of| *of.container == *name).map(|of| of.which);
        let init = event.involved_object.field_path.starts_with("spec.initContainers");
        known.unwrap_or(if init { ContainerKind::Init } else { ContainerKind::App })
    }

    /// Returns the causes of a failed pull: of this image if it is known, else of the container's image, or of all
    /// images if the Event names no container.
    fn pulls(&self, container: &str, image: Option<&str>) -> Vec<u64> {
        if let Some(image) = image {
            return vec![image_pull(image)];
        }
        let mine = self.0.iter().filter(|of| container.is_empty() || *of.container == *container);
        mine.map(|of| image_pull(&of.name)).collect()
    }
}

/// Maps an Event to a fact about its subject.
pub(super) fn of_event(subject: &Subject, event: &Event, images: &Images) -> EventFact {
    let message = event.message.strip_prefix("(combined from similar events): ").unwrap_or(&event.message);
    let said = |kind: FindingKind| EventFact { cause: cause(&kind), kind, explained_by: None, once: false };
    let verbatim = || FindingKind::Event {
        reason: event.reason.clone(),
        message: message.to_owned(),
        warning: event.kind == "Warning",
    };
    let message_of = || message.to_owned();
    match (subject.kind, event.reason.as_str()) {
        // The name that a StatefulSet gives its pod is not random.
        (Kind::StatefulSet, "FailedCreate") => said(FindingKind::Refused { message: message_of() }),
        (Kind::ReplicaSet | Kind::Job, "FailedCreate") => {
            said(FindingKind::Refused { message: without_pod_name(&subject.name, message) })
        }
        (Kind::Pod, "FailedScheduling") => said(FindingKind::Unschedulable { message: message_of() }),
        (Kind::Pod, "Unhealthy") => {
            let (container, which) = (container(event).to_owned(), images.kind_of(event));
            said(FindingKind::Unhealthy { container, which, message: message_of() })
        }
        (Kind::Pod, "Evicted") => said(FindingKind::Evicted { message: message_of() }),
        (Kind::Pod, reason) if ends_the_pod(reason) => {
            said(FindingKind::Failed { reason: reason.to_owned(), message: message_of() })
        }
        _ => {
            if let Some(pull) = failed_pull(event, message, images) {
                return said(pull);
            }
            let mut kind = verbatim();
            let once = is_step(subject, event);
            let cause = if once { step(event) } else { cause_of(&kind, event) };
            if let FindingKind::Event { message, .. } = &mut kind
                && let ("Container created" | "Container started", true) = (message.as_str(), images.several())
                && !container(event).is_empty()
            {
                *message = format!("{message}: {}", container(event));
            }
            EventFact { cause, explained_by: explained_by(subject, event, message, images), once, kind }
        }
    }
}

/// Maps an Event about a dependency of a pod to a fact about the pod; `None` if it does not concern pods.
///
/// The message names the claim, or its volume if the claim's name begins with the pod's name. For a node, each entry of
/// the catalogue is one cause, whatever the wording.
pub(super) fn of_dependency(dependency: &Dependency, pod: &Subject, event: &Event) -> Option<EventFact> {
    let message = event.message.strip_prefix("(combined from similar events): ").unwrap_or(&event.message);
    let (reason, warning) = (event.reason.clone(), event.kind == "Warning");
    // The volume controller writes these every 15 s until the pod has a node, and they mean the same to the owner.
    let waits_for_node = matches!(event.reason.as_str(), "WaitForFirstConsumer" | "WaitForPodScheduled");
    let (kind, cause) = match dependency {
        Dependency::Node(_) => {
            let cause = hash(&("node", causes::of_node(event)?.id));
            (FindingKind::Event { reason, message: message.to_owned(), warning }, cause.into())
        }
        Dependency::Claim { name, .. } => {
            let own = name.strip_prefix(&*pod.name).and_then(|rest| rest.strip_prefix('-'));
            let claim = own.map_or_else(|| format!("Claim {name}"), |volume| format!("Volume {volume}"));
            let family = if warning { scheduling() } else { family(&reason) };
            let kind = FindingKind::Event { reason, message: format!("{claim}: {message}"), warning };
            let Cause { key, parts, .. } = cause(&kind);
            let key = if waits_for_node { hash(&"waits for a node") } else { key };
            (kind, Cause::new(hash(&("claim", claim, key)), parts).of_family(family))
        }
    };
    Some(EventFact { kind, cause, explained_by: None, once: waits_for_node })
}

/// True if the kubelet refuses or ends the pod, and its status has the same reason.
fn ends_the_pod(reason: &str) -> bool {
    let known = [
        "AppArmor",
        "DeadlineExceeded",
        "NodeAffinity",
        "NodePorts",
        "PodOSNotSupported",
        "SysctlForbidden",
        "TopologyAffinityError",
        "UnexpectedAdmissionError",
    ];
    known.contains(&reason) || reason.starts_with("OutOf")
}

/// Returns the cause of an Event, separate for each container: the kubelet's `Container started` does not name it.
fn cause_of(what: &FindingKind, event: &Event) -> Cause {
    let path = &event.involved_object.field_path;
    let of_family = |cause: Cause| match container(event) {
        "" => cause.of_family(family(&event.reason)),
        container => cause.of_family(container_family(container)),
    };
    match event.reason.as_str() {
        // The reasons and their numbers of nodes change with each try.
        "NotTriggerScaleUp" => {
            let message = event.message.split_once(": ").map_or("", |(_, reasons)| reasons);
            let reasons = reasons(&format!("nodes are available: {message}"));
            let parts = reasons.iter().map(|reason| hash(&without_numbers(reason))).collect();
            of_family(Cause::new(hash(&("event", path, &event.reason)), parts))
        }
        // The kubelet reports the same failure under several reasons.
        "Failed" | "InspectFailed" | "FailedPostStartHook" => {
            let key = no_start(container(event), &event.reason, event.message.trim_start_matches("Error: "));
            of_family(hash(&("event", key)).into())
        }
        _ => {
            let cause = event_cause(path, what);
            if event.kind == "Warning" { of_family(cause) } else { cause }
        }
    }
}

/// Returns the cause of an Event about a part of an object, or about all of it if `path` is empty.
pub(super) fn event_cause(path: &str, kind: &FindingKind) -> Cause {
    let Cause { key, parts, family } = cause(kind);
    Cause::new(hash(&("event", path, key)), parts).of_family(family)
}

/// Parses `Failed to pull image "X": why`, which the status shows as `ErrImagePull`.
fn failed_pull(event: &Event, message: &str, images: &Images) -> Option<FindingKind> {
    if event.reason != "Failed" && event.reason != "BackOff" {
        return None;
    }
    let (image, rest) = match message.strip_prefix("Failed to pull image \"") {
        Some(rest) => rest.split_once('"')?,
        None => message.strip_prefix("Back-off pulling image \"")?.split_once('"')?,
    };
    let rest = rest.trim_start_matches(':').trim_start();
    let why = rest.strip_prefix("ErrImagePull: ").unwrap_or(rest);
    if why.is_empty() {
        return None;
    }
    let in_event = || (container(event), images.kind_of(event));
    let (container, which) = images.first_with(image).unwrap_or_else(in_event);
    let (container, image, message) = (container.to_owned(), image.to_owned(), why.to_owned());
    Some(FindingKind::ImagePull { container, which, image, message })
}

/// Returns the container that the Event is about; empty if it is about none.
pub(super) fn container(event: &Event) -> &str {
    let path = &event.involved_object.field_path;
    path.split_once('{').and_then(|(_, name)| name.strip_suffix('}')).unwrap_or_default()
}

/// Returns the container in `Back-off restarting failed container dev in pod …`.
fn restarted(message: &str) -> Option<&str> {
    message.strip_prefix("Back-off restarting failed container ")?.split_whitespace().next()
}

/// Returns the more informative fact for the same cause, if there can be one.
fn explained_by(subject: &Subject, event: &Event, message: &str, images: &Images) -> Option<ExplainedBy> {
    let by_fact = |keys: Vec<u64>| Some(ExplainedBy::Fact(keys));
    let container = container(event);
    if subject.kind != Kind::Pod {
        let name = match event.reason.as_str() {
            "SuccessfulCreate" => message.strip_prefix("Created pod: ").or_else(|| created_by_stateful_set(message)),
            _ => None,
        };
        return name.map(|name| ExplainedBy::Pod(name.trim().to_owned()));
    }
    match event.reason.as_str() {
        "Failed" => match message.strip_prefix("Error: ")? {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => by_fact(images.pulls(container, None)),
            "InvalidImageName" => by_fact(vec![image_name(container)]),
            why => by_fact(vec![no_start(container, &event.reason, why)]),
        },
        "FailedPostStartHook" => Some(ExplainedBy::FactLater(vec![no_start(container, &event.reason, message)])),
        "Killing" if message == "FailedPostStartHook" => {
            Some(ExplainedBy::FactLater(vec![no_start(container, message, message)]))
        }
        "Killing" => {
            let probe = message.strip_suffix(" probe, will be restarted")?.rsplit(' ').next()?;
            let probe = if probe == "startup" { "Startup" } else { "Liveness" };
            by_fact(vec![unhealthy(container, probe)])
        }
        "ErrImageNeverPull" => by_fact(images.pulls(container, None)),
        "InspectFailed" => by_fact(vec![image_name(container), no_start(container, &event.reason, message)]),
        "BackOff" => {
            if let Some(name) = restarted(message) {
                let container = if container.is_empty() { name } else { container };
                return Some(ExplainedBy::FactLater(vec![ended(container), crash_loop(container)]));
            }
            let image = message.strip_prefix("Back-off pulling image \"").and_then(|rest| rest.split('"').next());
            by_fact(images.pulls(container, image))
        }
        "Preempted" => by_fact(vec![disrupted("PreemptionByScheduler")]),
        "TaintManagerEviction" if message.starts_with("Marking for deletion") => {
            by_fact(vec![disrupted("DeletionByTaintManager")])
        }
        _ => None,
    }
}

/// Returns the pod in `create Pod db-0 in StatefulSet db successful`, which has a capital since Kubernetes 1.37.
fn created_by_stateful_set(message: &str) -> Option<&str> {
    let pod = ["create Pod ", "Create Pod "].iter().find_map(|verb| message.strip_prefix(verb))?;
    let (name, rest) = pod.split_once(' ')?;
    rest.ends_with("successful").then_some(name)
}

/// Returns the cause of a step, without its duration.
fn step(event: &Event) -> Cause {
    hash(&("step", &event.involved_object.field_path, &event.reason, normalized(&event.message))).into()
}

/// True for a step that the kubelet repeats at each try.
fn is_step(subject: &Subject, event: &Event) -> bool {
    let step = match event.reason.as_str() {
        "Pulling" | "Pulled" | "Created" | "Started" | "SandboxChanged" => true,
        "Killing" => event.message.ends_with("will be restarted"),
        _ => false,
    };
    step && subject.kind == Kind::Pod && event.kind == "Normal"
}

/// Maximum length of the prefix that a generated name keeps: 63 together with five random characters
/// (`MaxGeneratedNameLength` of k8s.io/apiserver).
const KEPT_OF_NAME: usize = 58;

/// Hides the random part of a pod's name, for pods of this workload only: `pods "ws-74fc974fd4-vgfrf"` →
/// `pods "ws-74fc974fd4-…"`. An invalid pod is a `Pod "…"`. A refusal before the name is generated (a missing
/// ServiceAccount) has no random part: `pods "ws-74fc974fd4-"`.
pub(super) fn without_pod_name(workload: &str, message: &str) -> String {
    let after = |word: &str| message.find(word).map(|at| at + word.len());
    let Some(start) = after("pods \"").or_else(|| after("Pod \"")) else { return message.to_owned() };
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
    fn an_image_error_waits_for_the_status_that_explains_it() {
        let uid = crate::identity::Uid::parse("u").unwrap();
        let subject = Subject { kind: Kind::Pod, namespace: "ns".into(), name: "ws".into(), uid };
        let images =
            Images(vec![Image { container: "dev".into(), which: ContainerKind::App, name: "registry/x:1".into() }]);
        let explained_by = |reason: &str| {
            let event: Event = serde_json::from_value(serde_json::json!({"reason": "Failed", "type": "Warning",
                "message": format!("Error: {reason}"), "involvedObject": {"fieldPath": "spec.containers{dev}"}}))
            .unwrap();
            of_event(&subject, &event, &images).explained_by
        };
        for reason in ["ErrImagePull", "ErrImageNeverPull", "RegistryUnavailable", "SignatureValidationFailed"] {
            assert_eq!(explained_by(reason), Some(ExplainedBy::Fact(vec![image_pull("registry/x:1")])), "{reason}");
        }
    }

    #[test]
    fn a_stateful_sets_refused_pod_is_named() {
        let message = "create Pod db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded quota: q";
        let refused = |kind, reason: &str| {
            let uid = crate::identity::Uid::parse("u").unwrap();
            let subject = Subject { kind, namespace: "ns".into(), name: "db".into(), uid };
            let event = Event { reason: reason.into(), message: message.into(), ..Event::default() };
            of_event(&subject, &event, &Images::default()).kind
        };
        assert_eq!(refused(Kind::StatefulSet, "FailedCreate"), FindingKind::Refused { message: message.to_owned() });
        let shortened = message.replace("\"db-0\"", "\"db-…\"");
        assert_eq!(refused(Kind::Job, "FailedCreate"), FindingKind::Refused { message: shortened });
    }

    #[test]
    fn a_stateful_set_names_the_pod_that_it_created() {
        for verb in ["create", "Create"] {
            let message = format!("{verb} Pod db-0 in StatefulSet db successful");
            assert_eq!(created_by_stateful_set(&message), Some("db-0"), "{message}");
        }
        assert_eq!(created_by_stateful_set("Create Pod db-0 in StatefulSet db failed error: no"), None);
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
            of_event(&subject, &event, &Images::default()).cause
        };
        assert_eq!(key("spec.containers{dev}"), key("spec.containers{dev}"));
        assert_ne!(key("spec.initContainers{prepare}"), key("spec.containers{dev}"));
    }
}
