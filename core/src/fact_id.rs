//! The identity of a fact in the cluster's history.

use crate::{checkpoint::FactKey, identity::Uid};

/// A resource within one namespace, or within all: what one watch covers. The number is an index into the list of
/// scopes that the program watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub u16);

/// Identity of a fact over restarts, by which it is reported once.
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
    /// Another fact that the same observation shows.
    #[must_use]
    pub fn of_fact(self, fact: FactKey) -> Self {
        Self { fact, ..self }
    }
}
