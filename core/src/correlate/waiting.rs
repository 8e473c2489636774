//! Events whose subject is not known yet.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::{
    fact_id::FactId,
    identity::{Subject, Uid},
    object::Event,
};

/// An Event that waits for its subject.
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

/// Bounded in the number of Events; the subject that waited longest goes first. A subject is all that an Event says of
/// it: an Event that gives a UID another name waits by itself, and keeps nothing of the UID's owner.
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

    /// Keeps an Event. Returns what had to go for it.
    pub(super) fn push(&mut self, subject: &Subject, event: Event, fact_id: FactId, now: Timestamp) -> Vec<Waiter> {
        let queue = self.queues.entry(subject.clone()).or_insert_with(|| {
            self.order.push_back(subject.clone());
            // Without a UID it could not be told whether the right object was found.
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

    /// Takes the Events of a subject, in the order they came.
    pub(super) fn take(&mut self, subject: &Subject) -> Vec<Waiter> {
        let Some(queue) = self.queues.remove(subject) else { return Vec::new() };
        self.order.retain(|other| other != subject);
        self.events -= queue.waiters.len();
        queue.waiters
    }

    /// Notes that a subject is being looked up; false if it was already, or does not wait.
    pub(super) fn look_up(&mut self, subject: &Subject) -> bool {
        self.queues.get_mut(subject).is_some_and(|queue| !std::mem::replace(&mut queue.looked_up, true))
    }

    /// The subjects that have waited at least this long without being looked up.
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

    /// Takes the Events of the subjects that have waited longer than this.
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
