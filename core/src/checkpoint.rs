//! Checkpoint of a watched resource, from which a restart continues.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::Uid;

/// Progress of one watched resource in one namespace, or in all of them.
///
/// The watch, the correlator and the ledger of undelivered facts share this one value. A restart continues from the
/// checkpoint that was saved last. Without a saved one a watch starts [from now](Checkpoint::now), and everything
/// earlier is history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Checkpoint {
    /// All facts up to this resourceVersion were delivered or given up, except those in `pending`.
    pub revision: u64,
    /// Objects created before this second were announced, or are history.
    pub created_since: Timestamp,
    /// Objects created since then that were announced.
    pub announced: BTreeSet<Uid>,
    /// Subjects with undelivered facts, and the resourceVersion of the first one. All facts of such an object are
    /// undelivered, except the `known` ones.
    pub pending: BTreeMap<Uid, u64>,
    /// Facts of an object's status that need not be reported (again). An object without such facts has no entry.
    pub known: BTreeMap<Uid, BTreeSet<FactKey>>,
    /// True if `known` has no room for some objects. For those, facts with a time before `status_until` are known.
    pub known_is_partial: bool,
    /// Time up to which the status of objects was read.
    pub status_until: Timestamp,
}

impl Checkpoint {
    /// Creates a checkpoint for a watch without a saved one, from the API server's current resourceVersion and time.
    pub fn now(revision: u64, time: Timestamp) -> Self {
        Self { revision, created_since: time, status_until: time, known_is_partial: true, ..Self::default() }
    }

    /// Limits a saved checkpoint to the API server's current resourceVersion and time: nothing can lie beyond them.
    /// Returns true if the resourceVersion was lowered, which means that the cluster was restored from a backup.
    pub fn limit_to(&mut self, revision: u64, time: Option<Timestamp>) -> bool {
        let ahead = self.revision > revision;
        self.revision = self.revision.min(revision);
        if let Some(time) = time {
            self.created_since = self.created_since.min(time);
            self.status_until = self.status_until.min(time);
        }
        ahead
    }

    /// True if an object was announced, or was created before announcements began.
    pub fn was_announced(&self, uid: Uid, created: Option<Timestamp>) -> bool {
        if self.pending.contains_key(&uid) {
            return self.knows(uid, FactKey::CREATED);
        }
        let before = created.is_some_and(|created| created.as_second() < self.created_since.as_second());
        before || self.announced.contains(&uid)
    }

    /// True if a fact of an object's status was reported, or is history. `at` is the fact's own time, if it has one.
    pub fn was_reported(&self, uid: Uid, fact: FactKey, at: Option<Timestamp>) -> bool {
        if self.knows(uid, fact) {
            return true;
        }
        let exact = !self.known_is_partial || self.pending.contains_key(&uid) || self.known.contains_key(&uid);
        !exact && at.is_some_and(|at| at < self.status_until)
    }

    fn knows(&self, uid: Uid, fact: FactKey) -> bool {
        self.known.get(&uid).is_some_and(|facts| facts.contains(&fact))
    }
}

/// Identity of a fact among those of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FactKey(u32);

impl FactKey {
    /// An Event about the object, identified by its resourceVersion.
    pub const EVENT: Self = Self(0);
    /// The object was created.
    pub const CREATED: Self = Self(1);
    /// The object was deleted.
    pub const DELETED: Self = Self(2);

    /// Returns the key of a fact of the object's status, from a hash that identifies the fact. A fact with its own
    /// time, such as a container's end, never comes back once it has left the status.
    pub fn of_status(hash: u64, has_time: bool) -> Self {
        // Half of a good hash is also a good hash, and an object has only some dozens of facts.
        let [.., a, b, c, d] = hash.to_be_bytes();
        let key = u32::from_be_bytes([a, b, c, d]).max(4);
        Self(if has_time { key | 1 } else { key & !1 })
    }

    /// True for a fact of the status with a time of its own.
    pub fn has_time(self) -> bool {
        self.0 > 2 && self.0 & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    const ENDED: FactKey = FactKey(77);

    #[test]
    fn a_checkpoint_survives_json() {
        let checkpoint = Checkpoint {
            announced: [uid("a")].into(),
            pending: [(uid("b"), 7)].into(),
            known: [(uid("c"), [ENDED].into())].into(),
            ..Checkpoint::now(9, at(100))
        };
        let text = serde_json::to_string(&checkpoint).unwrap();
        assert_eq!(serde_json::from_str::<Checkpoint>(&text).unwrap(), checkpoint);
    }

    #[test]
    fn a_pending_object_is_announced_unless_that_line_was_delivered() {
        let mut checkpoint = Checkpoint { pending: [(uid("a"), 7)].into(), ..Checkpoint::now(9, at(100)) };
        assert!(!checkpoint.was_announced(uid("a"), Some(at(50))));
        checkpoint.known.insert(uid("a"), [FactKey::CREATED].into());
        assert!(checkpoint.was_announced(uid("a"), Some(at(50))));
        assert!(!checkpoint.was_reported(uid("a"), ENDED, Some(at(50))));
    }

    #[test]
    fn times_count_only_for_objects_that_found_no_room() {
        let mut checkpoint = Checkpoint::now(9, at(100));
        assert!(checkpoint.was_reported(uid("a"), ENDED, Some(at(99))));
        assert!(!checkpoint.was_reported(uid("a"), ENDED, Some(at(101))));
        assert!(!checkpoint.was_reported(uid("a"), ENDED, None));
        checkpoint.known_is_partial = false;
        assert!(!checkpoint.was_reported(uid("a"), ENDED, Some(at(1))), "a node whose clock is behind");
    }

    #[test]
    fn nothing_saved_lies_in_the_future() {
        let mut saved = Checkpoint::now(900, Timestamp::MAX);
        assert!(saved.limit_to(50, Some(at(100))));
        assert_eq!(saved, Checkpoint::now(50, at(100)));
        assert!(!saved.limit_to(60, None));
    }
}
