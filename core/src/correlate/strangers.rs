//! Objects known to be no workspaces.

use std::collections::{HashSet, VecDeque};

use crate::identity::Uid;

/// A set of UIDs that forgets the oldest. What it forgot costs one lookup at its next Event, nothing else.
#[derive(Debug)]
pub(super) struct Strangers {
    known: HashSet<Uid>,
    order: VecDeque<Uid>,
    limit: usize,
}

impl Strangers {
    pub(super) fn new(limit: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), limit }
    }

    pub(super) fn contains(&self, uid: Uid) -> bool {
        self.known.contains(&uid)
    }

    pub(super) fn insert(&mut self, uid: Uid) {
        if self.known.insert(uid) {
            self.order.push_back(uid);
        }
        // `order` also holds what was removed meanwhile, so it has the limit.
        while self.order.len() > self.limit {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }

    pub(super) fn remove(&mut self, uid: Uid) {
        self.known.remove(&uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_at_the_limit() {
        let uid = |n: u32| Uid::parse(&n.to_string()).unwrap();
        let mut strangers = Strangers::new(2);
        for n in 0..3 {
            strangers.insert(uid(n));
        }
        assert!(!strangers.contains(uid(0)) && strangers.contains(uid(1)) && strangers.contains(uid(2)));
        strangers.remove(uid(2));
        assert!(!strangers.contains(uid(2)));
    }
}
