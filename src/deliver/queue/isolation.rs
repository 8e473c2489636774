//! Isolates the line that causes an agent's batches to be rejected.
//!
//! A proxy in front of Coder may refuse a request because of the text or the size of its lines, with any status. Such
//! a batch must not block its agent for ever, and an outage must cost no line. So:
//!
//! 1. After a few refusals the agent registers its log source again. If that succeeds, Coder is available and the lines
//!    are at fault.
//! 2. The batch is halved until the refused line is alone.
//! 3. A line that is refused alone is tried again after the log source was registered: an outage may have ended just
//!    then. If it is still refused, it is replaced by a note that it is missing. If the note is accepted, the line is
//!    dropped; if the note is refused too, nothing is dropped and the line is tried again later.

use std::time::Duration;

use crate::coder::Failure;
use crate::deliver::queue::outbox::BATCH_LINES;

/// Maximum wait between two tries while Coder is known to be available.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Number of refusals of a single line after Coder was found available, before the line is replaced.
const LAST_TRIES: u8 = 2;

/// Weight of a refusal as evidence against the lines in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Coder read the batch and refused it.
    Coder,
    /// The batch is too large for Coder or for a proxy.
    Size,
    /// Something in between answered, or nothing did.
    Proxy,
    /// Usually temporary.
    Trouble,
}

impl Weight {
    fn of(failure: &Failure) -> Option<Self> {
        match failure {
            Failure::BadRequest { .. } => Some(Self::Coder),
            Failure::BodyTooLarge => Some(Self::Size),
            failure if failure.is_refusal() => Some(Self::Proxy),
            // Each try takes half a minute, so a few must be enough.
            Failure::Timeout => Some(Self::Proxy),
            Failure::Server { .. } | Failure::Network { connected: true, .. } => Some(Self::Trouble),
            _ => None,
        }
    }

    /// Number of refusals of the same batch before the next step.
    fn tries(self, size: Size) -> u8 {
        match (self, size) {
            (Self::Coder, _) | (Self::Size | Self::Proxy, Size::Part) | (Self::Size, Size::Whole) => 1,
            (Self::Trouble, Size::Part) => 2,
            (Self::Size | Self::Proxy, _) => 3,
            (Self::Trouble, Size::Whole) => 4,
            (Self::Trouble, Size::Single) => 6,
        }
    }

    /// True if the refusal itself proves that Coder is available.
    fn is_proof(self, size: Size) -> bool {
        self == Self::Coder || (self == Self::Size && size != Size::Single)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Whole,
    Part,
    Single,
}

/// The next step after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait, then send again.
    Wait,
    /// Register the log source, to check whether Coder is available.
    Confirm,
    /// Send less, or the replacement, at once.
    Go,
}

/// Proof of Coder's availability during a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Proof {
    /// Unknown.
    #[default]
    None,
    /// Being checked by registering the log source.
    Wanted,
    /// Available after the last refusal.
    There,
    /// The same, and a single line is left, which is tried again.
    Last,
    /// The next request carries the replacement for its first entry.
    Replace,
}

/// The search in one agent's outbox.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    /// Number of entries at the head of the outbox that include the rejected one; 0 without a suspicion.
    suspects: u8,
    /// Consecutive refusals since the last step.
    refusals: u8,
    /// Number of times the request size was halved because it was too large.
    halvings: u8,
    proof: Proof,
    /// True if a line of this agent was dropped before: the next search begins at the first refusal.
    wary: bool,
}

impl Isolation {
    /// Maximum number of entries of the next request.
    pub(crate) fn limit(&self) -> usize {
        let most = (BATCH_LINES >> self.halvings).max(1);
        match self.suspects {
            0 => most,
            suspects => usize::from(suspects / 2).clamp(1, most),
        }
    }

    /// True if the next request carries the replacement for its first entry.
    pub(crate) fn replaces(&self) -> bool {
        self.proof == Proof::Replace
    }

    /// Limits the wait before the next try while Coder is available.
    pub(crate) fn wait(&self, wait: Duration) -> Duration {
        if self.proof == Proof::None { wait } else { wait.min(LONGEST_WAIT) }
    }

    /// Records that a batch of this many entries was accepted.
    pub(crate) fn taken(&mut self, entries: usize) {
        if self.replaces() {
            self.wary = true;
            self.suspects = 0;
            // A single line was too large, and not the number of lines.
            self.halvings = 0;
        }
        self.suspects = self.suspects.saturating_sub(u8::try_from(entries).unwrap_or(u8::MAX));
        self.refusals = 0;
        self.proof = if self.suspects > 0 { Proof::There } else { Proof::None };
    }

    /// Records that a batch of this many entries was refused, and returns the next step.
    pub(crate) fn refused(&mut self, failure: &Failure, entries: usize) -> Step {
        let Some(weight) = Weight::of(failure) else {
            self.away();
            return Step::Wait;
        };
        if self.replaces() {
            // Even this program's own note is refused, so the lines are not at fault.
            self.refusals = 0;
            self.proof = Proof::None;
            return Step::Wait;
        }
        let size = match (entries, self.suspects) {
            (0 | 1, _) => Size::Single,
            (_, 0) if !self.wary => Size::Whole,
            _ => Size::Part,
        };
        self.refusals = self.refusals.saturating_add(1);
        if self.proof == Proof::Last && !weight.is_proof(size) {
            if self.refusals < LAST_TRIES {
                return Step::Wait;
            }
            self.advance(Proof::Replace);
            return Step::Go;
        }
        if self.refusals < weight.tries(size) {
            return Step::Wait;
        }
        if weight == Weight::Size && size != Size::Single {
            self.refusals = 0;
            self.halvings = self.halvings_for(entries);
            return Step::Go;
        }
        self.suspects = u8::try_from(entries).unwrap_or(u8::MAX).max(1);
        if weight.is_proof(size) {
            self.advance(Proof::Replace);
            return Step::Go;
        }
        self.proof = Proof::Wanted;
        Step::Confirm
    }

    /// Records that the log source was registered. Returns true if the search continues.
    pub(crate) fn registered(&mut self) -> bool {
        let wanted = self.proof == Proof::Wanted;
        if wanted {
            self.advance(Proof::Last);
        }
        wanted
    }

    /// Resets the search: Coder is unavailable, the agent is not valid, or its lines are gone.
    pub(crate) fn away(&mut self) {
        *self = Self { halvings: self.halvings, wary: self.wary, ..Self::default() };
    }

    /// Advances the search while Coder is available. `single` is the next step for a single line.
    fn advance(&mut self, single: Proof) {
        self.refusals = 0;
        self.proof = if self.suspects == 1 { single } else { Proof::There };
    }

    /// Limits the next request to half of these entries.
    fn halvings_for(&self, entries: usize) -> u8 {
        let mut halvings = self.halvings;
        while (BATCH_LINES >> halvings) > (entries / 2).max(1) {
            halvings += 1;
        }
        halvings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> Failure {
        Failure::NotCoder { reason: "it answers 403".into() }
    }

    /// Plays a Coder behind a proxy that refuses each batch with one of the `bad` entries. Returns the number of
    /// requests until all other entries of `total` were taken.
    fn search(failure: &Failure, total: usize, bad: &[usize]) -> usize {
        let mut isolation = Isolation::default();
        let mut outbox: Vec<usize> = (0..total).collect();
        let mut dropped = Vec::new();
        let mut requests = 0;
        while !outbox.is_empty() {
            requests += 1;
            assert!(requests < 1_000);
            let count = isolation.limit().min(outbox.len());
            if isolation.replaces() {
                dropped.push(outbox.remove(0));
                isolation.taken(1);
            } else if outbox[..count].iter().any(|entry| bad.contains(entry)) {
                if isolation.refused(failure, count) == Step::Confirm {
                    assert!(isolation.registered());
                }
            } else {
                outbox.drain(..count);
                isolation.taken(count);
            }
        }
        assert_eq!(dropped, bad);
        requests
    }

    #[test]
    fn exactly_the_refused_lines_are_dropped() {
        let coder = Failure::BadRequest { message: "no".into() };
        for failure in [proxy(), coder, Failure::BodyTooLarge, Failure::Server { status: 500 }, Failure::Timeout] {
            for bad in [&[0][..], &[63], &[17], &[3, 4, 63], &[0, 1, 2, 100]] {
                let requests = search(&failure, 128, bad);
                assert!(requests <= 25 * (bad.len() + 1), "{failure}: {requests} for {bad:?}");
            }
        }
    }

    #[test]
    fn an_outage_that_ends_as_coder_is_asked_drops_nothing() {
        for failure in [proxy(), Failure::Server { status: 500 }, Failure::Timeout] {
            let mut isolation = Isolation::default();
            while isolation.refused(&failure, 1) != Step::Confirm {}
            assert!(isolation.registered());
            assert!(!isolation.replaces(), "{failure}: the line was refused by the outage alone");
            isolation.taken(1);
            assert_eq!((isolation.suspects, isolation.proof), (0, Proof::None));
        }
    }

    #[test]
    fn nothing_is_dropped_while_coder_is_away() {
        let mut isolation = Isolation::default();
        for _ in 0..100 {
            if isolation.refused(&proxy(), 1) == Step::Confirm {
                isolation.away();
            }
            assert!(!isolation.replaces());
        }
        assert_eq!(isolation.limit(), BATCH_LINES);
    }

    #[test]
    fn a_replacement_that_is_refused_drops_nothing() {
        let mut isolation = Isolation::default();
        while isolation.refused(&proxy(), 1) != Step::Confirm {}
        assert!(isolation.registered());
        while isolation.refused(&proxy(), 1) != Step::Go {}
        assert!(isolation.replaces());
        assert_eq!(isolation.refused(&proxy(), 1), Step::Wait);
        assert!(!isolation.replaces());
        assert_eq!(isolation.limit(), 1);
        assert_eq!(isolation.wait(Duration::from_secs(30)), Duration::from_secs(30));
    }

    #[test]
    fn a_request_that_is_too_large_stays_smaller() {
        let mut isolation = Isolation::default();
        assert_eq!(isolation.refused(&Failure::BodyTooLarge, 64), Step::Go);
        assert_eq!(isolation.limit(), 32);
        assert_eq!(isolation.refused(&Failure::BodyTooLarge, 5), Step::Go);
        assert_eq!(isolation.limit(), 2);
        isolation.taken(2);
        assert_eq!(isolation.limit(), 2);
    }
}
