//! The identity of a fact in the cluster's history.

use crate::{checkpoint::FactKey, identity::Uid};

/// A resource within one namespace, or within all: what one watch covers. The number is an index into the list of
/// scopes that the program watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeId(pub u16);

/// Where in the cluster's history a fact stands, so that it is reported once even over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId {
    /// The scope it came by.
    pub scope: ScopeId,
    /// Its resourceVersion.
    pub revision: u64,
    /// What it is about.
    pub subject: Uid,
    /// Which of the subject's facts it is.
    pub fact: FactKey,
}

impl FactId {
    /// Another fact that the same observation shows.
    #[must_use]
    pub fn of_fact(self, fact: FactKey) -> Self {
        Self { fact, ..self }
    }
}
