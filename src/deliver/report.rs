//! What a drain came to.

use std::fmt;

/// What was delivered at the end, and what was not. Undelivered lines are not settled: the next process tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines delivered since the shutdown began.
    pub delivered: u64,
    /// Lines that were not, by what held them up.
    pub undelivered: Undelivered,
}

/// Undelivered lines by what held them up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Their agents are not valid yet.
    pub not_yet: u64,
    /// Coder could not be reached, or did not take them.
    pub unreachable: u64,
    /// Coder's rate limit.
    pub limited: u64,
    /// The grace period was over.
    pub time: u64,
}

impl Undelivered {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.not_yet + self.unreachable + self.limited + self.time
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Undelivered { not_yet, unreachable, limited, time } = self.undelivered;
        write!(
            f,
            "{} delivered, {} left ({not_yet} not yet valid, {unreachable} unreachable, {limited} limited, {time} out \
             of time)",
            self.delivered,
            self.undelivered.total()
        )
    }
}
