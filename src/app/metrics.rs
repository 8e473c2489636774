//! The metrics of all modules, registered before anything runs, so that the first scrape is complete.

use logstream_certs as certs;
use logstream_webhook as webhook;
use prometheus_client::registry::Registry;

use crate::{checkpoint, correlate, deliver, leader, registry, watch};

/// The metrics of each module.
pub(super) struct Metrics {
    pub(super) webhook: webhook::Metrics,
    pub(super) certs: certs::Metrics,
    pub(super) registry: registry::Metrics,
    pub(super) leader: leader::Metrics,
    pub(super) checkpoint: checkpoint::Metrics,
    pub(super) watch: watch::Metrics,
    pub(super) correlate: correlate::Metrics,
    pub(super) deliver: deliver::Metrics,
}

impl Metrics {
    pub(super) fn register(into: &mut Registry) -> Self {
        let metrics = Self {
            webhook: webhook::Metrics::new(),
            certs: certs::Metrics::new(),
            registry: registry::Metrics::default(),
            leader: leader::Metrics::default(),
            checkpoint: checkpoint::Metrics::default(),
            watch: watch::Metrics::register(into),
            correlate: correlate::Metrics::default(),
            deliver: deliver::Metrics::register(into),
        };
        metrics.webhook.register(into);
        metrics.certs.register(into);
        metrics.registry.register(into);
        metrics.leader.register(into);
        metrics.checkpoint.register(into);
        metrics.correlate.register(into);
        metrics
    }
}
