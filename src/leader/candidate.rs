//! What a replica knows of the Lease, and what it does next: a state machine without I/O.
//!
//! All times are the replica's own uptime.

use std::time::Duration;

use super::{lease::Lease, timing::Timing};

/// One replica in the election.
#[derive(Debug)]
pub(super) struct Candidate {
    identity: String,
    timing: Timing,
    known: Known,
    /// Whether what is known may be out of date and has to be read again.
    stale: bool,
    /// Until then a holder that was seen may still send. It passes from the last change of the Lease that was seen.
    guard: Duration,
    held: Option<Held>,
    /// Number of terms of this replica so far.
    terms: u64,
}

/// The newest version of the Lease that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// It was not read yet.
    Nothing,
    /// There is none.
    Absent,
    /// This is it.
    Version(Lease),
}

/// A term of this replica.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Until then it may send.
    until: Duration,
    /// The next renewal.
    renew_at: Duration,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the Lease.
    Read,
    /// Create it, without a holder.
    Create,
    /// Write this replica into this version of it: as its new holder, or to renew it.
    Take {
        /// The version that is replaced.
        from: Lease,
        /// Whether the Lease goes to another holder.
        is_transition: bool,
    },
    /// Wait for a change of the Lease, and not beyond this time.
    Wait(Duration),
}

impl Candidate {
    /// A replica that knows nothing yet. `identity` must be unique among processes that may run at the same time.
    pub(super) fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, known: Known::Nothing, stale: false, guard: Duration::ZERO, held: None, terms: 0 }
    }

    /// What to do at this time.
    pub(super) fn step(&self, now: Duration) -> Step {
        match &self.known {
            _ if self.stale => Step::Read,
            Known::Nothing => Step::Read,
            Known::Absent if now < self.guard => Step::Wait(self.guard),
            Known::Absent => Step::Create,
            Known::Version(lease) => self.step_from(lease, now),
        }
    }

    fn step_from(&self, lease: &Lease, now: Duration) -> Step {
        let take = |is_transition| Step::Take { from: lease.clone(), is_transition };
        match (self.is_own(lease), self.held) {
            (true, Some(held)) if now < held.renew_at => Step::Wait(held.renew_at),
            // Held by this very process, or by one of this identity that has ended: a container of the same pod.
            (true, _) => take(false),
            (false, _) if now < self.guard => Step::Wait(self.guard),
            (false, _) => take(true),
        }
    }

    /// The Lease was read, or seen by a watch, at this time; `None`: there is none.
    pub(super) fn saw(&mut self, lease: Option<Lease>, now: Duration) {
        self.stale = false;
        let Some(lease) = lease else {
            self.known = Known::Absent;
            self.held = None;
            return;
        };
        let before = if let Known::Version(before) = &self.known { Some(before) } else { None };
        let recreated = before.is_some_and(|before| before.uid != lease.uid);
        if before.is_some_and(|before| !recreated && before.version >= lease.version) {
            // A watch, or an API server that lags behind, shows it later.
            return;
        }
        if !self.is_own(&lease) {
            self.held = None;
            match &lease.holder {
                Some(_) => self.guard = self.guard.max(now + lease.duration.max(self.timing.lease)),
                // Its holder has released it. An object that was deleted and created again says nothing of its holder.
                None if before.is_some() && !recreated => self.guard = Duration::ZERO,
                None => {}
            }
        }
        self.known = Known::Version(lease);
    }

    /// This replica was written into the Lease by a request that was sent at this time.
    pub(super) fn took(&mut self, lease: Lease, sent: Duration) {
        if self.lease().is_some_and(|known| known.uid == lease.uid && known.version > lease.version) {
            self.stale = true;
            return;
        }
        if self.held.is_none() {
            self.terms += 1;
        }
        self.held = Some(Held { until: sent + self.timing.renew_deadline, renew_at: sent + self.timing.retry });
        self.known = Known::Version(lease);
        self.stale = false;
    }

    /// What is known may be out of date: another replica has written the Lease, or an answer was lost.
    pub(super) fn doubt(&mut self) {
        self.stale = true;
    }

    /// This replica gives its term up and sends no more.
    pub(super) fn resign(&mut self) {
        self.held = None;
    }

    /// Whether the Lease has to be read to know who holds it.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.stale
    }

    /// The Lease, if this replica is its holder.
    pub(super) fn own(&self) -> Option<&Lease> {
        self.lease().filter(|lease| self.is_own(lease))
    }

    /// The number of the term that this replica is in, also while its permission has run out and nobody else is known
    /// to have taken the Lease.
    pub(super) fn term(&self) -> Option<u64> {
        self.held.map(|_| self.terms)
    }

    /// Until then this replica may send.
    pub(super) fn until(&self) -> Duration {
        self.held.map_or(Duration::ZERO, |held| held.until)
    }

    /// The newest version that was seen.
    pub(super) fn lease(&self) -> Option<&Lease> {
        if let Known::Version(lease) = &self.known { Some(lease) } else { None }
    }

    /// Whether another replica was seen to hold the Lease last.
    pub(super) fn follows(&self) -> bool {
        self.lease().is_some_and(|lease| lease.holder.is_some() && !self.is_own(lease))
    }

    fn is_own(&self, lease: &Lease) -> bool {
        lease.holder.as_deref() == Some(&self.identity)
    }
}
