//! The metrics registry of the process.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{pipeline::Pipeline, process::Process};
use crate::runtime::Heartbeat;

/// All metrics of the process. Each module registers its own at start.
#[derive(Debug)]
pub struct Metrics {
    own: Registry,
    // Separate from our own, because their names are common to all programs and take no prefix.
    process: Registry,
}

impl Metrics {
    /// The content type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Creates the registry with build information and process metrics. `started` is the start time of the process.
    pub fn new(version: &'static str, started: Timestamp) -> Self {
        let mut own = Registry::with_prefix("coder_logstream");
        own.register("build", "Version of this program", Info::new([("version", version)]));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process::started_at(started)));
        Self { own, process }
    }

    /// The registry with the prefix `coder_logstream_`. Create all label sets of a family when registering it.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.own
    }

    /// Adds the age of the fact that each of these tasks is processing.
    pub fn observe(&mut self, heartbeats: Vec<Heartbeat>) {
        self.own.register_collector(Box::new(Pipeline::new(heartbeats)));
    }

    /// All metrics in the text format of [`Metrics::CONTENT_TYPE`].
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.own)?;
        encode_registry(&mut text, &self.process)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}
