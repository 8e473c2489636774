//! Metrics of the saved checkpoint.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::Counter, gauge::ConstGauge},
    registry::{Registry, Unit},
};
use tokio::time::Instant;

/// Counters of saves, and the age of unsaved changes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    saves: Counter,
    failures: Counter,
    outdated_since: Arc<Mutex<Option<Instant>>>,
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("checkpoint_saves", "Saves of the checkpoint", self.saves.clone());
        registry.register("checkpoint_errors", "Saves of the checkpoint that failed", self.failures.clone());
        registry.register_collector(Box::new(Age(self.clone())));
    }

    /// Records that the saved checkpoint is up to date.
    pub(super) fn is_saved(&self) {
        self.saves.inc();
        self.set(None);
    }

    /// Records that there are changes to save. Only the first call after a save has an effect.
    pub(super) fn is_outdated(&self) {
        let now = Instant::now();
        self.outdated_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(now);
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    /// Sets the age to zero, for a process that saves nothing.
    pub fn reset(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        *self.outdated_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}

/// The age, computed at each scrape.
#[derive(Debug)]
struct Age(Metrics);

impl Collector for Age {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let descriptor = encoder.encode_descriptor(
            "checkpoint_age",
            "Time since when the saved checkpoint is out of date, zero while it is not",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        let since = *self.0.outdated_since.lock().unwrap_or_else(PoisonError::into_inner);
        ConstGauge::new(since.map_or(0.0, |since| since.elapsed().as_secs_f64())).encode(descriptor)
    }
}
