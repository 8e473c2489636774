//! What happened, to which agents: facts without words.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{fact_id::FactId, identity::Subject, token::AgentToken};

/// A fact that some agents' owners should read. [`crate::render`] finds the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whose startup logs it belongs to, each token once.
    pub agents: Arc<[AgentToken]>,
    /// What it is about.
    pub subject: Subject,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub kind: FindingKind,
    /// Set when the same was told before.
    pub repeat: Option<Repeat>,
    /// Where the fact stands in the cluster's history.
    pub fact_id: Option<FactId>,
}

/// How often the same thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// Including the first time.
    pub times: u32,
    /// From the first to the last time.
    pub over: SignedDuration,
}

/// What happened to the subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FindingKind {
    /// A pod, or a workload that will make one, exists.
    Created,
    /// It is gone.
    Deleted,
    /// An Event, as its author wrote it.
    Event {
        /// The Event's reason.
        reason: String,
        /// The Event's message.
        message: String,
        /// Whether it is of type Warning.
        warning: bool,
    },
    /// The API server refused the workload's pod. The message holds no random pod name.
    Refused {
        /// What the API server said.
        message: String,
    },
    /// No node takes the pod. Deduplicator by an Event and by the pod's status alike.
    Unschedulable {
        /// What the scheduler said.
        message: String,
    },
    /// The node threw the pod out. Deduplicator by an Event and by the pod's status alike.
    Evicted {
        /// What the kubelet said.
        message: String,
    },
    /// The cluster takes the pod away: a drain, a taint, a pod of higher priority. From the pod's `DisruptionTarget`
    /// condition.
    Disrupted {
        /// The condition's reason, such as `EvictionByEvictionAPI`.
        reason: String,
        /// Of the reason.
        message: String,
    },
    /// The node or the control plane ended the pod for another reason.
    Failed {
        /// The reason in the pod's status.
        reason: String,
        /// Of the reason.
        message: String,
    },
    /// A container ended badly.
    Terminated {
        /// The container.
        container: String,
        /// Whether it is an init container.
        init: bool,
        /// The process's exit code.
        exit_code: i32,
        /// Such as `OOMKilled`, `Error`.
        reason: String,
        /// The container's memory limit, as its spec has it.
        memory_limit: Option<String>,
        /// The container's own last words (`terminationMessagePath`, or the end of its log), or the kubelet's.
        message: String,
    },
    /// An image cannot be pulled. Deduplicator by an Event and by the pod's status alike.
    ImagePull {
        /// The container, or the first one, that needs the image; empty where nothing tells.
        container: String,
        /// The image's reference.
        image: String,
        /// Message of the registry or the runtime.
        message: String,
    },
    /// A container's probe fails.
    Unhealthy {
        /// The container; empty where nothing tells.
        container: String,
        /// The kubelet's message, which begins with the kind of probe.
        message: String,
    },
    /// A pull goes on for long, without an error.
    SlowPull {
        /// The container that needs the image; empty where nothing tells.
        container: String,
        /// The image's reference.
        image: String,
        /// How long so far.
        elapsed: SignedDuration,
    },
    /// Trouble that was reported is over.
    Recovered {
        /// What goes on now.
        stage: Stage,
        /// Since the trouble was first reported.
        after: SignedDuration,
    },
    /// A container cannot start.
    Waiting {
        /// The container.
        container: String,
        /// Why, with reasons that alternate taken as one.
        why: WaitingFor,
        /// The kubelet's reason, such as `ImagePullBackOff`.
        reason: String,
        /// The image's reference.
        image: String,
        /// What the kubelet said.
        message: String,
    },
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
    Started(String),
    /// All its containers are ready.
    Ready,
}

/// Why a container does not start: kubelet's waiting reasons, those that alternate taken as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitingFor {
    /// `ErrImageNeverPull`, `RegistryUnavailable`, `SignatureValidationFailed`; `ErrImagePull` and `ImagePullBackOff` where they give no cause
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
    /// The class of kubelet's reason; `None` for the reasons of an ordinary start (`ContainerCreating`,
    /// `PodInitializing`) and for those not known.
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
