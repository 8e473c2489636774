//! Self-managed certificates: a CA and a serving certificate in a Secret shared by all replicas, and the CA published in
//! the caBundle of our webhook configuration. [`plan`] decides the steps.

mod plan;
mod source;
mod stored;
mod write_limit;

#[cfg(test)]
mod tests;

use std::time::Duration;

use rustls::pki_types::ServerName;

use self::plan::Policy;
pub use self::source::Source;

/// Default lifetime of a CA.
pub const CA_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// Default lifetime of a serving certificate. Bounds the use of a stolen key.
pub const CERT_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// Propagation delay of a caBundle change. API servers see it within a fraction of a second; the rest is margin for a
/// busy one.
pub(crate) const PROPAGATION_DELAY: Duration = Duration::from_secs(5);

/// Settings of the self-managed certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret. Created if it does not exist.
    pub secret: String,
    /// Name of our `MutatingWebhookConfiguration`. The source waits until it exists.
    pub configuration: String,
    /// Names that the serving certificate must cover; at least one.
    pub names: Vec<ServerName<'static>>,
    /// Lifetime of a CA; renewed after two thirds.
    pub ca_lifetime: Duration,
    /// Lifetime of a serving certificate; renewed after two thirds. It never outlives its CA.
    pub cert_lifetime: Duration,
}

impl Settings {
    fn policy(&self) -> Policy {
        Policy {
            cert_lifetime: self.cert_lifetime,
            // Two thirds, or up to 10 % earlier.
            renew_at: fastrand::i32(600..=666),
            settle: PROPAGATION_DELAY.min(self.cert_lifetime / 10),
        }
    }
}
