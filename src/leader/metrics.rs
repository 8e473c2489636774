//! Metrics of the election.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, gauge::ConstGauge},
    registry::Registry,
};

use super::Leadership;

/// Counters of the election.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(super) transitions: Counter,
    pub(super) failures: Counter,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "leader_transitions",
            "Times that this replica took the Lease from another holder or after a release",
            self.transitions.clone(),
        );
        registry.register("lease_errors", "Failed requests that read or write the Lease", self.failures.clone());
    }
}

/// The gauge `leader`. It is computed at each scrape, because the permission runs out by itself.
#[derive(Debug)]
pub struct LeaderGauge(pub Leadership);

impl Collector for LeaderGauge {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let descriptor = encoder.encode_descriptor(
            "leader",
            "1 while this replica may deliver, 0 otherwise",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(i64::from(self.0.may_send())).encode(descriptor)
    }
}
