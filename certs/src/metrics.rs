//! Certificate metrics.

use jiff::Timestamp;
use logstream_runtime::metrics::{Labels, family};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use strum::VariantArray as _;

use crate::labels::{Contended, Issuance, Purpose, Refused};

/// Reasons that apply to the client CA file.
const CLIENT_CA_REFUSED: [Refused; 2] = [Refused::Unreadable, Refused::Malformed];

fn because(reason: Refused) -> Labels<1> {
    [("reason", reason.into())]
}

fn of_kind(kind: Issuance) -> Labels<1> {
    [("kind", kind.into())]
}

fn of_object(object: Contended) -> Labels<1> {
    [("object", object.into())]
}

fn with_purpose(purpose: Purpose) -> Labels<1> {
    [("purpose", purpose.into())]
}

/// Certificate metrics. Clones share the series.
#[derive(Debug, Clone)]
pub struct Metrics {
    expiry: Gauge,
    ca_expiry: Gauge,
    trusted: Gauge,
    changes: Counter,
    refused: Family<Labels<1>, Counter>,
    issued: Family<Labels<1>, Counter>,
    patches: Family<Labels<1>, Counter>,
    conflicts: Family<Labels<1>, Counter>,
    client_ca_changes: Counter,
    client_ca_refused: Family<Labels<1>, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates metrics with every series at zero.
    pub fn new() -> Self {
        Self {
            expiry: Gauge::default(),
            ca_expiry: Gauge::default(),
            trusted: Gauge::default(),
            changes: Counter::default(),
            refused: family(Refused::VARIANTS.iter().copied().map(because)),
            issued: family(Issuance::VARIANTS.iter().copied().map(of_kind)),
            patches: family(Purpose::VARIANTS.iter().copied().map(with_purpose)),
            conflicts: family(Contended::VARIANTS.iter().copied().map(of_object)),
            client_ca_changes: Counter::default(),
            client_ca_refused: family(CLIENT_CA_REFUSED.map(because)),
        }
    }

    /// Registers the metrics; the caller sets the prefix.
    pub fn register(&self, registry: &mut Registry) {
        // Destructured, so that a metric that is not registered is an unused variable.
        let Self {
            expiry,
            ca_expiry,
            trusted,
            changes,
            refused,
            issued,
            patches,
            conflicts,
            client_ca_changes,
            client_ca_refused,
        } = self;
        registry.register(
            "certificate_expiration_timestamp_seconds",
            "Expiry of the serving certificate, Unix time in seconds; 0 without a certificate",
            expiry.clone(),
        );
        registry.register(
            "certificate_ca_expiration_timestamp_seconds",
            "Expiry of the self-managed CA, Unix time in seconds; 0 in other modes",
            ca_expiry.clone(),
        );
        registry.register(
            "certificate_trusted",
            "1 if the caBundle verified the serving certificate at the last readiness check, otherwise 0",
            trusted.clone(),
        );
        registry.register(
            "certificate_issued",
            "CAs and serving certificates issued by this replica, by kind",
            issued.clone(),
        );
        registry.register(
            "certificate_ca_bundle_patches",
            "caBundle patches written by this replica, by purpose",
            patches.clone(),
        );
        registry.register("certificate_conflicts", "Write conflicts with another writer, by object", conflicts.clone());
        registry.register("certificate_changes", "Serving certificate changes", changes.clone());
        registry.register(
            "certificate_bundles_refused",
            "Serving certificates rejected or held back, by reason",
            refused.clone(),
        );
        registry.register(
            "certificate_client_ca_changes",
            "Client CA changes, including the first load",
            client_ca_changes.clone(),
        );
        registry.register(
            "certificate_client_ca_refused",
            "Client CA file contents rejected, by reason",
            client_ca_refused.clone(),
        );
    }

    /// Expiry of the serving certificate, Unix seconds; 0 without a certificate.
    pub fn expiry(&self) -> i64 {
        self.expiry.get()
    }

    /// Number of serving certificate changes.
    pub fn changes(&self) -> u64 {
        self.changes.get()
    }

    /// Number of bundles rejected for this reason.
    pub fn refused(&self, reason: Refused) -> u64 {
        self.refused.get_or_create(&because(reason)).get()
    }

    /// Number of client CA changes.
    pub fn client_ca_changes(&self) -> u64 {
        self.client_ca_changes.get()
    }

    /// Number of client CA file contents rejected for this reason.
    pub fn client_ca_refused(&self, reason: Refused) -> u64 {
        self.client_ca_refused.get_or_create(&because(reason)).get()
    }

    pub(crate) fn client_ca_changed(&self) {
        self.client_ca_changes.inc();
    }

    pub(crate) fn refuse_client_ca(&self, reason: Refused) {
        self.client_ca_refused.get_or_create(&because(reason)).inc();
    }

    pub(crate) fn serving_until(&self, not_after: Timestamp) {
        self.expiry.set(not_after.as_second());
        self.changes.inc();
    }

    pub(crate) fn ca_until(&self, not_after: Timestamp) {
        self.ca_expiry.set(not_after.as_second());
    }

    pub(crate) fn trusted(&self, trusted: bool) {
        self.trusted.set(trusted.into());
    }

    pub(crate) fn issued(&self, kind: Issuance) {
        self.issued.get_or_create(&of_kind(kind)).inc();
    }

    pub(crate) fn patched(&self, purpose: Purpose) {
        self.patches.get_or_create(&with_purpose(purpose)).inc();
    }

    pub(crate) fn conflict(&self, object: Contended) {
        self.conflicts.get_or_create(&of_object(object)).inc();
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
        assert_eq!(series("coder_logstream_certificate_bundles_refused_total{"), 8, "{text}");
        assert_eq!(series("coder_logstream_certificate_ca_expiration_timestamp_seconds 0"), 1, "{text}");
        assert_eq!(series("coder_logstream_certificate_trusted 0"), 1, "{text}");
        assert_eq!(series("coder_logstream_certificate_issued_total{"), 2, "{text}");
        assert_eq!(series("coder_logstream_certificate_ca_bundle_patches_total{"), 3, "{text}");
        assert_eq!(series("coder_logstream_certificate_conflicts_total{"), 2, "{text}");
        assert_eq!(series("coder_logstream_certificate_client_ca_changes_total 0"), 1, "{text}");
        assert_eq!(series("coder_logstream_certificate_client_ca_refused_total{"), 2, "{text}");
    }
}
