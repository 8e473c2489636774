//! Events waiting for their object.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::{
    fact_id::FactId,
    identity::{Subject, Uid},
    object::Event,
};

/// An Event waiting for its object.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) event: Event,
    pub(super) fact_id: FactId,
}

#[derive(Debug)]
struct Queue {
    since: Timestamp,
    looked_up: bool,
    waiters: Vec<Waiter>,
}

/// Waiting Events, bounded in number. Beyond the limit, the Events of the object that waited longest are dropped. The
/// key is the whole subject of an Event: one with the right UID and a wrong name waits separately.
#[derive(Debug)]
pub(super) struct Waiting {
    queues: HashMap<Subject, Queue>,
    order: VecDeque<Subject>,
    events: usize,
    limit: usize,
}

impl Waiting {
    pub(super) fn new(limit: usize) -> Self {
        Self { queues: HashMap::new(), order: VecDeque::new(), events: 0, limit }
    }

    /// Adds an Event. Returns those that were dropped to make room.
    pub(super) fn push(&mut self, subject: &Subject, event: Event, fact_id: FactId, now: Timestamp) -> Vec<Waiter> {
        let queue = self.queues.entry(subject.clone()).or_insert_with(|| {
            self.order.push_back(subject.clone());
            // Without a UID nothing proves that the right object was found.
            Queue { since: now, looked_up: subject.uid == Uid::UNKNOWN, waiters: Vec::new() }
        });
        queue.waiters.push(Waiter { event, fact_id });
        self.events += 1;
        if self.events > self.limit
            && let Some(oldest) = self.order.front().cloned()
        {
            return self.take(&oldest);
        }
        Vec::new()
    }

    /// Takes the Events of an object, in order of arrival.
    pub(super) fn take(&mut self, subject: &Subject) -> Vec<Waiter> {
        let Some(queue) = self.queues.remove(subject) else { return Vec::new() };
        self.order.retain(|other| other != subject);
        self.events -= queue.waiters.len();
        queue.waiters
    }

    /// Marks an object as being looked up. Returns false if it already was, or has no waiting Event.
    pub(super) fn look_up(&mut self, subject: &Subject) -> bool {
        self.queues.get_mut(subject).is_some_and(|queue| !std::mem::replace(&mut queue.looked_up, true))
    }

    /// Marks and returns the objects that have waited at least this long without a lookup.
    pub(super) fn due_for_lookup(&mut self, after: SignedDuration, now: Timestamp) -> Vec<Subject> {
        let queues = &mut self.queues;
        self.order
            .iter()
            .filter_map(|subject| {
                let queue = queues.get_mut(subject)?;
                let due = now.duration_since(queue.since) >= after;
                (due && !std::mem::replace(&mut queue.looked_up, true)).then(|| subject.clone())
            })
            .collect()
    }

    /// Takes the Events of objects that have waited longer than this.
    pub(super) fn take_older(&mut self, than: SignedDuration, now: Timestamp) -> Vec<Waiter> {
        let mut taken = Vec::new();
        while let Some(subject) = self.order.front().cloned() {
            match self.queues.get(&subject) {
                Some(queue) if now.duration_since(queue.since) <= than => break,
                _ => taken.extend(self.take(&subject)),
            }
        }
        taken
    }

    pub(super) fn len(&self) -> usize {
        self.events
    }
}
