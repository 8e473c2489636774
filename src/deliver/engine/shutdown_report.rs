//! The result of a drain.

use std::fmt;

/// Delivered and undelivered lines at shutdown. Undelivered lines are not acknowledged: the next process delivers them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines delivered since the shutdown began.
    pub delivered: u64,
    /// Undelivered lines by reason.
    pub undelivered: Undelivered,
}

/// Undelivered lines by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Undelivered {
    /// Their agents are not valid yet.
    pub not_yet: u64,
    /// Coder was unavailable, or rejected them.
    pub unreachable: u64,
    /// Coder's rate limit.
    pub limited: u64,
    /// The grace period ended.
    pub time: u64,
}

impl Undelivered {
    /// Total number.
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
