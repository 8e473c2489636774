//! A log message for each start that fails or recovers, for statistics of failed starts by cause.
//!
//! Fields: `namespace`, `pod` (or the workload, where no pod exists), `owner`, `workspace`, `cause` and `duration`, in
//! seconds since the creation.

use logstream_core::{causes::Cause, correlate::Start};

/// Logs that a start failed, for the first time by this cause.
pub(super) fn failed(start: &Start, cause: &Cause) {
    log(start, cause, "start failed");
}

/// Logs that a pod that had failed runs. Only the first cause is logged.
pub(super) fn recovered(start: &Start, causes: &[&Cause]) {
    if let Some(cause) = causes.first() {
        log(start, cause, "start recovered");
    }
}

fn log(start: &Start, cause: &Cause, message: &str) {
    let (subject, owner) = (&start.subject, &start.owner);
    tracing::info!(
        namespace = &*subject.namespace,
        pod = &*subject.name,
        owner = owner.user,
        workspace = owner.workspace,
        cause = cause.id,
        duration = start.duration.as_secs_f64(),
        "{message}"
    );
}
