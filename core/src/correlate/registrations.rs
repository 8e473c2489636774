//! Interface to the registry.

use crate::identity::{Subject, Uid};

/// Pending registrations from admission.
pub trait Registrations: Send + Sync {
    /// True if a pending registration matches this object, which is then looked up at once.
    fn is_registered(&self, subject: &Subject) -> bool;

    /// Confirms that the object was read from the API server. Called again when its agents change. Returns true if
    /// admission had registered it.
    fn confirm(&self, subject: &Subject, controller: Option<Uid>) -> bool;
}

/// No registrations, for objects that no webhook of this process has seen.
#[derive(Debug, Clone, Copy)]
pub struct NoRegistrations;

impl Registrations for NoRegistrations {
    fn is_registered(&self, _: &Subject) -> bool {
        false
    }

    fn confirm(&self, _: &Subject, _: Option<Uid>) -> bool {
        false
    }
}
