//! Age of the oldest fact that a task of the pipeline has not finished.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::runtime::Heartbeat;

/// Collector of the age of the fact that each task is processing. It is computed at each scrape, because a stuck task
/// cannot update a metric.
#[derive(Debug)]
pub(crate) struct Pipeline {
    heartbeats: Vec<Heartbeat>,
}

impl Pipeline {
    pub(crate) fn new(heartbeats: Vec<Heartbeat>) -> Self {
        Self { heartbeats }
    }
}

impl Collector for Pipeline {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut descriptor = encoder.encode_descriptor(
            "oldest_unprocessed_fact_age",
            "Time that the fact being processed has taken so far, zero while none is",
            Some(&Unit::Seconds),
            prometheus_client::metrics::MetricType::Gauge,
        )?;
        for heartbeat in &self.heartbeats {
            let age = ConstGauge::new(heartbeat.busy_for().as_secs_f64());
            age.encode(descriptor.encode_family(&[("task", heartbeat.task())])?)?;
        }
        Ok(())
    }
}
