//! What happened, to which agents: facts without words.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{identity::Subject, line::FactId, token::AgentToken};

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

/// Why an image is not pulled, as far as the message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageFailure {
    /// The kubelet's own limit of pulls.
    NodeBusy,
    /// No space is left on the node.
    NodeDisk,
    /// The node's container runtime does not answer.
    NodeRuntime,
    /// The image is not built for the node's architecture.
    Platform,
    /// `imagePullPolicy: Never`, and the node does not have the image.
    NeverPull,
    /// The registry's limit of pulls.
    RateLimit,
    /// The registry's certificate is not trusted.
    Certificate,
    /// The registry speaks HTTP instead of HTTPS.
    PlainHttp,
    /// Credentials are missing or wrong; many registries also say this of an image that does not exist.
    Login,
    /// The registry answers with an error of its own.
    Registry,
    /// The registry does not answer.
    Unreachable,
    /// The registry does not have the image.
    NotFound,
}

impl ImageFailure {
    /// The failure that a kubelet's message tells of; `None` if it is not known. Words in the image's name and in
    /// quotations are not looked at.
    pub fn parse(message: &str, image: &str) -> Option<Self> {
        const WORDS: [(ImageFailure, &[&str]); 12] = [
            (ImageFailure::NodeBusy, &["pull qps exceeded"]),
            (ImageFailure::NodeDisk, &["no space left on device"]),
            (ImageFailure::NodeRuntime, &["dial unix"]),
            (
                ImageFailure::Platform,
                &["no match for platform", "no matching manifest for", "does not match the specified platform"],
            ),
            (ImageFailure::NeverPull, &["pull policy of never"]),
            (ImageFailure::RateLimit, &["toomanyrequests", "too many requests", "rate limit", ": 429"]),
            (ImageFailure::Certificate, &["x509:", "failed to verify certificate"]),
            (ImageFailure::PlainHttp, &["server gave http response to https client"]),
            (
                ImageFailure::Login,
                &[
                    "unauthorized",
                    "authentication required",
                    "no basic auth",
                    "insufficient_scope",
                    "access denied",
                    "authorization failed",
                    "failed to authorize",
                    "denied: ",
                    "403 forbidden",
                    ": 401",
                ],
            ),
            (ImageFailure::Registry, &[": 500 ", ": 502 ", ": 503 ", ": 504 ", "internal server error", "bad gateway"]),
            (
                ImageFailure::Unreachable,
                &[
                    "no such host",
                    "i/o timeout",
                    "tls handshake timeout",
                    "connection refused",
                    "connection reset",
                    "no route to host",
                    "network is unreachable",
                    "deadline exceeded",
                    "server misbehaving",
                ],
            ),
            (ImageFailure::NotFound, &[": not found", "manifest unknown", "name unknown", "code = notfound"]),
        ];
        let message = if image.is_empty() { message.to_owned() } else { message.replace(image, "") };
        // Every second part is inside quotes; a transport error is quoted too, and that one says which.
        let outside: String = message
            .split('"')
            .enumerate()
            .filter(|(index, part)| index % 2 == 0 || part.starts_with("transport: "))
            .map(|(_, part)| part)
            .collect();
        let lower = outside.to_ascii_lowercase();
        WORDS.into_iter().find(|(_, words)| words.iter().any(|word| lower.contains(word))).map(|(failure, _)| failure)
    }
}
