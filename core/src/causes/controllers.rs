//! A controller gives up on the workspace's pods.

use super::{
    Actor::{Nobody, Owner, TemplateAuthor},
    Area::Controllers as AREA,
    Cause,
    pattern::Pattern,
    symptom::Topic,
};
use crate::line::Level::{Error, Warn};

const EVENT: Pattern = Pattern::of(Topic::Event);

pub(super) static CAUSES: &[Cause] = &[
    Cause::new(AREA, "progress_deadline", Error, Owner, "The Deployment has not become available in time")
        .on(&[EVENT.reason(&["ProgressDeadlineExceeded"])])
        .says(
            "The workspace's pod has not become ready in time. Kubernetes does not give up on it.",
            "The lines before this one say why; if there are none, ask your administrator.",
        )
        .seen("ProgressDeadlineExceeded", "ReplicaSet \"ws-1\" has timed out progressing."),
    Cause::new(AREA, "backoff_limit", Error, Owner, "The Job's pods failed too often")
        .on(&[EVENT.reason(&[
            "BackoffLimitExceeded",
            "FailedIndexes",
            "MaxFailedIndexesExceeded",
            "PodFailurePolicy",
            "FailJob",
        ])])
        .says(
            "The pods of the workspace's Job failed too often, and it makes no more.",
            "The lines before this one say why they failed. Start the workspace again.",
        )
        .seen("BackoffLimitExceeded", "Job has reached the specified backoff limit"),
    Cause::new(AREA, "job_deadline", Error, TemplateAuthor, "The Job ran longer than it may")
        .on(&[EVENT.reason(&["DeadlineExceeded"])])
        .says(
            "The workspace's Job ran longer than the template allows (activeDeadlineSeconds).",
            "The template's author must raise or remove that limit.",
        )
        .seen("DeadlineExceeded", "Job was active longer than specified deadline"),
    Cause::new(AREA, "controller_retry", Warn, Nobody, "A controller cannot do its work yet")
        .on(&[EVENT.reason(&[
            "ReplicaSetCreateError",
            "FailedUpdate",
            "FailedDelete",
            "RecreatingFailedPod",
            "FailedNeedsStart",
            "FailedToUpdateEndpoint",
            "FailedToCreateEndpoint",
        ])])
        .says("A controller of the cluster could not do its work.", "Kubernetes tries again by itself.")
        .seen("ReplicaSetCreateError", "Failed to create new replica set \"ws-1\": namespaces \"team\" is forbidden"),
];
