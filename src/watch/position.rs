//! Position of a scope's watch, which decides what is new in a list or a watch.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use logstream_core::{
    checkpoint::Checkpoint,
    correlate::Arrival,
    dependency::Dependency,
    identity::Uid,
    object::{Event, Meta},
};

/// Maximum number of Events of one list that are held back to be sent in order, about 64 MB. If there are more, a part
/// of them is sent earlier. A list is ordered by name, which keeps the Events of a pod together.
const MAX_FRESH: usize = 20_000;

/// Revision up to which the watch of a scope has read, and the list in progress.
///
/// Revisions are compared within this scope only: Events may be stored in an etcd of their own.
#[derive(Debug)]
pub(super) struct Position {
    /// Everything up to this revision was sent, or is history.
    reached: u64,
    /// Subjects with Events from before the restart that were not delivered, with the revision of the first one. Only
    /// the first list uses this: after it, this process itself has sent those Events.
    pending: HashMap<Uid, u64>,
    /// Lowest of those revisions. An Event of a claim or node since then may be pending for a pod that depends on it.
    first_pending: Option<u64>,
    /// Objects and Events created at this second or later are new in the first list, whatever their revision: they are
    /// younger than this process.
    created_since: Option<Timestamp>,
    listing: Listing,
    max_fresh: usize,
}

/// A list in progress.
#[derive(Debug, Default)]
struct Listing {
    /// Value of `reached` when the list began.
    base: u64,
    /// Highest revision in the list.
    highest: u64,
    /// New Events to be sent, by revision and then by order of arrival.
    fresh: BTreeMap<(u64, usize), Box<Event>>,
    /// Number of new Events so far.
    counted: usize,
}

impl Position {
    pub(super) fn new(from: &Checkpoint) -> Self {
        Self {
            reached: from.revision,
            pending: from.pending.iter().map(|(uid, revision)| (*uid, *revision)).collect(),
            first_pending: from.pending.values().min().copied(),
            created_since: None,
            listing: Listing::default(),
            max_fresh: MAX_FRESH,
        }
    }

    /// Creates a position at the start of this process, which may be earlier than the API server's first response.
    pub(super) fn from_now(now: &Checkpoint) -> Self {
        Self { created_since: Some(now.created_since), ..Self::new(now) }
    }

    /// Revision up to which everything was sent.
    pub(super) fn reached(&self) -> u64 {
        self.reached
    }

    /// Continues from an earlier revision, because the cluster's history is shorter than known (it was restored from a
    /// backup).
    pub(super) fn rewind(&mut self, current: u64) {
        self.reached = current;
    }

    /// Begins a list. Drops the Events of an unfinished list before it, which arrive again.
    pub(super) fn begin(&mut self) {
        self.listing = Listing { base: self.reached, ..Listing::default() };
    }

    /// Classifies an object of the list as changed or known.
    pub(super) fn listed(&mut self, meta: &Meta) -> Arrival {
        let revision = meta.revision();
        self.listed_other(revision);
        if self.is_beyond(revision) || self.is_young(meta) { Arrival::ListedChanged } else { Arrival::ListedKnown }
    }

    /// Adds an Event of the list. Returns the Events to be sent now because the limit is exceeded; nearly always none.
    pub(super) fn listed_event(&mut self, event: Box<Event>) -> impl Iterator<Item = Box<Event>> + use<> {
        let revision = event.metadata.revision();
        self.listed_other(revision);
        let is_pending = |revision: u64| {
            let since = event.involved_object.uid.and_then(|about| self.pending.get(&about));
            let of_dependents = self.first_pending.is_some_and(|first| revision >= first);
            since.is_some_and(|since| revision >= *since) || (of_dependents && Dependency::of_event(&event).is_some())
        };
        let is_young = self.is_young(&event.metadata);
        let is_news = |revision: &u64| is_young || self.is_beyond(Some(*revision)) || is_pending(*revision);
        if let Some(revision) = revision.filter(is_news) {
            self.listing.fresh.insert((revision, self.listing.counted), event);
            self.listing.counted += 1;
        }
        let full = self.listing.fresh.len() > self.max_fresh;
        let now = if full { std::mem::take(&mut self.listing.fresh) } else { BTreeMap::new() };
        now.into_values()
    }

    /// Records an item of the list that is not sent. Its revision still counts for the end of the list.
    pub(super) fn listed_other(&mut self, revision: Option<u64>) {
        self.listing.highest = self.listing.highest.max(revision.unwrap_or_default());
    }

    /// Completes the list. Returns its new Events, oldest first.
    pub(super) fn done(&mut self) -> impl Iterator<Item = Box<Event>> + use<> {
        let Listing { highest, fresh, .. } = std::mem::take(&mut self.listing);
        self.reached = self.reached.max(highest);
        (self.pending, self.first_pending) = (HashMap::new(), None);
        self.created_since = None;
        fresh.into_values()
    }

    /// Records an item of the watch. Returns true if it is new. It is not new if an API server with a stale cache has
    /// listed an older state and then catches up in the watch.
    pub(super) fn watched(&mut self, revision: Option<u64>) -> bool {
        let Some(revision) = revision else { return true };
        let news = revision > self.reached;
        self.reached = self.reached.max(revision);
        news
    }

    /// True if the object was created since this process started. Only in the first list of a process without a
    /// checkpoint.
    fn is_young(&self, meta: &Meta) -> bool {
        let times = self.created_since.zip(meta.creation_timestamp);
        times.is_some_and(|(since, created)| created.as_second() >= since.as_second())
    }

    /// True if this revision had not been reached when the list began.
    fn is_beyond(&self, revision: Option<u64>) -> bool {
        revision.is_some_and(|revision| revision > self.listing.base)
    }
}

#[cfg(test)]
mod tests {
    use logstream_core::object::InvolvedObject;

    use super::*;

    fn uid(text: &str) -> Uid {
        Uid::parse(text).unwrap()
    }

    fn event(about: &str, revision: u64) -> Box<Event> {
        Box::new(Event {
            metadata: Meta { resource_version: revision.to_string(), ..Meta::default() },
            involved_object: InvolvedObject { uid: Some(uid(about)), ..InvolvedObject::default() },
            ..Event::default()
        })
    }

    fn position(revision: u64) -> Position {
        Position::new(&Checkpoint { revision, ..Checkpoint::default() })
    }

    fn list(position: &mut Position, events: &[(&str, u64)]) -> Vec<u64> {
        position.begin();
        for (about, revision) in events {
            assert_eq!(position.listed_event(event(about, *revision)).count(), 0);
        }
        position.done().filter_map(|event| event.metadata.revision()).collect()
    }

    #[test]
    fn events_beyond_the_baseline_are_news_in_their_order_and_only_once() {
        let mut position = position(10);
        assert_eq!(list(&mut position, &[("a", 14), ("a", 9), ("b", 11), ("a", 10)]), [11, 14]);
        assert_eq!(list(&mut position, &[("a", 14), ("b", 11), ("b", 15)]), [15]);
        assert!(position.watched(Some(16)) && !position.watched(Some(16)));
        assert_eq!(list(&mut position, &[("b", 15), ("b", 16)]), [] as [u64; 0]);
    }

    #[test]
    fn without_a_checkpoint_objects_younger_than_the_process_are_new() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let created = |second, revision| {
            let mut event = event("a", revision);
            event.metadata.creation_timestamp = Some(at(second));
            event
        };
        // The API server's first response was at revision 10, and the process had been running since second 100.
        let mut position = Position::from_now(&Checkpoint::now(10, at(100)));
        for _ in 0..2 {
            position.begin();
            assert_eq!(position.listed_event(created(99, 4)).count(), 0);
            assert_eq!(position.listed_event(created(100, 5)).count(), 0);
            assert_eq!(position.listed_event(created(99, 11)).count(), 0);
        }
        assert_eq!(position.listed(&created(99, 6).metadata), Arrival::ListedKnown);
        assert_eq!(position.listed(&created(100, 7).metadata), Arrival::ListedChanged);
        assert_eq!(position.done().count(), 2, "the younger one and the one beyond");
        position.begin();
        assert_eq!(position.listed_event(created(100, 5)).count(), 0);
        assert_eq!(position.done().count(), 0, "once");
    }

    #[test]
    fn pending_events_are_new_in_the_first_list_only() {
        let pending = [(uid("a"), 7)].into();
        let mut position = Position::new(&Checkpoint { revision: 10, pending, ..Checkpoint::default() });
        assert_eq!(list(&mut position, &[("a", 6), ("a", 7), ("b", 8), ("a", 9)]), [7, 9]);
        assert_eq!(list(&mut position, &[("a", 7), ("a", 9)]), [] as [u64; 0]);
    }

    #[test]
    fn an_event_of_a_claim_may_be_pending_for_a_pod() {
        let pending = [(uid("pod"), 7)].into();
        let mut position = Position::new(&Checkpoint { revision: 10, pending, ..Checkpoint::default() });
        position.begin();
        for revision in [6, 8] {
            let mut event = event("claim", revision);
            event.involved_object.kind = "PersistentVolumeClaim".into();
            assert_eq!(position.listed_event(event).count(), 0);
        }
        let revisions: Vec<_> = position.done().filter_map(|event| event.metadata.revision()).collect();
        assert_eq!(revisions, [8]);
    }

    #[test]
    fn the_next_list_reports_one_that_broke_off() {
        let mut position = position(1);
        position.begin();
        assert_eq!(position.listed_event(event("a", 2)).count(), 0);
        assert_eq!(position.listed(&event("a", 3).metadata), Arrival::ListedChanged);
        assert_eq!(list(&mut position, &[("a", 2), ("a", 3)]), [2, 3]);
    }

    #[test]
    fn none_of_too_many_events_is_dropped() {
        let mut position = position(0);
        position.max_fresh = 2;
        position.begin();
        let mut handed_on = Vec::new();
        for revision in [3, 1, 2, 9, 7] {
            let events = position.listed_event(event("a", revision));
            handed_on.extend(events.filter_map(|event| event.metadata.revision()));
        }
        handed_on.extend(position.done().filter_map(|event| event.metadata.revision()));
        assert_eq!(handed_on, [1, 2, 3, 7, 9]);
    }

    #[test]
    fn the_past_seen_again_through_a_lagging_cache_is_no_news() {
        let mut position = position(10);
        list(&mut position, &[("a", 4)]);
        assert_eq!(position.reached(), 10);
        assert!(!position.watched(Some(8)) && position.watched(Some(11)) && position.watched(None));
    }
}
