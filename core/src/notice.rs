//! What happened, to which agents: facts without words.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{identity::Subject, line::Mark, token::AgentToken};

/// A fact that some agents' owners should read. [`crate::render`] finds the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose startup logs it belongs to, each token once.
    pub agents: Arc<[AgentToken]>,
    /// What it is about.
    pub subject: Subject,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub what: Happening,
    /// Set when the same was told before.
    pub repeat: Option<Repeat>,
    /// Where the fact stands in the cluster's history.
    pub mark: Option<Mark>,
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
pub enum Happening {
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
    /// No node takes the pod. Told by an Event and by the pod's status alike.
    Unschedulable {
        /// What the scheduler said.
        message: String,
    },
    /// The node threw the pod out. Told by an Event and by the pod's status alike.
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
    /// An image cannot be pulled. Told by an Event and by the pod's status alike.
    ImagePull {
        /// The container, or the first one, that needs the image; empty where nothing tells.
        container: String,
        /// The image's reference.
        image: String,
        /// Message of the registry or the runtime.
        message: String,
    },
    /// A container cannot start.
    Waiting {
        /// The container.
        container: String,
        /// Why, with reasons that alternate taken as one.
        why: WaitingFor,
        /// The image's reference.
        image: String,
        /// What the kubelet said.
        message: String,
    },
}

/// Why a container does not start: kubelet's waiting reasons, those that alternate taken as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitingFor {
    /// `ErrImageNeverPull`, `RegistryUnavailable`; `ErrImagePull` and `ImagePullBackOff` where they give no cause
    Image,
    /// `InvalidImageName`
    ImageName,
    /// `CrashLoopBackOff`
    CrashLoop,
    /// `CreateContainerConfigError`
    Config,
    /// `CreateContainerError`, `RunContainerError`
    Container,
}

impl WaitingFor {
    /// The class of kubelet's reason; `None` for the reasons of an ordinary start (`ContainerCreating`,
    /// `PodInitializing`) and for those not known.
    pub fn parse(reason: &str) -> Option<Self> {
        Some(match reason {
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "RegistryUnavailable" => Self::Image,
            "InvalidImageName" => Self::ImageName,
            "CrashLoopBackOff" => Self::CrashLoop,
            "CreateContainerConfigError" => Self::Config,
            "CreateContainerError" | "RunContainerError" => Self::Container,
            _ => return None,
        })
    }
}
