//! The Kubernetes reason of a finding, for `--skip-reasons`.

use logstream_core::finding::FindingKind;

/// The reason as `kubectl get events` or the pod's status shows it; `None` for the creation, deletion and recovery of
/// an object, which have no reason in Kubernetes.
pub(super) fn reason(kind: &FindingKind) -> Option<&str> {
    match kind {
        FindingKind::Event { reason, .. }
        | FindingKind::Failed { reason, .. }
        | FindingKind::Disrupted { reason, .. }
        | FindingKind::Terminated { reason, .. }
        | FindingKind::Waiting { reason, .. } => Some(reason),
        FindingKind::Refused { .. } => Some("FailedCreate"),
        FindingKind::Unschedulable { .. } => Some("FailedScheduling"),
        FindingKind::Evicted { .. } => Some("Evicted"),
        FindingKind::ImagePull { .. } => Some("ErrImagePull"),
        FindingKind::Unhealthy { .. } => Some("Unhealthy"),
        FindingKind::SlowPull { .. } => Some("Pulling"),
        FindingKind::Created | FindingKind::Deleted | FindingKind::Recovered { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_that_of_kubernetes() {
        let event = FindingKind::Event { reason: "Pulled".into(), message: "x".into(), warning: false };
        assert_eq!(reason(&event), Some("Pulled"));
        assert_eq!(reason(&FindingKind::Refused { message: String::new() }), Some("FailedCreate"));
        assert_eq!(reason(&FindingKind::Created), None);
    }
}
