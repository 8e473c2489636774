//! The interface to the registry.

use logstream_core::registration::Registration;

/// Records registrations.
pub trait Registrar: Send + Sync + 'static {
    /// Records a registration. The API server waits meanwhile, so this must not block: no I/O, no lock that is held for
    /// long. The same registration may be repeated (retries of a controller, reinvocation), and it may be forged: an
    /// implementation limits what it keeps, and trusts it only once the object itself confirms it.
    fn register(&self, registration: Registration);
}
