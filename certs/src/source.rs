//! The contract of what serving certificates come from.

use std::sync::Arc;

use jiff::Timestamp;

use crate::bundle::Bundle;

/// Gives serving certificates, one after another.
pub trait CertSource: Send {
    /// The next bundle to serve.
    ///
    /// - The first call gives the current bundle, at once if there is a good one, and otherwise as soon as there is.
    ///   A bundle that is not good is told in the log and counted, once, and waited out: what was given before stays.
    /// - Each further call waits for a bundle that differs from the one given before.
    /// - A bundle that is given may be served at once: it was checked, and where the source also answers for what
    ///   the API server trusts, that trust is there already (trust first, serve after).
    /// - `None` is the end: no bundle will ever come again, and the last one stays.
    ///
    /// Cancel safe: a call that is dropped loses nothing.
    fn next(&mut self) -> impl Future<Output = Option<Bundle>> + Send;
}

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;
