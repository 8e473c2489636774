//! Workloads without a pod seen so far.

use std::{
    collections::{HashMap, hash_map::Entry},
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
    /// Number of tracked pods by controller and the pods' namespace: an owner reference can be forged.
    pods: HashMap<(Arc<str>, Uid), u32>,
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
        self.pods.contains_key(&(namespace.into(), workload))
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

    /// Confirms a workload when a pod of it begins to be tracked. Returns the workload if it was held.
    pub(super) fn confirm(&mut self, namespace: &Arc<str>, workload: Uid) -> Option<(Origin, Object)> {
        *self.pods.entry((Arc::clone(namespace), workload)).or_default() += 1;
        let Entry::Occupied(held) = self.held.entry(workload) else { return None };
        let is_there = parts(&held.get().object).1.namespace == **namespace;
        is_there.then(|| held.remove()).map(|held| (held.origin, held.object))
    }

    /// Removes the confirmation of a workload when its last pod is no longer tracked.
    pub(super) fn forget_pod_of(&mut self, namespace: &Arc<str>, workload: Uid) {
        if let Entry::Occupied(mut pods) = self.pods.entry((Arc::clone(namespace), workload)) {
            *pods.get_mut() -= 1;
            if *pods.get() == 0 {
                pods.remove();
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_stays_confirmed_until_its_last_pod_is_forgotten() {
        let (mut unconfirmed, namespace) = (Unconfirmed::default(), Arc::from("ns"));
        let workload = Uid::parse("w").unwrap();
        for _ in 0..2 {
            assert!(unconfirmed.confirm(&namespace, workload).is_none());
        }
        unconfirmed.forget_pod_of(&namespace, workload);
        assert!(unconfirmed.is_confirmed("ns", workload) && !unconfirmed.is_confirmed("other", workload));
        unconfirmed.forget_pod_of(&namespace, workload);
        unconfirmed.forget_pod_of(&namespace, workload);
        assert!(!unconfirmed.is_confirmed("ns", workload));
    }
}
