//! A certificate that the program keeps itself: an authority and a leaf in a Secret that all replicas share, and our
//! own webhook configuration told of the authority. What is done when is in [`plan`].

mod allowance;
mod plan;
mod source;
mod stored;

#[cfg(test)]
mod tests;

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rustls::pki_types::ServerName;

use self::plan::Policy;
pub(crate) use self::plan::Purpose;
pub use self::source::Source;

/// Long before the end even when nobody looks for weeks, and seldom enough not to matter.
pub const CA_LIFETIME: Duration = Duration::from_hours(365 * 24);
/// A key that is stolen is of use for no longer than this.
pub const LEAF_LIFETIME: Duration = Duration::from_hours(30 * 24);

/// API servers learn of a change in a fraction of a second; this leaves room for one that is busy.
pub(crate) const SETTLE: Duration = Duration::from_secs(5);

/// What is kept, and how long it lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The Secret's namespace.
    pub namespace: String,
    /// The Secret's name. It is made when it does not exist.
    pub secret: String,
    /// Labels and owner references of the Secret; without owner references it belongs to nobody.
    pub owned: ObjectMeta,
    /// The name of our `MutatingWebhookConfiguration`. It is waited for when it does not exist.
    pub configuration: String,
    /// What the leaf covers; at least one.
    pub names: Vec<ServerName<'static>>,
    /// How long an authority is valid; it is replaced after two thirds.
    pub ca_lifetime: Duration,
    /// How long a leaf is valid; it is replaced after two thirds. No leaf outlives its authority.
    pub leaf_lifetime: Duration,
}

impl Settings {
    fn policy(&self) -> Policy {
        Policy {
            leaf_lifetime: self.leaf_lifetime,
            // At two thirds, or up to a tenth of that earlier.
            renew_at: fastrand::i32(600..=666),
            settle: SETTLE.min(self.leaf_lifetime / 10),
        }
    }
}
