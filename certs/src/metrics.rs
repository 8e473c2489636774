//! Certificate metrics.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{bundle::Bundle, ca::CaCertificate, self_managed::Purpose};

/// Reason label for rejected bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The file or Secret cannot be read.
    Unreadable,
    /// Not a certificate chain and key.
    Malformed,
    /// The key does not match the certificate.
    KeyMismatch,
    /// Expired.
    Expired,
    /// Not valid yet.
    NotYetValid,
    /// Does not cover the required names, or lacks the server authentication usage.
    Name,
    /// Not issued by the CAs or intermediates stored with it.
    Issuer,
    /// Held back: the caBundle verifies the current certificate but not this one.
    Untrusted,
}

impl Refused {
    /// All reasons.
    pub const ALL: [Self; 8] = [
        Self::Unreadable,
        Self::Malformed,
        Self::KeyMismatch,
        Self::Expired,
        Self::NotYetValid,
        Self::Name,
        Self::Issuer,
        Self::Untrusted,
    ];

    /// Value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::KeyMismatch => "key_mismatch",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Name => "name",
            Self::Issuer => "issuer",
            Self::Untrusted => "untrusted",
        }
    }
}

/// Kind label for issued certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuance {
    /// A CA.
    Ca,
    /// A serving certificate.
    Leaf,
}

impl Issuance {
    const ALL: [Self; 2] = [Self::Ca, Self::Leaf];

    fn labels(self) -> Labels {
        let kind = match self {
            Self::Ca => "ca",
            Self::Leaf => "leaf",
        };
        [("kind", kind)]
    }
}

/// Object label for write conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contended {
    /// The Secret.
    Secret,
    /// The webhook configuration.
    Configuration,
}

impl Contended {
    const ALL: [Self; 2] = [Self::Secret, Self::Configuration];

    fn labels(self) -> Labels {
        let object = match self {
            Self::Secret => "secret",
            Self::Configuration => "webhook_configuration",
        };
        [("object", object)]
    }
}

const PURPOSES: [Purpose; 3] = [Purpose::Rotation, Purpose::Repair, Purpose::Removal];

fn purpose(purpose: Purpose) -> Labels {
    let purpose = match purpose {
        Purpose::Rotation => "rotation",
        Purpose::Repair => "repair",
        Purpose::Removal => "removal",
    };
    [("purpose", purpose)]
}

/// Reasons that apply to the client CA file.
const CLIENT_CA_REFUSED: [Refused; 2] = [Refused::Unreadable, Refused::Malformed];

type Labels = [(&'static str, &'static str); 1];

/// Initializes all series, so that they exist at the first scrape.
fn complete<const N: usize>(labels: [Labels; N]) -> Family<Labels, Counter> {
    let family = Family::<Labels, Counter>::default();
    for labels in labels {
        drop(family.get_or_create(&labels));
    }
    family
}

fn because(reason: Refused) -> Labels {
    [("reason", reason.as_str())]
}

/// Certificate metrics. Clones share the series.
#[derive(Debug, Clone)]
pub struct Metrics {
    expiry: Gauge,
    ca_expiry: Gauge,
    trusted: Gauge,
    changes: Counter,
    refused: Family<Labels, Counter>,
    issued: Family<Labels, Counter>,
    patches: Family<Labels, Counter>,
    conflicts: Family<Labels, Counter>,
    client_ca_changes: Counter,
    client_ca_refused: Family<Labels, Counter>,
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
            refused: complete(Refused::ALL.map(because)),
            issued: complete(Issuance::ALL.map(Issuance::labels)),
            patches: complete(PURPOSES.map(purpose)),
            conflicts: complete(Contended::ALL.map(Contended::labels)),
            client_ca_changes: Counter::default(),
            client_ca_refused: complete(CLIENT_CA_REFUSED.map(because)),
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

    pub(crate) fn serving(&self, bundle: &Bundle) {
        self.expiry.set(bundle.not_after().as_second());
        self.changes.inc();
    }

    pub(crate) fn ca(&self, ca: &CaCertificate) {
        self.ca_expiry.set(ca.not_after().as_second());
    }

    pub(crate) fn trusted(&self, trusted: bool) {
        self.trusted.set(trusted.into());
    }

    pub(crate) fn issued(&self, issuance: Issuance) {
        self.issued.get_or_create(&issuance.labels()).inc();
    }

    pub(crate) fn patched(&self, what_for: Purpose) {
        self.patches.get_or_create(&purpose(what_for)).inc();
    }

    pub(crate) fn conflict(&self, contended: Contended) {
        self.conflicts.get_or_create(&contended.labels()).inc();
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
