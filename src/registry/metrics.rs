//! Metrics of the registry.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// A gauge for a number of items.
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
    pub(super) expired: Counter,
    pub(super) rejected: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "pending_registrations",
            "Registrations from admission that no object has confirmed yet",
            self.pending.0.clone(),
        );
        registry.register(
            "registrations_expired",
            "Registrations that no object confirmed in time",
            self.expired.clone(),
        );
        registry.register(
            "registrations_rejected",
            "Registrations rejected because too many are pending",
            self.rejected.clone(),
        );
    }
}
