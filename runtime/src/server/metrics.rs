//! Metrics of a server's connections.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use strum::VariantArray as _;

use crate::metrics::{Labels, family};

/// Reason of a failed TLS handshake, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum HandshakeFailure {
    /// It took longer than [`Limits::handshake`](super::Limits::handshake).
    Deadline,
    /// No agreement on parameters, an untrusted certificate, or a closed connection.
    Tls,
}

fn because(failure: HandshakeFailure) -> Labels<1> {
    [("reason", failure.into())]
}

/// Metrics of a server's connections. A clone counts into the same series.
#[derive(Debug, Clone)]
pub struct Metrics {
    open: Gauge,
    refused: Counter,
    evicted: Counter,
    handshake_failures: Family<Labels<1>, Counter>,
    accept_errors: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            open: Gauge::default(),
            refused: Counter::default(),
            evicted: Counter::default(),
            handshake_failures: family(HandshakeFailure::VARIANTS.iter().copied().map(because)),
            accept_errors: Counter::default(),
        }
    }
}

impl Metrics {
    /// Registers the metrics, such as `connections` and `handshake_failures`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Open connections", self.open.clone());
        registry.register(
            "connections_refused",
            "Connections closed at once because too many were open",
            self.refused.clone(),
        );
        registry.register("connections_evicted", "Connections closed to make room for a new one", self.evicted.clone());
        registry.register("handshake_failures", "Failed TLS handshakes, by reason", self.handshake_failures.clone());
        registry.register("accept_errors", "Errors while accepting connections", self.accept_errors.clone());
    }

    /// Number of open connections.
    pub fn open(&self) -> i64 {
        self.open.get()
    }

    /// Number of connections refused because too many were open.
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Number of connections closed to make room for a new one.
    pub fn evicted(&self) -> u64 {
        self.evicted.get()
    }

    /// Number of handshakes that failed for this reason.
    pub fn handshake_failures(&self, failure: HandshakeFailure) -> u64 {
        self.handshake_failures.get_or_create(&because(failure)).get()
    }

    /// Number of failed accepts.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.get()
    }

    /// Counts a connection as open until the value is dropped.
    pub(super) fn connected(&self) -> Connected {
        self.open.inc();
        Connected(self.open.clone())
    }

    pub(super) fn refuse(&self) {
        self.refused.inc();
    }

    pub(super) fn evict(&self) {
        self.evicted.inc();
    }

    pub(super) fn handshake_failed(&self, failure: HandshakeFailure) {
        self.handshake_failures.get_or_create(&because(failure)).inc();
    }

    pub(super) fn accept_failed(&self) {
        self.accept_errors.inc();
    }
}

/// An open connection, for the gauge.
pub(super) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
