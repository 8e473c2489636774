//! One agent: its state, and which request it needs next.

use std::time::Duration;

use fastrand::Rng;
use jiff::Timestamp;
use logstream_core::{token::AgentToken, workspace::WorkspaceKey};
use tokio::time::Instant;

use crate::deliver::{
    agents::disposition::Standing,
    metrics::AgentState,
    queue::budget::Budget,
    queue::isolation::Isolation,
    queue::outbox::{Outbox, Remains, Taken},
    rate::backoff,
    rate::priority::{Position, Priority},
    settings::Settings,
};

/// Longest wait between two tries in a drain.
const LONGEST_WAIT_IN_DRAIN: Duration = Duration::from_secs(1);

/// Presence of an object with the agent's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Known from admission only.
    Expected,
    /// A live object carries its token.
    Live,
    /// No object carries it any more.
    Ended,
}

/// State of the agent by Coder's last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The log source is not registered.
    New,
    /// The log source is registered: lines can be sent.
    Registered,
    /// 401: not valid yet, or not now. Retried at a steady rate.
    Unauthorized,
    /// 413: its log is full.
    Full,
    /// 401 after its token was accepted and its objects are gone.
    Revoked,
}

/// The most that Coder has accepted for the agent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Accepted {
    Nothing,
    /// Its token.
    Token,
    /// Lines.
    Lines,
}

/// The agent's part in sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// May send once it has something to send.
    Free,
    /// Has a request in flight.
    InFlight { lines: usize },
    /// Waits until then.
    Waiting(Instant),
    /// In a drain: sends nothing more.
    GivenUp,
}

/// An agent. An idle one owns no heap memory.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) presence: Presence,
    pub(crate) state: State,
    /// Time of the last change of `presence`.
    pub(crate) since: Instant,
    pub(crate) last_line: Instant,
    pub(crate) accepted: Accepted,
    pub(crate) phase: Phase,
    /// Consecutive failures that are retried with growing waits.
    pub(crate) failures: u8,
    pub(crate) outbox: Outbox,
    pub(crate) budget: Budget,
    pub(crate) isolation: Isolation,
    pub(crate) workspace: Option<WorkspaceKey>,
    /// The agent of the workspace's next start, if that began while a request of this one was in flight.
    pub(crate) followed_by: Option<AgentToken>,
    pub(crate) place: Place,
}

/// An agent's entries in the table's queue, timers and counts, as of its last requeue.
#[derive(Debug, Default)]
pub(crate) struct Place {
    pub(crate) position: Option<Position>,
    /// Queue number of its last request: it keeps its turn after one failure.
    pub(crate) turn: Option<i64>,
    /// True if it is to be queued at the head of its priority, because its turn was taken back.
    pub(crate) first: bool,
    pub(crate) timer: Option<Instant>,
    /// Its state in the metrics.
    pub(crate) state: Option<AgentState>,
    /// True if it is counted as an agent with deliverable lines.
    pub(crate) pending: bool,
}

impl Place {
    /// True if it is counted as an agent with deliverable lines, and its token is not accepted yet.
    pub(crate) fn is_waiting(&self) -> bool {
        self.pending && self.state == Some(AgentState::Waiting)
    }
}

impl Agent {
    pub(crate) fn new(presence: Presence, now: Instant) -> Self {
        Self {
            presence,
            state: State::New,
            since: now,
            last_line: now,
            accepted: Accepted::Nothing,
            phase: Phase::Free,
            failures: 0,
            outbox: Outbox::default(),
            budget: Budget::default(),
            isolation: Isolation::default(),
            workspace: None,
            followed_by: None,
            place: Place::default(),
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        Standing { accepted: self.accepted > Accepted::Nothing, ended: self.presence == Presence::Ended }
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        matches!(self.phase, Phase::InFlight { .. })
    }

    /// Number of lines it holds, with those in flight.
    pub(crate) fn lines(&self) -> usize {
        let in_flight = if let Phase::InFlight { lines } = self.phase { lines } else { 0 };
        self.outbox.lines() + in_flight
    }

    /// Its current priority; `None` while it has nothing to send or has to wait.
    pub(crate) fn priority(&self, now: Instant) -> Option<Priority> {
        match self.phase {
            Phase::InFlight { .. } | Phase::GivenUp => return None,
            Phase::Waiting(until) if until > now => return None,
            Phase::Waiting(_) | Phase::Free => {}
        }
        if self.presence == Presence::Expected {
            return (self.state == State::New).then_some(Priority::Prepare);
        }
        if !self.is_ready() {
            return None;
        }
        let priority = match self.state {
            State::Full | State::Revoked => return None,
            State::Unauthorized => Priority::Probe,
            State::New => Priority::Register,
            State::Registered if self.accepted < Accepted::Lines => Priority::FirstLines,
            State::Registered if self.outbox.only_repeats() => Priority::Repeats,
            State::Registered => Priority::FurtherLines,
        };
        Some(if self.failures > 0 { priority.retry() } else { priority })
    }

    /// True if it has something to send. A note about missing lines alone is sent to a valid agent, and is no reason to
    /// try one that is not valid.
    fn is_ready(&self) -> bool {
        let gap_alone = matches!(self.state, State::New | State::Registered);
        self.outbox.is_ready() || (gap_alone && !self.outbox.is_empty())
    }

    /// Time of its next timer.
    pub(crate) fn deadline(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        let retry = match self.phase {
            Phase::InFlight { .. } => return None,
            Phase::Waiting(until) if until > now && self.is_ready() => Some(until),
            Phase::Waiting(_) | Phase::Free | Phase::GivenUp => None,
        };
        let end = self.end(settings);
        match (retry, end) {
            (Some(retry), Some(end)) => Some(retry.min(end)),
            (retry, end) => retry.or(end),
        }
    }

    /// Time at which the agent, or what it holds, is given up.
    pub(crate) fn end(&self, settings: &Settings) -> Option<Instant> {
        let last = self.since.max(self.last_line);
        match self.presence {
            Presence::Expected => Some(self.since + settings.hold_expected),
            Presence::Ended if !self.outbox.is_ready() => Some(last + settings.linger),
            Presence::Ended if self.never_valid() => Some(last + settings.hold_ended),
            Presence::Ended => Some(last + settings.hold),
            Presence::Live if self.state == State::Unauthorized && self.outbox.is_ready() => {
                Some(self.last_line + settings.hold)
            }
            Presence::Live => None,
        }
    }

    /// True if its objects are gone and Coder never accepted its token.
    pub(crate) fn has_failed(&self) -> bool {
        self.presence == Presence::Ended && self.accepted == Accepted::Nothing
    }

    /// True if Coder was asked and has never accepted its token.
    pub(crate) fn never_valid(&self) -> bool {
        self.state == State::Unauthorized && self.accepted == Accepted::Nothing
    }

    pub(crate) fn state(&self) -> AgentState {
        match (self.presence, self.state) {
            (_, State::Full) => AgentState::Full,
            (Presence::Expected, _) => AgentState::Expected,
            (_, State::Unauthorized) => AgentState::Waiting,
            (Presence::Ended, _) => AgentState::Ended,
            (Presence::Live, _) => AgentState::Active,
        }
    }

    /// True if it can be dropped in favour of another agent.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_in_flight() && !self.is_ready() && self.presence != Presence::Live
    }

    /// True if lines of it could still be delivered.
    pub(crate) fn is_pending(&self) -> bool {
        match self.phase {
            Phase::InFlight { .. } => true,
            Phase::GivenUp => false,
            Phase::Waiting(_) | Phase::Free => self.is_ready() && !matches!(self.state, State::Full | State::Revoked),
        }
    }

    /// Records that a live object carries its token.
    pub(crate) fn open(&mut self, workspace: Option<WorkspaceKey>, now: Instant) {
        if self.presence != Presence::Live {
            self.presence = Presence::Live;
            self.since = now;
        }
        self.followed_by = None;
        if self.state == State::Revoked {
            self.state = State::New;
        }
        if workspace.is_some() {
            self.workspace = workspace;
        }
    }

    /// Schedules the next try of a token that is not valid yet, or not now: at a steady rate, but not in a drain.
    pub(crate) fn unauthorized(&mut self, probe_every: Duration, random: &mut Rng, draining: bool, now: Instant) {
        self.state = State::Unauthorized;
        self.failures = 0;
        self.phase = if draining { Phase::GivenUp } else { Phase::Waiting(now + backoff::about(probe_every, random)) };
    }

    /// Schedules a retry after a temporary failure, with a growing wait.
    pub(crate) fn retry(&mut self, random: &mut Rng, draining: bool, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let wait = self.isolation.wait(backoff::full_jitter(self.failures, random));
        self.phase = Phase::Waiting(now + if draining { wait.min(LONGEST_WAIT_IN_DRAIN) } else { wait });
    }

    /// Takes the lines of the next request out of the outbox.
    pub(crate) fn take(&mut self, now: Timestamp) -> Taken {
        if !self.isolation.replaces() {
            return self.outbox.take(self.isolation.limit(), &mut self.budget, now);
        }
        let taken = self.outbox.take_replaced(&mut self.budget, now);
        if taken.batch.is_empty() {
            self.isolation.taken(1);
        }
        taken
    }

    /// Drops all entries, and leaves a gap with their count for a later reader.
    pub(crate) fn clear(&mut self) -> Remains {
        let remains = self.outbox.clear();
        self.isolation.away();
        self.outbox.gap_front(remains.count);
        remains
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{coder::Failure, deliver::queue::isolation::Step};

    #[test]
    fn an_idle_agent_is_small() {
        let size = size_of::<Agent>();
        assert!(size <= 320, "{size} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_lines_leave_no_suspicion_of_later_ones() {
        let mut agent = Agent::new(Presence::Live, Instant::now());
        while agent.isolation.refused(&Failure::BodyTooLarge, 1) != Step::Confirm {}
        agent.isolation.registered();
        while agent.isolation.refused(&Failure::BodyTooLarge, 1) != Step::Go {}
        assert!(agent.isolation.replaces());
        agent.clear();
        assert!(!agent.isolation.replaces());
    }
}
