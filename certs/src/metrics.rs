//! What is counted about certificates.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{bundle::Bundle, ca::CaCertificate, self_managed::Purpose};

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
    /// It was issued by none of the authorities, or intermediates, beside it.
    Issuer,
    /// The API server does not trust it yet, and trusts the one before: it waits.
    Untrusted,
}

impl Refused {
    /// Every reason.
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

    /// The label's value.
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

/// What this replica issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuance {
    /// An authority.
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

/// What another replica, or somebody else, wrote at the same time.
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

/// What can be wrong with the file of the client CA.
const CLIENT_CA_REFUSED: [Refused; 2] = [Refused::Unreadable, Refused::Malformed];

type Labels = [(&'static str, &'static str); 1];

/// Counters that are there from the first scrape.
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

/// The metrics of certificates. Clones count into the same series.
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
    /// Metrics with every series at zero.
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

    /// Puts the metrics under a registry, whose prefix is the caller's.
    pub fn register(&self, registry: &mut Registry) {
        // Each by its name: one that is not registered is an unused variable.
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
            "When the serving certificate expires, in seconds since 1970; 0 while there is none",
            expiry.clone(),
        );
        registry.register(
            "certificate_ca_expiration_timestamp_seconds",
            "When the authority of the serving certificate expires, where this program keeps it; otherwise 0",
            ca_expiry.clone(),
        );
        registry.register(
            "certificate_trusted",
            "1 when the webhook configuration's caBundle verified what is served as readiness was last asked, else 0",
            trusted.clone(),
        );
        registry.register(
            "certificate_issued",
            "Authorities and serving certificates that this replica issued, by kind",
            issued.clone(),
        );
        registry.register(
            "certificate_ca_bundle_patches",
            "Times that this replica wrote a caBundle, by purpose",
            patches.clone(),
        );
        registry.register(
            "certificate_conflicts",
            "Writes not done because the object had just been changed by another, by object",
            conflicts.clone(),
        );
        registry.register("certificate_changes", "Serving certificates taken into use", changes.clone());
        registry.register(
            "certificate_bundles_refused",
            "Certificates not taken into use, or not at once, by reason",
            refused.clone(),
        );
        registry.register(
            "certificate_client_ca_changes",
            "Client CAs taken into use, the first one too",
            client_ca_changes.clone(),
        );
        registry.register(
            "certificate_client_ca_refused",
            "Contents of the client CA's file not taken into use, by reason",
            client_ca_refused.clone(),
        );
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

    /// How many client CAs were taken into use.
    pub fn client_ca_changes(&self) -> u64 {
        self.client_ca_changes.get()
    }

    /// How many contents of the client CA's file were refused for this reason.
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

    pub(crate) fn authority(&self, ca: &CaCertificate) {
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
