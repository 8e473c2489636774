//! Deduplication of the causes reported about one object: a repeat becomes a count, not a line.

use jiff::{SignedDuration, Timestamp};

use crate::{
    fact_id::FactId,
    finding::{FindingKind, Repeat},
    identity::{Subject, Uid},
};

/// Identity of a fact among those of its object: a hash of what its line would say.
pub(super) type Key = u64;

/// Maximum number of causes remembered for each object. The one reported longest ago is forgotten first, which costs at
/// most a repeated line.
const LIMIT: usize = 48;

/// Maximum number of parts remembered for each cause. Beyond it the oldest is forgotten and may be reported twice.
const PARTS: usize = 32;

/// Pauses between the lines of a family. A storm of ten minutes takes at most five lines, one of a day fewer than
/// twenty.
const PAUSES: [SignedDuration; 6] = [
    SignedDuration::from_secs(10),
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(15),
    SignedDuration::from_hours(1),
    SignedDuration::from_hours(2),
];

/// Factor by which a count must grow for a repeat to be reported within one of the first pauses.
const BURST: u32 = 8;

/// Number of pauses, from the first one, that a burst may cut short.
const BURST_PAUSES: usize = 2;

/// Number of causes of one family that are each reported at once. Further ones wait like repeats.
const FIRSTS: u32 = 5;

/// Time a secondary fact waits for the one that explains it.
const UNEXPLAINED_AFTER: SignedDuration = SignedDuration::from_secs(5);

/// Time a secondary fact waits for a late status: `CrashLoopBackOff` shows there 2 to 15 s after the Event.
const LATER: SignedDuration = SignedDuration::from_secs(20);

/// Maximum time for which a held fact stays pending in the checkpoint, so that a restart reports it. A restart then
/// repeats all later Events of the object too, so a fact that is held for minutes is not worth that.
const FACT_KEPT: SignedDuration = SignedDuration::from_mins(1);

/// The cause of a fact. Facts with the same key are counted together. A part not seen before, such as a
/// scheduler's reason or an error's text, is a new cause within it and is reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) key: Key,
    pub(super) parts: Vec<Key>,
    /// Causes of one family share the pauses between their lines, as the several Events of one failing container do.
    pub(super) family: Key,
}

impl Cause {
    pub(super) fn new(key: Key, parts: Vec<Key>) -> Self {
        Self { key, parts, family: key }
    }

    pub(super) fn of_family(self, family: Key) -> Self {
        Self { family, ..self }
    }
}

impl From<Key> for Cause {
    fn from(key: Key) -> Self {
        Self::new(key, Vec::new())
    }
}

/// Pace of a family: its lines so far.
#[derive(Debug, Clone, Copy)]
struct Pace {
    family: Key,
    /// Time of the last one, by the clock of the component that wrote the Event.
    at: Timestamp,
    /// Current pause, as an index into [`PAUSES`].
    pause: usize,
    /// Number of causes reported for the first time.
    firsts: u32,
}

/// The causes reported about one object, and the facts held until their pause ends.
#[derive(Debug, Default)]
pub(super) struct Deduplicator {
    entries: Vec<Entry>,
    paces: Vec<Pace>,
    /// Facts that are no longer held.
    released: Vec<FactId>,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    family: Key,
    parts: Vec<Key>,
    /// Number of occurrences, over all Events of the cause.
    times: u32,
    /// Last seen count of each Event that may still grow.
    events: Vec<(Uid, u32)>,
    since: Option<Timestamp>,
    /// Number of occurrences when it was last reported.
    reported: Option<u32>,
    /// True if a status showed it before a restart: only an Event that began later is new.
    history: bool,
    /// True if it was not reported yet, for example because it waits for the fact that explains it.
    unreported: bool,
    /// Newest unreported fact, and the time at which its pause ends. Boxed, because few entries hold one at a time.
    held: Option<(Timestamp, Box<Held>)>,
}

impl Entry {
    fn new(Cause { key, parts, family }: Cause) -> Self {
        Self {
            key,
            family,
            parts,
            times: 0,
            events: Vec::new(),
            since: None,
            reported: None,
            history: false,
            unreported: false,
            held: None,
        }
    }

    /// Adds parts. Returns true if one of them is new.
    fn learns(&mut self, parts: Vec<Key>) -> bool {
        let before = self.parts.len();
        let known = std::mem::take(&mut self.parts);
        let fresh: Vec<Key> = parts.into_iter().filter(|part| !known.contains(part)).collect();
        let learned = !fresh.is_empty();
        self.parts = known;
        self.parts.extend(fresh);
        let over = self.parts.len().saturating_sub(PARTS.max(before));
        self.parts.drain(..over);
        learned
    }

    fn counts(&mut self, uid: Uid, times: u32) {
        if let Some(count) = self.events.iter_mut().find(|(known, _)| *known == uid) {
            count.1 = times;
            return;
        }
        // Enough for the ten single Events that come before a combined one.
        if self.events.len() >= 16 {
            self.events.remove(0);
        }
        self.events.push((uid, times));
    }

    fn repeat(&self, at: Timestamp) -> Repeat {
        let since = self.since.unwrap_or(at);
        Repeat { times: self.times, over: at.duration_since(since).max(SignedDuration::ZERO) }
    }
}

/// A fact that is not reported yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) kind: FindingKind,
    pub(super) at: Timestamp,
    pub(super) fact_id: Option<FactId>,
    /// Object that the fact is about, if it is not the one that holds the fact.
    pub(super) about: Option<Subject>,
    /// True if the checkpoint waits for it, so that the fact is reported after a restart.
    pub(super) keeps_fact: bool,
    /// Fact that makes this one superfluous once it was reported.
    pub(super) explained_by: Option<ExplainedBy>,
}

/// Fact that makes a secondary one superfluous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExplainedBy {
    /// One of these was reported about the same object.
    Fact(Vec<Key>),
    /// The same, for a kubelet that writes its status long after the Event.
    FactLater(Vec<Key>),
    /// The pod of this name in the same namespace is tracked.
    Pod(String),
}

/// Decision on a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Report it for the first time, or as a repeat.
    Report(Option<Repeat>),
    /// Drop it: it was reported, and nothing is new.
    Duplicate,
    /// Count it, and report it when its pause ends.
    Defer,
}

/// An Event's count and times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    pub(super) event: Uid,
    pub(super) times: u32,
    pub(super) since: Timestamp,
    pub(super) at: Timestamp,
}

impl Deduplicator {
    /// Decides on a fact of the object's status. It has no count, so it is reported once.
    pub(super) fn status(&mut self, cause: impl Into<Cause>, at: Timestamp, now: Timestamp) -> Decision {
        let cause = cause.into();
        let (key, family) = (cause.key, cause.family);
        let decision = match self.find(key).map(|entry| entry.learns(cause.parts.clone())) {
            Some(false) => return Decision::Duplicate,
            Some(true) => self.first(family, at),
            None => {
                self.insert(Entry::new(cause));
                self.first(family, at)
            }
        };
        match decision {
            Decision::Report(_) => self.paced(family, at, now, true),
            _ => {
                if let Some(entry) = self.find(key) {
                    entry.times = entry.times.max(1);
                    entry.since.get_or_insert(at);
                    entry.unreported = true;
                }
            }
        }
        decision
    }

    /// Marks a fact as reported without a line of its own, as another line covers it.
    pub(super) fn note(&mut self, cause: impl Into<Cause>) {
        let cause = cause.into();
        match self.find(cause.key) {
            Some(entry) => entry.unreported = false,
            None => self.insert(Entry::new(cause)),
        }
    }

    /// Records a fact of a status that may have been reported before a restart. It is reported only if an Event that
    /// began since then shows it.
    pub(super) fn history(&mut self, cause: Cause) {
        if let Some(entry) = self.find(cause.key) {
            entry.learns(cause.parts);
        } else {
            self.insert(Entry { history: true, ..Entry::new(cause) });
        }
    }

    /// Decides on one more occurrence with its own time, such as a container's end.
    pub(super) fn incident(&mut self, cause: impl Into<Cause>, at: Timestamp, now: Timestamp) -> Decision {
        self.count(cause.into(), 1, None, (at, at), false, now)
    }

    /// Like [`Self::incident`], but each of the first `free` ones is reported.
    pub(super) fn incident_after(&mut self, free: u32, cause: Cause, at: Timestamp, now: Timestamp) -> Decision {
        let Cause { key, family, .. } = cause;
        if free == 0 || self.find(key).is_some_and(|entry| entry.times >= free) {
            return self.incident(cause, at, now);
        }
        let decision = self.count(cause, 1, None, (at, at), false, now);
        if let Some(entry) = self.find(key) {
            entry.reported = Some(entry.times);
            let held = entry.held.take();
            self.release(held);
        }
        if self.pace(family).is_none() {
            self.set_pace(Pace { family, at, pause: 0, firsts: 1 });
        }
        if decision == Decision::Duplicate { decision } else { Decision::Report(None) }
    }

    /// Returns the number of occurrences of a family's causes other than these.
    pub(super) fn times_of_others(&self, family: Key, keys: &[Key]) -> u32 {
        let others = self.entries.iter().filter(|entry| entry.family == family && !keys.contains(&entry.key));
        others.map(|entry| entry.times).fold(0, u32::saturating_add)
    }

    /// Decides on an Event with its total count. It counts as reported if a status of the same cause was reported. A
    /// secondary Event is held while it waits for the fact that explains it. Occurrences before `until` were reported
    /// before a restart.
    pub(super) fn event(
        &mut self,
        cause: impl Into<Cause>,
        count: Count,
        secondary: bool,
        until: Timestamp,
        now: Timestamp,
    ) -> Decision {
        let cause = cause.into();
        let Count { event, times, since, at } = count;
        let Some(entry) = self.find(cause.key) else {
            return self.count(cause, times, Some((event, times)), (since, at), secondary, now);
        };
        if entry.history && since >= until {
            entry.history = false;
            entry.parts.clear();
            entry.unreported = true;
        }
        let before = entry.events.iter().find(|(uid, _)| *uid == event).map_or(0, |(_, times)| *times);
        // A count that shrank means that the Event started over.
        let more = if times >= before { times - before } else { times };
        if more == 0 {
            return Decision::Duplicate;
        }
        self.count(cause, more, Some((event, times)), (since, at), secondary, now)
    }

    fn count(
        &mut self,
        cause: Cause,
        more: u32,
        event: Option<(Uid, u32)>,
        (since, at): (Timestamp, Timestamp),
        secondary: bool,
        now: Timestamp,
    ) -> Decision {
        let Cause { key, parts, family } = cause;
        if self.find(key).is_none() {
            self.insert(Entry { unreported: true, ..Entry::new(Cause::from(key).of_family(family)) });
        }
        let first = self.first(family, at);
        let pace = self.pace(family).copied();
        let Some(entry) = self.find(key) else { return Decision::Duplicate };
        let learned = entry.learns(parts);
        entry.times = entry.times.saturating_add(more);
        entry.since.get_or_insert(since);
        if let Some((uid, times)) = event {
            entry.counts(uid, times);
        }
        if entry.unreported && secondary {
            return Decision::Defer;
        }
        let repeat = entry.repeat(at);
        let over = pace.is_none_or(|pace| at.duration_since(pace.at) >= PAUSES[pace.pause]);
        let bursts =
            |last: u32| entry.times >= last.saturating_mul(BURST) && pace.is_none_or(|pace| pace.pause < BURST_PAUSES);
        let decision = match entry.reported {
            _ if (entry.unreported || learned) && first == Decision::Defer => Decision::Defer,
            _ if entry.unreported => Decision::Report((entry.times > 1).then_some(repeat)),
            _ if learned => Decision::Report(None),
            // The Event of a status that was reported.
            None if entry.times == 1 => Decision::Duplicate,
            None if over => Decision::Report(Some(repeat)),
            Some(last) if over || bursts(last) => Decision::Report(Some(repeat)),
            _ => Decision::Defer,
        };
        if decision != Decision::Defer && decision != Decision::Duplicate {
            let is_first = entry.unreported || learned;
            self.reported(key, at, now, is_first);
        }
        decision
    }

    /// Returns [`Decision::Report`] if another cause of this family is reported at once, else [`Decision::Defer`].
    fn first(&self, family: Key, at: Timestamp) -> Decision {
        match self.pace(family) {
            Some(pace) if pace.firsts >= FIRSTS && at.duration_since(pace.at) < PAUSES[pace.pause] => Decision::Defer,
            _ => Decision::Report(None),
        }
    }

    /// Marks a cause as reported, and releases its held fact.
    fn reported(&mut self, key: Key, at: Timestamp, now: Timestamp, first: bool) {
        let Some(entry) = self.find(key) else { return };
        entry.unreported = false;
        entry.reported = Some(entry.times);
        let (held, family) = (entry.held.take(), entry.family);
        self.release(held);
        self.paced(family, at, now, first);
    }

    /// Records a line of a family: its held facts wait for another pause.
    fn paced(&mut self, family: Key, at: Timestamp, now: Timestamp, first: bool) {
        let before = self.pace(family).copied();
        let pause = before.map_or(0, |pace| (pace.pause + 1).min(PAUSES.len() - 1));
        let firsts = before.map_or(0, |pace| pace.firsts) + u32::from(first);
        let at = before.map_or(at, |pace| pace.at.max(at));
        self.set_pace(Pace { family, at, pause, firsts });
        let earliest = now.saturating_add(PAUSES[pause]).unwrap_or(now);
        // A cause that only waits for another fact that may explain it does not also wait for the pause.
        let waits = |entry: &Entry| entry.family == family && (!entry.unreported || firsts >= FIRSTS);
        for entry in self.entries.iter_mut().filter(|entry| waits(entry)) {
            if let Some((due, _)) = &mut entry.held {
                *due = (*due).max(earliest);
            }
        }
    }

    fn pace(&self, family: Key) -> Option<&Pace> {
        self.paces.iter().find(|pace| pace.family == family)
    }

    fn set_pace(&mut self, pace: Pace) {
        self.paces.retain(|known| known.family != pace.family);
        if self.paces.len() >= LIMIT {
            self.paces.remove(0);
        }
        self.paces.push(pace);
    }

    /// Holds a collapsed fact until its pause ends, in place of the one held before. Returns true if the checkpoint
    /// waits for it.
    pub(super) fn hold(&mut self, key: Key, now: Timestamp, mut fact: Held) -> bool {
        let Some(family) = self.find(key).map(|entry| entry.family) else { return false };
        let pace = self.pace(family).copied();
        let Some(entry) = self.find(key) else { return false };
        let wait = match pace {
            _ if matches!(fact.explained_by, Some(ExplainedBy::FactLater(_))) && entry.unreported => LATER,
            _ if fact.explained_by.is_some() && entry.unreported => UNEXPLAINED_AFTER,
            // Both times are by the clocks of the components that write the Events.
            Some(last) => {
                let pause = PAUSES[last.pause];
                (pause - fact.at.duration_since(last.at)).clamp(SignedDuration::ZERO, pause)
            }
            None => UNEXPLAINED_AFTER,
        };
        let due = match &entry.held {
            Some((due, _)) => *due,
            None => now.saturating_add(wait).unwrap_or(now),
        };
        fact.keeps_fact &= fact.fact_id.is_some() && due.duration_since(now) <= FACT_KEPT;
        let keeps_fact = fact.keeps_fact;
        let before = entry.held.replace((due, Box::new(fact)));
        self.release(before);
        keeps_fact
    }

    /// Drops the held facts of a family that is over.
    pub(super) fn drop_family(&mut self, family: Key) {
        for at in 0..self.entries.len() {
            if self.entries[at].family == family {
                let held = self.entries[at].held.take();
                self.release(held);
            }
        }
    }

    /// Returns the time at which the next held fact is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(|entry| entry.held.as_ref()).map(|(due, _)| *due).min()
    }

    /// Takes a held fact that is due. The end of a container comes before the facts that lead to it or follow from it,
    /// and a new pod after what happened to the others. If the fact is reported, call [`Self::report_held`].
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<(Key, Held)> {
        let rank = |held: &Held| match held.kind {
            FindingKind::Terminated { .. } => 0,
            FindingKind::Created | FindingKind::Deleted => 2,
            _ => 1,
        };
        let due = self.entries.iter_mut().filter(|entry| entry.held.as_ref().is_some_and(|(due, _)| *due <= now));
        let entry = due.min_by_key(|entry| entry.held.as_ref().map(|(_, held)| rank(held)))?;
        let (_, held) = entry.held.take()?;
        Some((entry.key, *held))
    }

    /// Marks a held fact as reported. Returns its count so far.
    pub(super) fn report_held(&mut self, key: Key, at: Timestamp, now: Timestamp) -> Option<Repeat> {
        let entry = self.find(key)?;
        let repeat = (entry.times > 1).then(|| entry.repeat(at));
        let first = entry.unreported;
        self.reported(key, at, now, first);
        repeat
    }

    /// Drops all held facts.
    pub(super) fn drop_held(&mut self) {
        for entry in &mut self.entries {
            let held = entry.held.take();
            self.released.extend(held.and_then(|(_, held)| held.fact_id.filter(|_| held.keeps_fact)));
        }
    }

    /// Forgets what was reported, and drops all held facts.
    pub(super) fn start_over(&mut self) {
        self.drop_held();
        self.entries.clear();
        self.paces.clear();
    }

    /// True if a fact with one of these keys was reported.
    pub(super) fn has_reported(&self, keys: &[Key]) -> bool {
        self.entries.iter().any(|entry| !entry.unreported && keys.contains(&entry.key))
    }

    /// Takes the held facts that were replaced or reported since the last call.
    pub(super) fn released(&mut self) -> impl Iterator<Item = FactId> {
        self.released.drain(..)
    }

    fn release(&mut self, held: Option<(Timestamp, Box<Held>)>) {
        self.released.extend(held.and_then(|(_, held)| held.fact_id.filter(|_| held.keeps_fact)));
    }

    fn find(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    fn insert(&mut self, entry: Entry) {
        if self.entries.len() >= LIMIT {
            let oldest = self.entries.remove(0);
            self.release(oldest.held);
        }
        self.entries.push(entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn uid(n: u32) -> Uid {
        Uid::parse(&n.to_string()).unwrap()
    }

    fn event(dedup: &mut Deduplicator, key: Key, event: Uid, times: u32, since: Timestamp, at: Timestamp) -> Decision {
        dedup.event(key, Count { event, times, since, at }, false, Timestamp::UNIX_EPOCH, at)
    }

    fn repeated(times: u32, over: i64) -> Decision {
        Decision::Report(Some(Repeat { times, over: SignedDuration::from_secs(over) }))
    }

    #[test]
    fn nine_refusals_and_a_combined_event_are_one_line_and_counts() {
        let mut dedup = Deduplicator::default();
        assert_eq!(event(&mut dedup, 1, uid(0), 1, at(0), at(0)), Decision::Report(None));
        for n in 1..7 {
            assert_eq!(event(&mut dedup, 1, uid(n), 1, at(0), at(0)), Decision::Defer);
        }
        assert_eq!(event(&mut dedup, 1, uid(7), 1, at(1), at(1)), repeated(8, 1));
        assert_eq!(event(&mut dedup, 1, uid(9), 1, at(2), at(2)), Decision::Defer);
        assert_eq!(event(&mut dedup, 1, uid(9), 2, at(2), at(62)), repeated(10, 62));
    }

    #[test]
    fn causes_of_one_family_share_their_pauses() {
        let mut dedup = Deduplicator::default();
        let mut say = |key: Key, second| dedup.incident(Cause::from(key).of_family(9), at(second), at(second));
        for key in 0..u64::from(FIRSTS) {
            assert_eq!(say(key, 0), Decision::Report(None));
        }
        // Further causes and repeats wait for the family's pause.
        assert_eq!(say(100, 1), Decision::Defer);
        assert_eq!(say(0, 60), Decision::Defer);
        assert_eq!(say(0, 3_700), repeated(3, 3_700));
        assert_eq!(say(1, 3_800), Decision::Defer);
    }

    #[test]
    fn a_grown_count_is_reported_with_its_number() {
        let mut dedup = Deduplicator::default();
        assert_eq!(event(&mut dedup, 1, uid(0), 1, at(0), at(0)), Decision::Report(None));
        assert_eq!(event(&mut dedup, 1, uid(0), 1, at(0), at(0)), Decision::Duplicate);
        assert_eq!(event(&mut dedup, 1, uid(0), 9, at(0), at(120)), repeated(9, 120));
        assert_eq!(event(&mut dedup, 1, uid(0), 10, at(0), at(130)), Decision::Defer);
        assert_eq!(event(&mut dedup, 1, uid(0), 11, at(0), at(181)), repeated(11, 181));
    }

    #[test]
    fn status_and_event_say_the_same_once_whichever_comes_first() {
        let mut dedup = Deduplicator::default();
        assert_eq!(dedup.status(1, at(0), at(0)), Decision::Report(None));
        assert_eq!(event(&mut dedup, 1, uid(0), 1, at(0), at(0)), Decision::Duplicate);
        assert_eq!(event(&mut dedup, 1, uid(0), 2, at(0), at(20)), repeated(2, 20));

        let mut dedup = Deduplicator::default();
        assert_eq!(event(&mut dedup, 1, uid(0), 1, at(0), at(0)), Decision::Report(None));
        assert_eq!(dedup.status(1, at(0), at(0)), Decision::Duplicate);
        assert_eq!(event(&mut dedup, 1, uid(0), 2, at(0), at(20)), repeated(2, 20));
    }

    #[test]
    fn it_remembers_a_bounded_number_of_things() {
        let mut dedup = Deduplicator::default();
        for key in 0..1_000 {
            dedup.status(key, at(0), at(0));
        }
        assert_eq!(dedup.entries.len(), LIMIT);
    }
}
