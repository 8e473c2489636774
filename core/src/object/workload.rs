//! Workloads.

use serde::Deserialize;

use super::{
    decode::{nullable, object},
    meta::Meta,
    pod::PodSpec,
    status::Condition,
};
use crate::bounded;

/// An apps/v1 Deployment, ReplicaSet or StatefulSet, or a batch/v1 Job.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// Metadata; default if it is missing. Decoding fails if it is not a JSON object.
    #[serde(deserialize_with = "object")]
    pub metadata: Meta,
    /// Its spec.
    pub spec: WorkloadSpec,
    /// Its status.
    #[serde(deserialize_with = "nullable")]
    pub status: WorkloadStatus,
}

/// The status of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WorkloadStatus {
    /// Generation of the spec that the status describes; a Job has none.
    pub observed_generation: Option<i64>,
    /// Conditions.
    #[serde(deserialize_with = "bounded::list")]
    pub conditions: Vec<Condition>,
}

/// The spec of a workload.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct WorkloadSpec {
    /// Template of the pods that it creates.
    pub template: Template,
}

/// The template of a workload's pods.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// Labels and annotations of the pods.
    #[serde(deserialize_with = "nullable")]
    pub metadata: Meta,
    /// Their spec.
    pub spec: PodSpec,
}
