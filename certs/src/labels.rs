//! Label values of the metrics.

use strum::{IntoStaticStr, VariantArray};

/// Reason why a bundle was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
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

/// Kind of an issued certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Issuance {
    Ca,
    Serving,
}

/// Object of a write conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Contended {
    Secret,
    WebhookConfiguration,
}

/// Reason of a caBundle patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Purpose {
    /// Add a new CA.
    Rotation,
    /// Restore a missing CA that is in use.
    Repair,
    /// Remove retired CAs.
    Removal,
}
