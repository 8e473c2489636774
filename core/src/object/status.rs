//! Status of a pod and of its containers.

use jiff::Timestamp;
use serde::Deserialize;

use super::decode::{nullable, number, time};
use crate::{bounded, text};

/// Status of a pod, reduced to what Events may not show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Phase: `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "text::word")]
    pub phase: String,
    /// Reason, such as `Evicted`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Conditions.
    #[serde(deserialize_with = "bounded::list")]
    pub conditions: Vec<Condition>,
    /// Time at which the kubelet accepted the pod.
    pub start_time: Option<Timestamp>,
    /// Statuses of the init containers.
    #[serde(deserialize_with = "bounded::list")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Statuses of the containers.
    #[serde(deserialize_with = "bounded::list")]
    pub container_statuses: Vec<ContainerStatus>,
}

/// A condition of a pod or workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// Type, such as `PodScheduled` or `Progressing`.
    #[serde(rename = "type", deserialize_with = "text::name")]
    pub kind: String,
    /// Status: `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "text::word")]
    pub status: String,
    /// Reason, such as `Unschedulable`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Time at which the status changed.
    #[serde(deserialize_with = "time")]
    pub last_transition_time: Option<Timestamp>,
}

/// The status of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// The container's name.
    #[serde(deserialize_with = "text::name")]
    pub name: String,
    /// Number of restarts.
    #[serde(deserialize_with = "number")]
    pub restart_count: u32,
    /// True if the container runs and passes its startup and readiness probes.
    #[serde(deserialize_with = "nullable")]
    pub ready: bool,
    /// Current state.
    #[serde(deserialize_with = "nullable")]
    pub state: ContainerState,
    /// Previous state: the end of an earlier run.
    #[serde(deserialize_with = "nullable")]
    pub last_state: ContainerState,
}

/// State of a container: waiting, running or terminated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerState {
    /// Set while the container does not run yet, or not again.
    pub waiting: Option<Waiting>,
    /// Set while the container runs.
    pub running: Option<Running>,
    /// Set after the container ended.
    pub terminated: Option<Terminated>,
}

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Start time, by the node's clock.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
}

/// State of a container that waits, with the reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Waiting {
    /// Reason, such as `ImagePullBackOff`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
}

/// State of a container that ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terminated {
    /// The process's exit code.
    pub exit_code: i32,
    /// Reason, such as `OOMKilled`, `Error` or `Completed`.
    #[serde(deserialize_with = "text::reason")]
    pub reason: String,
    /// Message that belongs to the reason; may be the container's own termination message.
    #[serde(deserialize_with = "text::message")]
    pub message: String,
    /// Start time, by the node's clock.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
    /// End time, by the node's clock.
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<Timestamp>,
    /// Id of this run of the container; empty if the runtime gives none.
    #[serde(rename = "containerID")]
    pub container_id: String,
}
