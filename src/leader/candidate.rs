//! The state machine of one replica in the election, without I/O.
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
    /// True if `seen` may be out of date and the Lease has to be read again.
    stale: bool,
    /// Time until which the holder may still send, counted from the last change of the Lease that was seen.
    guard: Duration,
    held: Option<Held>,
    /// Number of terms of this replica so far.
    terms: u64,
}

/// The newest version of the Lease that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// The Lease was not read yet.
    Nothing,
    /// There is no Lease.
    Absent,
    /// The Lease.
    Version(Lease),
}

/// A term of this replica.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// Time until which it may send.
    until: Duration,
    /// Time of the next renewal.
    renew_at: Duration,
}

/// The next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Read the Lease.
    Read,
    /// Create it, without a holder.
    Create,
    /// Write this replica into this version of it: as its new holder, or to renew it.
    Take {
        /// The version to replace.
        from: Lease,
        /// True if the holder changes.
        is_transition: bool,
    },
    /// Wait for a change of the Lease, and not beyond this time.
    Wait(Duration),
}

impl Candidate {
    /// A replica that has not read the Lease. `identity` must be unique among processes that may run at the same time.
    pub(super) fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, known: Known::Nothing, stale: false, guard: Duration::ZERO, held: None, terms: 0 }
    }

    /// The next step at this time.
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

    /// Records the Lease as it was read, or shown by a watch, at this time. `None` if it does not exist.
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
            // An old version, shown by a watch or an API server that lags behind.
            return;
        }
        if !self.is_own(&lease) {
            self.held = None;
            match &lease.holder {
                Some(_) => self.guard = self.guard.max(now + lease.duration.max(self.timing.lease)),
                // Its holder has released it. An object that was deleted and created again says nothing about its
                // holder.
                None if before.is_some() && !recreated => self.guard = Duration::ZERO,
                None => {}
            }
        }
        self.known = Known::Version(lease);
    }

    /// Records that this replica was written into the Lease by a request that was sent at this time.
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

    /// Records that the known version may be out of date: another replica has written the Lease, or an answer was lost.
    pub(super) fn doubt(&mut self) {
        self.stale = true;
    }

    /// Ends the term of this replica.
    pub(super) fn resign(&mut self) {
        self.held = None;
    }

    /// True if the Lease has to be read to find its holder.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.stale
    }

    /// The Lease, if this replica is its holder.
    pub(super) fn own(&self) -> Option<&Lease> {
        self.lease().filter(|lease| self.is_own(lease))
    }

    /// Number of the current term of this replica. A term goes on after its permission has expired, until another
    /// replica is known to have taken the Lease.
    pub(super) fn term(&self) -> Option<u64> {
        self.held.map(|_| self.terms)
    }

    /// Time until which this replica may send.
    pub(super) fn until(&self) -> Duration {
        self.held.map_or(Duration::ZERO, |held| held.until)
    }

    /// The newest version that was seen.
    pub(super) fn lease(&self) -> Option<&Lease> {
        if let Known::Version(lease) = &self.known { Some(lease) } else { None }
    }

    /// True if another replica held the Lease when it was last seen.
    pub(super) fn follows(&self) -> bool {
        self.lease().is_some_and(|lease| lease.holder.is_some() && !self.is_own(lease))
    }

    fn is_own(&self, lease: &Lease) -> bool {
        lease.holder.as_deref() == Some(&self.identity)
    }
}
