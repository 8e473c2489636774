//! Findings: facts for the owners of agents, before they are rendered.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{fact_id::FactId, identity::Subject, token::AgentToken};

/// Fact that the owners of some agents should read. [`crate::render`] turns it into text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Agents that get the line, each token once.
    pub agents: Arc<[AgentToken]>,
    /// The object.
    pub subject: Subject,
    /// Time of the fact.
    pub at: Timestamp,
    /// Kind of the fact, with its details.
    pub kind: FindingKind,
    /// Number and period of repeats, if the same was reported before.
    pub repeat: Option<Repeat>,
    /// Identity of the fact, for its acknowledgement.
    pub fact_id: Option<FactId>,
}

/// Number and period of repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// Number of occurrences, including the first one.
    pub times: u32,
    /// Time from the first to the last occurrence.
    pub over: SignedDuration,
}

/// Kind of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingKind {
    /// A pod, or a workload that will create one, exists.
    Created,
    /// It is gone.
    Deleted,
    /// An Event, as its author wrote it.
    Event {
        /// The Event's reason.
        reason: String,
        /// The Event's message.
        message: String,
        /// True for the type Warning.
        warning: bool,
    },
    /// The API server refused the workload's pod. The message contains no random pod name.
    Refused {
        /// Message of the API server.
        message: String,
    },
    /// No node fits the pod. Shown by an Event and by the pod's status.
    Unschedulable {
        /// Message of the scheduler.
        message: String,
    },
    /// The node evicted the pod. Shown by an Event and by the pod's status.
    Evicted {
        /// Message of the kubelet.
        message: String,
    },
    /// The cluster removes the pod: a drain, a taint, a pod of higher priority. From the pod's `DisruptionTarget`
    /// condition.
    Disrupted {
        /// The condition's reason, such as `EvictionByEvictionAPI`.
        reason: String,
        /// The message that belongs to the reason.
        message: String,
    },
    /// The node or the control plane ended the pod for another reason.
    Failed {
        /// The reason in the pod's status.
        reason: String,
        /// The message that belongs to the reason.
        message: String,
    },
    /// A container ended with an error.
    Terminated {
        /// The container.
        container: String,
        /// Its kind.
        which: ContainerKind,
        /// The process's exit code.
        exit_code: i32,
        /// Reason, such as `OOMKilled` or `Error`.
        reason: String,
        /// Memory limit in the container's spec.
        memory_limit: Option<String>,
        /// Termination message of the container (`terminationMessagePath`, or the end of its log) or of the kubelet.
        message: String,
    },
    /// An image cannot be pulled. Shown by an Event and by the pod's status.
    ImagePull {
        /// The container, or the first one, that needs the image; empty if it is unknown.
        container: String,
        /// Its kind.
        which: ContainerKind,
        /// The image's reference.
        image: String,
        /// Message of the registry or the runtime.
        message: String,
    },
    /// A container's probe fails.
    Unhealthy {
        /// The container; empty if it is unknown.
        container: String,
        /// Its kind.
        which: ContainerKind,
        /// The kubelet's message, which begins with the kind of probe.
        message: String,
    },
    /// A pull takes long, without an error.
    SlowPull {
        /// The container that needs the image; empty if it is unknown.
        container: String,
        /// Its kind.
        which: ContainerKind,
        /// The image's reference.
        image: String,
        /// Time since the pull began.
        elapsed: SignedDuration,
    },
    /// A start recovered from a reported failure.
    Recovered {
        /// Stage that was reached.
        stage: Stage,
        /// Time since the failure was first reported.
        after: SignedDuration,
    },
    /// A container cannot start.
    Waiting {
        /// The container.
        container: String,
        /// Its kind.
        which: ContainerKind,
        /// Class of the reason; reasons that alternate have one class.
        why: WaitingFor,
        /// The kubelet's reason, such as `ImagePullBackOff`.
        reason: String,
        /// The image's reference.
        image: String,
        /// Message of the kubelet.
        message: String,
    },
}

/// The kind of a container, as Kubernetes distinguishes them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerKind {
    /// An app container.
    #[default]
    App,
    /// An init container, which runs to its end before the app containers start.
    Init,
    /// An init container with `restartPolicy: Always`, which keeps running beside the app containers.
    Sidecar,
}

impl ContainerKind {
    /// Returns the kind as it begins a line: `Init container`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::App => "Container",
            Self::Init => "Init container",
            Self::Sidecar => "Sidecar container",
        }
    }
}

/// A stage of a start that can be reached late.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The pod exists.
    Created,
    /// It has a node.
    Scheduled,
    /// Its volumes are mounted and its network is set up.
    Prepared,
    /// This image is on the node.
    Pulled(String),
    /// This container runs.
    Started(ContainerKind, String),
    /// This container stays up after it crashed.
    Steady(ContainerKind, String),
    /// This init container has done its work after it crashed.
    Done(String),
    /// All its containers are ready.
    Ready,
}

/// Class of the kubelet's waiting reasons. Reasons that alternate have one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitingFor {
    /// `ErrImageNeverPull`, `RegistryUnavailable`, `SignatureValidationFailed`; `ErrImagePull` and `ImagePullBackOff`
    /// if they have no cause
    Image,
    /// `InvalidImageName`
    ImageName,
    /// `CrashLoopBackOff`
    CrashLoop,
    /// `CreateContainerConfigError`
    Config,
    /// `CreateContainerError`, `RunContainerError`, `ImageInspectError`
    Container,
    /// `PostStartHookError`
    Hook,
}

impl WaitingFor {
    /// Returns the class of the kubelet's reason; `None` for the reasons of an ordinary start (`ContainerCreating`,
    /// `PodInitializing`) and for unknown ones.
    pub fn parse(reason: &str) -> Option<Self> {
        Some(match reason {
            "ErrImagePull"
            | "ImagePullBackOff"
            | "ErrImageNeverPull"
            | "RegistryUnavailable"
            | "SignatureValidationFailed" => Self::Image,
            "InvalidImageName" => Self::ImageName,
            "CrashLoopBackOff" => Self::CrashLoop,
            "CreateContainerConfigError" => Self::Config,
            "CreateContainerError" | "RunContainerError" | "ImageInspectError" => Self::Container,
            "PostStartHookError" => Self::Hook,
            _ => return None,
        })
    }
}
