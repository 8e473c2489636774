//! An agent and its token.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::Line;

/// Time at which a token becomes valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Valid {
    /// Immediately.
    Now,
    /// After this time.
    After(Duration),
    /// When [`super::CoderStandIn::valid`] is called.
    OnDemand,
}

/// A client error that Coder accepts silently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Logs named a source that their agent does not have: Coder's page shows them under no source.
    UnknownSource {
        /// The agent's token.
        token: String,
        /// The unknown source.
        source: Uuid,
    },
    /// A line was longer than Coder's limit and was cut.
    LineCut {
        /// The agent's token.
        token: String,
        /// Number of characters it had.
        characters: usize,
    },
    /// A batch exceeded the budget: from then on the agent's own log is rejected too.
    Overflow {
        /// The agent's token.
        token: String,
    },
}

#[derive(Debug)]
pub(super) struct Agent {
    works_from: Option<Instant>,
    revoked: bool,
    pub(super) generation: u32,
    pub(super) sources: HashSet<Uuid>,
    pub(super) used: usize,
    pub(super) overflowed: bool,
    pub(super) lines: Vec<Line>,
}

impl Agent {
    pub(super) fn new(valid: Valid) -> Self {
        let mut agent = Self {
            works_from: None,
            revoked: false,
            generation: 0,
            sources: HashSet::new(),
            used: 0,
            overflowed: false,
            lines: Vec::new(),
        };
        agent.become_valid(valid);
        agent
    }

    pub(super) fn become_valid(&mut self, valid: Valid) {
        self.revoked = false;
        self.works_from = match valid {
            Valid::Now => Some(Instant::now()),
            Valid::After(delay) => Some(Instant::now() + delay),
            Valid::OnDemand => None,
        };
    }

    pub(super) fn works(&self) -> bool {
        !self.revoked && self.works_from.is_some_and(|from| from <= Instant::now())
    }

    pub(super) fn revoke(&mut self) {
        self.revoked = true;
    }

    /// Reassigns the token to another agent, as when a prebuilt workspace is claimed.
    pub(super) fn claim(&mut self, gone: Duration) {
        self.generation += 1;
        self.sources.clear();
        self.used = 0;
        self.overflowed = false;
        self.become_valid(Valid::After(gone));
    }

    /// Takes bytes of the budget. Returns false if they do not fit, which ends the log for good.
    pub(super) fn take(&mut self, bytes: usize, budget: usize) -> bool {
        if self.overflowed || self.used + bytes > budget {
            self.overflowed = true;
            return false;
        }
        self.used += bytes;
        true
    }
}
