//! What is counted about certificates.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::bundle::Bundle;

/// Why a bundle was refused, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// It could not be read from where it should be.
    Unreadable,
    /// It is not a chain and a key.
    Malformed,
    /// The key belongs to another certificate.
    KeyMismatch,
    /// It has expired.
    Expired,
    /// It is not valid yet.
    NotYetValid,
    /// It does not cover the names it is called by, or is not for servers.
    Name,
}

impl Refused {
    /// Every reason.
    pub const ALL: [Self; 6] =
        [Self::Unreadable, Self::Malformed, Self::KeyMismatch, Self::Expired, Self::NotYetValid, Self::Name];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::KeyMismatch => "key_mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Name => "name",
        }
    }
}

type Labels = [(&'static str, &'static str); 1];

fn because(reason: Refused) -> Labels {
    [("reason", reason.as_str())]
}

/// The metrics of certificates. Clones count into the same series.
#[derive(Debug, Clone)]
pub struct Metrics {
    expiry: Gauge,
    changes: Counter,
    refused: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics with every series at zero.
    pub fn new() -> Self {
        let refused = Family::<Labels, Counter>::default();
        for reason in Refused::ALL {
            drop(refused.get_or_create(&because(reason)));
        }
        Self { expiry: Gauge::default(), changes: Counter::default(), refused }
    }

    /// Puts the metrics under a registry, whose prefix is the caller's.
    pub fn register(&self, registry: &mut Registry) {
        let Self { expiry, changes, refused } = self;
        registry.register(
            "certificate_expiration_timestamp_seconds",
            "When the serving certificate expires, in seconds since 1970; 0 while there is none",
            expiry.clone(),
        );
        registry.register("certificate_changes", "Serving certificates taken into use", changes.clone());
        registry.register("certificate_bundles_refused", "Certificates not taken into use, by reason", refused.clone());
    }

    /// When the serving certificate expires, in seconds since 1970; 0 while there is none.
    pub fn expiry(&self) -> i64 {
        self.expiry.get()
    }

    /// How many certificates were taken into use.
    pub fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// How many bundles were refused for this reason.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused.get_or_create(&because(reason)).get()
    }

    pub(crate) fn serving(&self, bundle: &Bundle) {
        self.expiry.set(bundle.not_after().as_second());
        self.changes.inc();
    }

    pub(crate) fn refuse(&self, reason: Refused) {
        self.refused.get_or_create(&because(reason)).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_before_anything_happened() {
        let mut registry = Registry::with_prefix("coder_logstream");
        Metrics::new().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(series("coder_logstream_certificate_expiration_timestamp_seconds 0"), 1, "{text}");
        assert_eq!(series("coder_logstream_certificate_changes_total 0"), 1, "{text}");
        assert_eq!(series("coder_logstream_certificate_bundles_refused_total{"), 6, "{text}");
    }
}
