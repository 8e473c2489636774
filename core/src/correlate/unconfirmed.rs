//! Workloads without a pod seen so far.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use super::{
    Object,
    correlator::{Origin, parts},
};
use crate::{fact_id::ScopeId, identity::Uid};

/// Workloads that are held until the watch shows one of their pods. A field selector applies to pods only, so a
/// workload does not show if its agent belongs to this program's Coder.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    held: HashMap<Uid, Held>,
    /// Controllers of tracked pods, with the pods' namespace: an owner reference can be forged.
    owners: HashSet<(Arc<str>, Uid)>,
}

/// A held workload.
#[derive(Debug)]
struct Held {
    origin: Origin,
    object: Object,
    /// Sequence number of the list that showed it last.
    listing: u32,
}

impl Unconfirmed {
    /// True if a pod of this workload is tracked.
    pub(super) fn is_confirmed(&self, namespace: &str, workload: Uid) -> bool {
        self.owners.contains(&(namespace.into(), workload))
    }

    /// Holds a workload, up to `limit` of them. Returns false if there is no room. A workload keeps its first origin.
    pub(super) fn hold(&mut self, uid: Uid, origin: Origin, object: &Object, listing: u32, limit: usize) -> bool {
        let room = self.held.len() < limit;
        match self.held.entry(uid) {
            Entry::Occupied(mut held) => {
                let held = held.get_mut();
                (held.object, held.listing) = (object.clone(), listing);
            }
            Entry::Vacant(vacant) if room => {
                vacant.insert(Held { origin, object: object.clone(), listing });
            }
            Entry::Vacant(_) => return false,
        }
        true
    }

    /// Confirms a workload when one of its pods is tracked. Returns the workload if it was held.
    pub(super) fn confirm(&mut self, namespace: &Arc<str>, workload: Uid) -> Option<(Origin, Object)> {
        self.owners.insert((Arc::clone(namespace), workload));
        let Entry::Occupied(held) = self.held.entry(workload) else { return None };
        let is_there = parts(&held.get().object).1.namespace == **namespace;
        is_there.then(|| held.remove()).map(|held| (held.origin, held.object))
    }

    /// Removes the confirmation of a workload when a pod of it is no longer tracked.
    pub(super) fn forget_pod_of(&mut self, namespace: &Arc<str>, workload: Uid) {
        self.owners.remove(&(Arc::clone(namespace), workload));
    }

    /// Removes a workload that was deleted.
    pub(super) fn remove(&mut self, uid: Uid) {
        self.held.remove(&uid);
    }

    /// Handles a complete list of this scope: workloads missing from it were deleted.
    pub(super) fn listed(&mut self, scope: ScopeId, listing: u32) {
        self.held.retain(|_, held| held.origin.scope != Some(scope) || held.listing == listing);
    }
}
