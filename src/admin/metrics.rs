//! The process's metrics in one place.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{pipeline::Pipeline, process::Process};
use crate::runtime::Heartbeat;

/// Every metric of the process. Each part registers its own while the program is wired; from then on they are shared.
#[derive(Debug)]
pub struct Metrics {
    own: Registry,
    // Apart from our own because their names are common to all programs and take no prefix.
    process: Registry,
}

impl Metrics {
    /// The content type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Nothing but the build's version and the process's own figures; `started` is when the process did.
    pub fn new(version: &'static str, started: Timestamp) -> Self {
        let mut own = Registry::with_prefix("coder_logstream");
        own.register("build", "Version of this program", Info::new([("version", version)]));
        let mut process = Registry::default();
        process.register_collector(Box::new(Process::started_at(started)));
        Self { own, process }
    }

    /// Where a part registers its metrics; the prefix `coder_logstream_` is put before their names. Families must be
    /// complete from the start: create each label set when registering.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.own
    }

    /// Adds how long each of these tasks has been processing the fact it has at hand.
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
