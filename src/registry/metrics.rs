//! What the registry counts.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// A gauge of how many there are of something.
#[derive(Debug, Clone, Default)]
pub(super) struct Size(Gauge);

impl Size {
    pub(super) fn set(&self, size: usize) {
        self.0.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
}

/// The registry's metrics.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(super) pending: Size,
    pub(super) confirmed: Size,
    pub(super) expired: Counter,
    pub(super) refused: Counter,
}

impl Metrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "claims",
            "Claims of admission that no object has been confirmed to yet",
            self.pending.0.clone(),
        );
        registry.register("workspace_objects", "Pods and workloads that carry an agent", self.confirmed.0.clone());
        registry.register("claims_expired", "Claims of admission that no object came for", self.expired.clone());
        registry.register("claims_refused", "Claims not kept because too many are held", self.refused.clone());
    }
}
