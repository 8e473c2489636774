//! The checkpoint of one scope while it advances.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    checkpoint::{Checkpoint, FactKey},
    identity::Uid,
};

/// Maximum difference between the clocks of API servers. Announced objects are remembered by UID for this time.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Maximum time from reading a fact to handling it, with some seconds of clock skew between nodes.
const LAG: SignedDuration = SignedDuration::from_secs(15);

/// A scope's checkpoint, and the state from which it advances.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// The loaded checkpoint. Its pending subjects and known facts are saved again until the first list is complete.
    start: Checkpoint,
    listed: bool,
    revision: u64,
    /// The list in progress. Its items come in any order, so `revision` advances at its end.
    listing: Option<Listing>,
    created_since: Timestamp,
    announced: HashMap<Uid, Timestamp>,
    status_until: Timestamp,
    known: HashMap<Uid, BTreeSet<FactKey>>,
}

#[derive(Debug, Default)]
struct Listing {
    highest: u64,
    created_since: Timestamp,
}

/// Undelivered facts of one scope.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    /// The subjects in the order of their first undelivered fact, with its resourceVersion.
    pub(super) subjects: Vec<(Uid, u64)>,
    pub(super) facts: HashMap<Uid, HashSet<FactKey>>,
    /// Creation times of the subjects, where known.
    pub(super) created: HashMap<Uid, Timestamp>,
}

/// Maximum number of entries saved for a scope.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) pending: usize,
    pub(super) known: usize,
}

impl Tracking {
    /// Continues from a checkpoint.
    pub(super) fn new(start: Checkpoint) -> Self {
        let latest = start.created_since.saturating_add(CLOCK_SKEW).unwrap_or(start.created_since);
        Self {
            revision: start.revision,
            created_since: start.created_since,
            status_until: start.status_until,
            announced: start.announced.iter().map(|uid| (*uid, latest)).collect(),
            start,
            ..Self::default()
        }
    }

    pub(super) fn listing(&mut self) {
        self.listing = Some(Listing { highest: self.revision, created_since: self.created_since });
    }

    pub(super) fn synced(&mut self, now: Timestamp) {
        if let Some(Listing { highest, created_since }) = self.listing.take() {
            self.revision = self.revision.max(highest);
            self.forget_announced(created_since);
        }
        self.listed = true;
        self.start = Checkpoint::default();
        self.read_until(now);
    }

    /// Records that a fact was handled, and that all that follows from it is outstanding or done.
    pub(super) fn reached(&mut self, revision: u64, now: Timestamp) {
        if let Some(listing) = &mut self.listing {
            listing.highest = listing.highest.max(revision);
        } else if self.listed {
            self.revision = self.revision.max(revision);
            self.read_until(now);
        }
    }

    fn read_until(&mut self, now: Timestamp) {
        self.status_until = self.status_until.max(now.saturating_sub(LAG).unwrap_or(now));
    }

    pub(super) fn announced(&mut self, uid: Uid, created: Timestamp) {
        self.announced.insert(uid, created);
        let since = created.saturating_sub(CLOCK_SKEW).unwrap_or(created);
        match &mut self.listing {
            Some(listing) => listing.created_since = listing.created_since.max(since),
            None if self.listed => self.forget_announced(since),
            None => {}
        }
    }

    fn forget_announced(&mut self, since: Timestamp) {
        if since > self.created_since {
            self.created_since = since;
            self.announced.retain(|_, created| *created >= since);
        }
    }

    pub(super) fn known(&mut self, uid: Uid, facts: BTreeSet<FactKey>) {
        if facts.is_empty() {
            self.known.remove(&uid);
        } else {
            self.known.insert(uid, facts);
        }
    }

    /// Number of pending subjects, with those of the loaded checkpoint.
    pub(super) fn pending(&self, undelivered: &Undelivered) -> usize {
        undelivered.subjects.len() + self.start.pending.len()
    }

    /// Number of objects with known facts.
    pub(super) fn known_objects(&self) -> usize {
        self.known.len() + self.start.known.len()
    }

    /// The checkpoint now. Without room for all entries it goes back in time, so that nothing is lost.
    pub(super) fn checkpoint(&self, undelivered: &Undelivered, is_events: bool, room: Room) -> Checkpoint {
        let mut saved = Checkpoint {
            revision: self.revision,
            created_since: self.created_since,
            announced: self.announced.keys().copied().collect(),
            pending: self.start.pending.clone(),
            known: self.start.known.clone(),
            known_is_partial: self.start.known_is_partial,
            status_until: self.status_until,
        };
        for (uid, revision) in &undelivered.subjects {
            let first = saved.pending.entry(*uid).or_insert(*revision);
            *first = (*first).min(*revision);
        }
        if !is_events {
            self.add_known(&mut saved.known, undelivered);
        }
        cut_known(&mut saved, room.known);
        cut_pending(&mut saved, room.pending, undelivered);
        saved
    }

    fn add_known(&self, known: &mut BTreeMap<Uid, BTreeSet<FactKey>>, undelivered: &Undelivered) {
        for (uid, facts) in &self.known {
            let outstanding = undelivered.facts.get(uid);
            let done = facts.iter().copied().filter(|fact| outstanding.is_none_or(|facts| !facts.contains(fact)));
            known.insert(*uid, done.collect());
        }
        for (uid, outstanding) in &undelivered.facts {
            if !outstanding.contains(&FactKey::CREATED) {
                known.entry(*uid).or_default().insert(FactKey::CREATED);
            }
        }
        known.retain(|_, facts| !facts.is_empty());
    }
}

fn cut_known(saved: &mut Checkpoint, room: usize) {
    if saved.known.len() > room {
        // The facts of a pending object are recognized only by its known facts.
        let pending = &saved.pending;
        let mut left = room;
        saved.known.retain(|uid, _| {
            let keep = left > 0 || pending.contains_key(uid);
            left = left.saturating_sub(1);
            keep
        });
        saved.known_is_partial = true;
    }
}

/// Keeps the subjects that have waited longest, so that the checkpoint goes back as little as possible.
fn cut_pending(saved: &mut Checkpoint, room: usize, undelivered: &Undelivered) {
    if saved.pending.len() <= room {
        return;
    }
    let mut oldest_first: Vec<(u64, Uid)> = saved.pending.iter().map(|(uid, revision)| (*revision, *uid)).collect();
    oldest_first.sort_unstable();
    for (revision, uid) in oldest_first.split_off(room) {
        saved.pending.remove(&uid);
        saved.announced.remove(&uid);
        saved.revision = saved.revision.min(revision.saturating_sub(1));
        let created_known = saved.known.get(&uid).is_some_and(|facts| facts.contains(&FactKey::CREATED));
        if !created_known {
            let created = undelivered.created.get(&uid).copied().unwrap_or(Timestamp::UNIX_EPOCH);
            saved.created_since = saved.created_since.min(created);
        }
    }
    // Otherwise facts of the objects that were cut would count as reported by their times.
    if saved.known_is_partial {
        saved.status_until = saved.status_until.min(saved.created_since);
    }
}
