//! One scope's checkpoint while it advances.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use logstream_core::{
    checkpoint::{Checkpoint, FactKey},
    identity::Uid,
};

/// API servers' clocks may differ by so much: objects created this shortly before the last announced one are
/// remembered by UID.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Facts are handled this shortly after they were read at most, and nodes' clocks may differ by some seconds.
const LAG: SignedDuration = SignedDuration::from_secs(15);

/// How far a scope was handled.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// What it continues from. Until its first list is complete, what that holds as pending or known stays so.
    start: Checkpoint,
    listed: bool,
    revision: u64,
    /// The items of a list come in any order: nothing is reached before its end.
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
    /// When the subjects were created, as far as that is known.
    pub(super) created: HashMap<Uid, Timestamp>,
}

/// How much of a scope is saved at most.
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

    /// A fact was handled: everything that follows from it is outstanding or done.
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

    /// How many subjects are pending, carried ones included.
    pub(super) fn pending(&self, undelivered: &Undelivered) -> usize {
        undelivered.subjects.len() + self.start.pending.len()
    }

    /// How many objects have known facts.
    pub(super) fn known_objects(&self) -> usize {
        self.known.len() + self.start.known.len()
    }

    /// The checkpoint now. What has no room in it is made up for by going back in time, so that nothing is lost.
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
        // A pending object is told apart by its known facts alone.
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

/// Keeps the subjects that have waited longest: the others are younger, so going back to them goes back less.
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
    // By their times, facts of the objects that were cut would be taken for reported.
    if saved.known_is_partial {
        saved.status_until = saved.status_until.min(saved.created_since);
    }
}
