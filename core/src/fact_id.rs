//! Identity of a fact in the cluster's history.

use crate::{checkpoint::FactKey, identity::Uid};

/// Scope of one watch: a resource in one namespace or in all of them. The number is an index into the list of scopes
/// that the program watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub u16);

/// Identity of a fact across restarts, so that it is reported once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId {
    /// The scope that showed it.
    pub scope: ScopeId,
    /// Its resourceVersion.
    pub revision: u64,
    /// The object.
    pub subject: Uid,
    /// Identity among the subject's facts.
    pub fact: FactKey,
}

impl FactId {
    /// Returns the identity of another fact in the same observation.
    #[must_use]
    pub fn of_fact(self, fact: FactKey) -> Self {
        Self { fact, ..self }
    }
}
