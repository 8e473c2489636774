//! The contract of serving certificate sources.

use crate::bundle::Bundle;

/// A stream of serving certificates.
pub trait CertSource: Send {
    /// Waits for the next bundle to serve.
    ///
    /// - The first call returns the current bundle as soon as a valid one exists. An invalid bundle is logged and counted
    ///   once, and the previous one stays in use.
    /// - Each further call waits for a bundle that differs from the previous one.
    /// - A returned bundle can be served at once: it is validated, and a source that also manages the caBundle returns it
    ///   only after the API server trusts it.
    /// - `None` means that no further bundle will come; the last one stays in use.
    ///
    /// Cancel safe.
    fn next(&mut self) -> impl Future<Output = Option<Bundle>> + Send;
}
