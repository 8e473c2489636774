//! Recordings made from the message that a catalogue's entry is based on, written as its component would write it.

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    causes::{Area, Cause},
    line::Level,
};
use serde_json::{Value, json};

use crate::recording::{Change, Recording, Step};

/// Start time of made recordings.
const BEGINNING: Timestamp = Timestamp::constant(1_795_766_400, 0);

const NAMESPACE: &str = "workspaces";
const IMAGE: &str = "registry.example.com/team/workspace:ubuntu";
const CONTAINER: &str = "dev";
const INIT: &str = "prepare-home";

/// A failure that the catalogue does not contain.
const UNKNOWN: (&str, &str) = ("PluginTrouble", "the plugin example.com/x is not happy with the pod");

/// Reasons of Events about a volume claim.
const CLAIM: [&str; 9] = [
    "ClaimLost",
    "ClaimPending",
    "ExternalProvisioning",
    "FailedBinding",
    "ProvisioningFailed",
    "VolumeMismatch",
    "VolumeResizeFailed",
    "WaitForFirstConsumer",
    "WaitForPodScheduled",
];

/// Reasons of Events about a node.
const NODE: [&str; 6] =
    ["EvictionThresholdMet", "FailedDraining", "Rebooted", "RemovingNode", "SpotInterrupted", "SystemOOM"];

/// The Kubernetes reason and the message that represent a cause.
pub fn shown(cause: &Cause) -> (&'static str, &'static str) {
    if cause.area == Area::Unknown { UNKNOWN } else { cause.sample }
}

/// The recording of a cause, made from its message.
pub fn made(cause: &'static Cause) -> Recording {
    let (reason, message) = shown(cause);
    let made = Made::new(cause, reason, message);
    match (cause.area, reason) {
        (Area::Refused, "FailedCreate") => made.refused(),
        (Area::Scheduling, "FailedScheduling") => made.unschedulable(),
        (Area::Scheduling, _) => made.event_about_pod(),
        (Area::Images, _) => made.image(),
        (Area::Containers, _) => made.container(),
        (Area::Controllers, _) => made.event_about_workload(),
        // For the claim of an ephemeral volume, the Event is about the pod.
        (Area::Volumes, "FailedBinding") if message.starts_with("ephemeral volume") => made.pending().event_about_pod(),
        (Area::Volumes, reason) if CLAIM.contains(&reason) => made.pending().event_about_claim(),
        (Area::Node | Area::Disruption, reason) if NODE.contains(&reason) => made.event_about_node(),
        (Area::Disruption, _) => made.disruption(),
        (Area::Refused | Area::Unknown | Area::Volumes | Area::Node, _) => made.placed().event_about_pod(),
    }
}

/// A recording under construction.
struct Made {
    cause: &'static Cause,
    reason: &'static str,
    message: String,
    name: String,
    kind: &'static str,
    init: bool,
    /// The pod's node, if it matters.
    node: Option<String>,
    claim: bool,
    now: Timestamp,
    steps: Vec<Step>,
}

impl Made {
    fn new(cause: &'static Cause, reason: &'static str, message: &str) -> Self {
        let name = format!("coder-ada-{}", cause.id.replace('_', "-"));
        // The catalogue's messages are about a workspace named ws-1 in the namespace team.
        let message =
            message.replace("ws-1", &name).replace("ws-0", &format!("{name}-0")).replace("team/", "workspaces/");
        Self {
            cause,
            reason,
            message,
            name,
            kind: "Pod",
            init: false,
            node: None,
            claim: false,
            now: BEGINNING,
            steps: Vec::new(),
        }
    }

    fn done(self) -> Recording {
        let mut spec = json!({
            "name": self.name,
            "namespace": NAMESPACE,
            "uid": "9b2d4c1e-5a0f-4d53-8a52-6f1f0c6f7a11",
            "creationTimestamp": BEGINNING.to_string(),
            "restartPolicy": "Always",
            "containers": [{ "name": CONTAINER, "image": IMAGE, "resources": { "limits": { "memory": "512Mi" } } }],
        });
        if self.init {
            spec["initContainers"] =
                json!([{ "name": INIT, "image": IMAGE, "resources": { "limits": { "memory": "64Mi" } } }]);
        }
        if let Some(node) = &self.node {
            spec["nodeName"] = node.as_str().into();
        }
        if self.claim {
            let claim = json!({ "claimName": format!("{}-home", self.name) });
            spec["volumes"] = json!([{ "name": "home", "persistentVolumeClaim": claim }]);
        }
        let description = self.cause.title.to_owned();
        Recording { description, kind: self.kind, object: spec, steps: self.steps }
    }

    fn wait(mut self, seconds: i64) -> Self {
        self.now += SignedDuration::from_secs(seconds);
        self
    }

    fn push(mut self, change: Change) -> Self {
        // An Event and the status with the same information never come at the same moment.
        self.now += SignedDuration::from_millis(20);
        self.steps.push(Step { at: self.now, change });
        self
    }

    /// An Event about the object, or about one of its containers.
    fn event(self, kind: &str, reason: &str, message: &str, container: Option<&str>) -> Self {
        let mut about = json!({
            "kind": self.kind, "namespace": NAMESPACE, "name": self.name,
            "uid": "9b2d4c1e-5a0f-4d53-8a52-6f1f0c6f7a11",
        });
        if let Some(container) = container {
            about["fieldPath"] = format!("spec.containers{{{container}}}").into();
        }
        self.event_about(&about, kind, reason, message)
    }

    fn event_about(self, about: &Value, kind: &str, reason: &str, message: &str) -> Self {
        let number = self.steps.len();
        let namespace = if about["kind"] == "Node" { "default" } else { NAMESPACE };
        let at = self.now.to_string();
        let event = json!({
            "metadata": { "name": format!("{}.{number}", self.name), "namespace": namespace,
                "uid": format!("00000000-0000-4000-8000-{number:012}"), "resourceVersion": (2_000 + number).to_string(),
                "creationTimestamp": at },
            "involvedObject": about,
            "reason": reason, "message": message, "type": kind,
            "count": 1, "firstTimestamp": at, "lastTimestamp": at,
        });
        self.push(Change::Event(event))
    }

    fn normal(self, reason: &str, message: &str) -> Self {
        self.event("Normal", reason, message, None)
    }

    fn status(self, status: Value) -> Self {
        self.push(Change::Status(status, Value::Null))
    }

    /// The type of the Event that the entry is based on.
    fn event_type(&self) -> &'static str {
        if self.cause.level == Level::Debug { "Normal" } else { "Warning" }
    }

    /// Adds the Event that the entry is based on.
    fn own_event(self) -> Self {
        let kind = self.event_type();
        let (reason, message) = (self.reason, self.message.clone());
        self.event(kind, reason, &message, None)
    }

    fn pending(self) -> Self {
        self.status(json!({ "phase": "Pending" }))
    }

    /// Assigns the pod to a node.
    fn placed(self) -> Self {
        let made = self.pending();
        let message = format!("Successfully assigned {NAMESPACE}/{} to node-1", made.name);
        made.normal("Scheduled", &message).wait(1)
    }

    fn event_about_pod(self) -> Recording {
        let made = if self.steps.is_empty() { self.pending().wait(1) } else { self };
        made.own_event().done()
    }

    fn event_about_claim(mut self) -> Recording {
        self.claim = true;
        let about = json!({ "kind": "PersistentVolumeClaim", "namespace": NAMESPACE,
            "name": format!("{}-home", self.name), "uid": "7c1f0b52-1d7e-4f0c-9a43-20a6b6f6d0e1" });
        let (kind, reason, message) = (self.event_type(), self.reason, self.message.clone());
        self.event_about(&about, kind, reason, &message).done()
    }

    /// An Event about the pod's node. The node is the pod's own, so the Events reach no other pod.
    fn event_about_node(mut self) -> Recording {
        let node = format!("node-of-{}", self.name);
        self.message = self.message.replace("node-1", &node);
        self.node = Some(node.clone());
        let about = json!({ "kind": "Node", "name": node, "uid": node });
        let (kind, reason, message) = (self.event_type(), self.reason, self.message.clone());
        self.pending().running().wait(4).event_about(&about, kind, reason, &message).done()
    }

    fn event_about_workload(mut self) -> Recording {
        self.kind = if self.message.starts_with("Job ") { "Job" } else { "ReplicaSet" };
        self.status(json!({})).wait(1).own_event().done()
    }

    fn refused(mut self) -> Recording {
        self.kind = if self.message.contains("StatefulSet") { "StatefulSet" } else { "ReplicaSet" };
        self.message = self.message.replace("-…", "-x7k2p");
        self.status(json!({})).own_event().done()
    }

    fn unschedulable(mut self) -> Recording {
        if let Some(nodes) = self.message.split(' ').next().and_then(|word| word.parse::<u32>().ok()) {
            self.message = format!(
                "0/{nodes} nodes are available: {}. preemption: 0/{nodes} nodes are available: {nodes} Preemption is not \
                 helpful for scheduling.",
                self.message
            );
        }
        let condition = json!({ "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": self.message, "lastTransitionTime": self.now.to_string() });
        let made = self.pending();
        made.status(json!({ "phase": "Pending", "conditions": [condition] })).own_event().done()
    }

    /// A state of the container that the entry is about.
    fn container_state(self, phase: &str, restarts: u32, state: &Value, last: &Value) -> Self {
        let status = |name: &str, state: &Value, last: &Value, restarts| {
            let mut status = json!({ "name": name, "restartCount": restarts, "state": state });
            if !last.is_null() {
                status["lastState"] = last.clone();
            }
            status
        };
        let statuses = if self.init {
            let waiting = json!({ "waiting": { "reason": "PodInitializing" } });
            json!({ "phase": phase, "initContainerStatuses": [status(INIT, state, last, restarts)],
                "containerStatuses": [status(CONTAINER, &waiting, &Value::Null, 0)] })
        } else {
            json!({ "phase": phase, "containerStatuses": [status(CONTAINER, state, last, restarts)] })
        };
        self.status(statuses)
    }

    fn waiting(self, reason: &str, message: &str) -> Self {
        self.container_state(
            "Pending",
            0,
            &json!({ "waiting": { "reason": reason, "message": message } }),
            &Value::Null,
        )
    }

    fn pulling(self) -> Self {
        self.event("Normal", "Pulling", &format!("Pulling image \"{IMAGE}\""), Some(CONTAINER))
    }

    fn pulled(self) -> Self {
        let message = format!("Container image \"{IMAGE}\" already present on machine and can be accessed by the pod");
        let container = if self.init { INIT } else { CONTAINER };
        self.event("Normal", "Pulled", &message, Some(container))
    }

    fn failed(self, message: &str) -> Self {
        self.event("Warning", "Failed", message, Some(CONTAINER))
    }

    fn image(self) -> Recording {
        let made = self.placed();
        let (reason, message) = (made.reason, made.message.clone());
        match reason {
            "Pulling" => made.pulling().waiting("ContainerCreating", ""),
            "FailedToRetrieveImagePullSecret" => made.own_event(),
            // Before Kubernetes 1.31 it does not give the reason, and the Event that does may be gone.
            "BackOff" => made.event("Normal", reason, &format!("Back-off pulling image \"{IMAGE}\""), Some(CONTAINER)),
            "ErrImageNeverPull" | "SignatureValidationFailed" => {
                made.failed(&format!("Error: {reason}")).waiting(reason, &message)
            }
            "InvalidImageName" => {
                made.event("Warning", "InspectFailed", &message, Some(CONTAINER)).waiting(reason, &message)
            }
            _ => {
                let back_off = format!("Back-off pulling image \"{IMAGE}\"");
                made.pulling()
                    .wait(3)
                    .failed(&format!("Failed to pull image \"{IMAGE}\": {message}"))
                    .failed("Error: ErrImagePull")
                    .waiting("ErrImagePull", &message)
                    .wait(12)
                    .event("Normal", "BackOff", &back_off, Some(CONTAINER))
                    .failed("Error: ImagePullBackOff")
                    .waiting("ImagePullBackOff", &format!("{back_off}: ErrImagePull: {message}"))
            }
        }
        .done()
    }

    fn container(mut self) -> Recording {
        self.init = self.cause.id.contains("init");
        let made = self.placed();
        let (reason, message) = (made.reason, made.message.clone());
        match reason {
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                made.pulled().failed(&format!("Error: {message}")).waiting(reason, &message)
            }
            "PostStartHookError" => made.running().wait(1).waiting(reason, &message),
            "CrashLoopBackOff" => {
                let crash = made.ended("Running", 1, "Error", "");
                let wait = json!({ "waiting": { "reason": reason, "message": message } });
                crash.wait(1).container_state("Running", 1, &wait, &Value::Null)
            }
            "OOMKilled" | "Error" | "Completed" | "ContainerStatusUnknown" => {
                let code = exit_code(made.cause.id);
                // An entry that is identified by its exit code has no message.
                let message = if message.starts_with("exit ") { "" } else { message.as_str() };
                made.ended("Running", code, reason, message)
            }
            "Unhealthy" | "FailedPreStopHook" => {
                made.running().wait(5).event("Warning", reason, &message, Some(CONTAINER))
            }
            _ => made.running().wait(1).own_event(),
        }
        .done()
    }

    fn started(self) -> Self {
        let container = if self.init { INIT } else { CONTAINER };
        self.pulled().event("Normal", "Created", "Container created", Some(container)).event(
            "Normal",
            "Started",
            "Container started",
            Some(container),
        )
    }

    fn running(self) -> Self {
        let made = self.started();
        let state = json!({ "running": { "startedAt": made.now.to_string() } });
        made.container_state("Running", 0, &state, &Value::Null)
    }

    fn ended(self, phase: &str, code: i32, reason: &str, message: &str) -> Self {
        let made = self.running().wait(4);
        let (from, to) = (made.now - SignedDuration::from_secs(4), made.now);
        let mut end = json!({ "exitCode": code, "reason": reason, "startedAt": from.to_string(),
            "finishedAt": to.to_string(), "containerID": "containerd://5f0c" });
        if !message.is_empty() {
            end["message"] = message.into();
        }
        made.container_state(phase, 0, &json!({ "terminated": end }), &Value::Null)
    }

    fn disruption(self) -> Recording {
        let made = self.placed().running().wait(4);
        let (reason, message) = (made.reason, made.message.clone());
        match reason {
            "EvictionByEvictionAPI"
            | "DeletionByTaintManager"
            | "DeletionByPodGC"
            | "DeletionByDeviceTaintManager"
            | "PreemptionByScheduler" => {
                let condition = json!({ "type": "DisruptionTarget", "status": "True", "reason": reason,
                    "message": message, "lastTransitionTime": made.now.to_string() });
                made.status(json!({ "phase": "Running", "conditions": [condition] }))
            }
            "Evicted" if message.starts_with("Evicted pod: ") => made.own_event(),
            "TaintManagerEviction" => made.own_event(),
            _ => {
                let status = json!({ "phase": "Failed", "reason": reason, "message": message });
                // A shutdown and a lost node are visible only in the status.
                let made = if matches!(reason, "Terminated" | "NodeLost") { made } else { made.own_event() };
                made.status(status)
            }
        }
        .done()
    }
}

/// The exit code that identifies an entry.
fn exit_code(id: &str) -> i32 {
    match id {
        "oom_killed" | "oom_killed_init" | "exit_sigkill" | "exit_lost" => 137,
        "exit_zero" => 0,
        "exit_126" => 126,
        "exit_127" => 127,
        "exit_sigsegv" => 139,
        "exit_sigterm" => 143,
        "exit_signal" => 129,
        _ => 1,
    }
}
