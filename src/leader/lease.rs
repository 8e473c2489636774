//! A Lease as it was read.

use std::time::Duration;

use k8s_openapi::api::coordination::v1 as coordination;

/// The state of the Lease in one version. Its times are left out: they come from the holder's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lease {
    /// UID of the object. A different one means that it was deleted and created again.
    pub(super) uid: String,
    /// resourceVersion.
    pub(super) version: u64,
    /// Identity of the replica that holds it; none if it was released or never taken.
    pub(super) holder: Option<String>,
    /// Duration for which others have to wait.
    pub(super) duration: Duration,
    /// Number of times it went to another holder.
    pub(super) transitions: i32,
}

impl Lease {
    /// The state of this object; `None` if it has no resourceVersion that can be compared.
    pub(super) fn of(object: coordination::Lease) -> Option<Self> {
        let spec = object.spec.unwrap_or_default();
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
        Some(Self {
            uid: object.metadata.uid.unwrap_or_default(),
            version: object.metadata.resource_version?.parse().ok()?,
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            duration: Duration::from_secs(seconds),
            transitions: spec.lease_transitions.unwrap_or_default(),
        })
    }
}
