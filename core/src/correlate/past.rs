//! Facts that were reported before this process started.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use crate::{
    checkpoint::{Checkpoint, FactKey},
    fact_id::ScopeId,
    identity::Uid,
    object::Meta,
};

/// Checkpoint from which each scope started. For a scope that has not started, nothing was reported.
#[derive(Debug, Default)]
pub(super) struct Past(HashMap<ScopeId, Checkpoint>);

impl Past {
    pub(super) fn start(&mut self, scope: ScopeId, from: Checkpoint) {
        self.0.insert(scope, from);
    }

    /// Forgets the objects of a scope when its first list is complete: from then on the correlator itself knows them.
    pub(super) fn listed(&mut self, scope: ScopeId) {
        if let Some(from) = self.0.get_mut(&scope) {
            from.pending.clear();
            from.known.clear();
            from.known_is_partial = false;
        }
    }

    /// True if the object has undelivered facts.
    pub(super) fn is_pending(&self, scope: Option<ScopeId>, uid: Uid) -> bool {
        self.of(scope).any(|from| from.pending.contains_key(&uid))
    }

    /// True if an Event of this resourceVersion was handled before a restart, except for the objects that are pending.
    pub(super) fn is_old(&self, scope: ScopeId, revision: u64) -> bool {
        self.0.get(&scope).is_some_and(|from| !from.pending.is_empty() && revision <= from.revision)
    }

    /// True if an Event of this resourceVersion was not delivered to this object before a restart.
    pub(super) fn is_pending_since(&self, scope: ScopeId, uid: Uid, revision: u64) -> bool {
        let first = self.0.get(&scope).and_then(|from| from.pending.get(&uid));
        first.is_some_and(|first| revision >= *first)
    }

    pub(super) fn was_announced(&self, scope: Option<ScopeId>, uid: Uid, meta: &Meta) -> bool {
        let mut scopes = self.of(scope).peekable();
        match scope {
            Some(_) => scopes.next().is_some_and(|from| from.was_announced(uid, meta.creation_timestamp)),
            None => scopes.peek().is_some() && scopes.all(|from| from.was_announced(uid, meta.creation_timestamp)),
        }
    }

    pub(super) fn was_reported(&self, scope: Option<ScopeId>, uid: Uid, fact: FactKey, at: Option<Timestamp>) -> bool {
        self.of(scope).any(|from| from.was_reported(uid, fact, at))
    }

    /// Returns the reported facts of an object.
    pub(super) fn known(&self, scope: ScopeId, uid: Uid) -> BTreeSet<FactKey> {
        self.0.get(&scope).and_then(|from| from.known.get(&uid)).cloned().unwrap_or_default()
    }

    /// Returns the time up to which the status of objects was read.
    pub(super) fn status_until(&self, scope: Option<ScopeId>) -> Timestamp {
        self.of(scope).map(|from| from.status_until).max().unwrap_or(Timestamp::MIN)
    }

    /// Returns the checkpoint of the scope; all of them for a looked-up object.
    fn of(&self, scope: Option<ScopeId>) -> impl Iterator<Item = &Checkpoint> {
        let (one, all) = match scope {
            Some(scope) => (self.0.get(&scope), None),
            None => (None, Some(self.0.values())),
        };
        one.into_iter().chain(all.into_iter().flatten())
    }
}
