//! Objects known not to be workspaces.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher, RandomState},
};

use crate::identity::Subject;

/// A negative cache of bounded size. A dropped entry costs one lookup at its next Event.
///
/// Entries are whole subjects, not UIDs: an Event with a workspace's UID and another name or namespace must not mark
/// the workspace as a non-workspace.
#[derive(Debug)]
pub(super) struct NonWorkspaces {
    known: HashSet<u64>,
    order: VecDeque<u64>,
    limit: usize,
    hashes: RandomState,
}

impl NonWorkspaces {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), limit, hashes: RandomState::new() }
    }

    pub(super) fn contains(&self, subject: &Subject) -> bool {
        self.known.contains(&self.hashes.hash_one(subject))
    }

    pub(super) fn insert(&mut self, subject: &Subject) {
        let hash = self.hashes.hash_one(subject);
        if self.known.insert(hash) {
            self.order.push_back(hash);
        }
        // `order` also holds what was removed meanwhile, so the limit applies to it.
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    /// Removes an object. Returns true if it was there.
    pub(super) fn remove(&mut self, subject: &Subject) -> bool {
        self.known.remove(&self.hashes.hash_one(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{identity::Uid, resource::Kind};

    #[test]
    fn the_oldest_is_forgotten_at_the_limit() {
        let pod = |n: u32| Subject {
            kind: Kind::Pod,
            namespace: "ns".into(),
            name: "ws".into(),
            uid: Uid::parse(&n.to_string()).unwrap(),
        };
        let mut non_workspaces = NonWorkspaces::new(2);
        for n in 0..3 {
            non_workspaces.insert(&pod(n));
        }
        assert!(
            !non_workspaces.contains(&pod(0)) && non_workspaces.contains(&pod(1)) && non_workspaces.contains(&pod(2))
        );
        non_workspaces.remove(&pod(2));
        assert!(!non_workspaces.contains(&pod(2)));
    }
}
