//! One agent: what is known of it, and what it wants next.

use jiff::Timestamp;
use logstream_core::{token::AgentToken, workspace::WorkspaceKey};
use tokio::time::Instant;

use super::{
    budget::Budget,
    disposition::Standing,
    isolation::Isolation,
    lanes::{Lane, Seat},
    metrics::AgentState,
    outbox::{Outbox, Remains, Taken},
    settings::Settings,
};

/// What its objects say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Admission claims it; no object has shown its token.
    Claimed,
    /// A live object carries its token.
    Live,
    /// None does any more.
    Ended,
}

/// What Coder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Our source is not registered with it.
    Fresh,
    /// Lines may go.
    Registered,
    /// 401: it is tried steadily.
    Waiting,
    /// 413: its log takes no more.
    Full,
    /// 401 after it had worked and ended.
    Over,
}

/// An agent. While idle it owns nothing on the heap.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) life: Life,
    pub(super) access: Access,
    /// Since when its life is what it is.
    pub(super) since: Instant,
    pub(super) last_line: Instant,
    /// Coder has accepted its token.
    pub(super) worked: bool,
    /// Its reader has seen a line.
    pub(super) told: bool,
    /// Lines under way, if a request is.
    pub(super) in_flight: Option<usize>,
    /// Failures in a row, of those that are retried with growing waits.
    pub(super) failures: u8,
    pub(super) not_before: Option<Instant>,
    /// In a drain: its one more try was refused.
    pub(super) given_up: bool,
    pub(super) outbox: Outbox,
    pub(super) budget: Budget,
    pub(super) isolation: Isolation,
    pub(super) workspace: Option<WorkspaceKey>,
    /// The agent of its workspace's next start, if that began while a request of this one was under way.
    pub(super) followed_by: Option<AgentToken>,
    pub(super) place: Place,
}

/// Where the roster has put an agent.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) seat: Option<Seat>,
    /// The number of the seat from which its last request went: it keeps its turn after one failure.
    pub(super) turn: Option<i64>,
    pub(super) timer: Option<Instant>,
    /// As what the metrics count it.
    pub(super) state: Option<AgentState>,
    /// Whether it counts as one with lines that could still be delivered.
    pub(super) pending: bool,
    /// Whether it counts as one of these that is tried until it is valid.
    pub(super) waiting: bool,
}

impl Agent {
    pub(super) fn new(life: Life, now: Instant) -> Self {
        Self {
            life,
            access: Access::Fresh,
            since: now,
            last_line: now,
            worked: false,
            told: false,
            in_flight: None,
            failures: 0,
            not_before: None,
            given_up: false,
            outbox: Outbox::default(),
            budget: Budget::default(),
            isolation: Isolation::default(),
            workspace: None,
            followed_by: None,
            place: Place::default(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        Standing { worked: self.worked, ended: self.life == Life::Ended }
    }

    /// The lane it belongs in now; `None` while it wants nothing or has to wait.
    pub(super) fn lane(&self, now: Instant) -> Option<Lane> {
        if self.in_flight.is_some() || self.given_up || self.not_before.is_some_and(|at| at > now) {
            return None;
        }
        if self.life == Life::Claimed {
            return (self.access == Access::Fresh).then_some(Lane::Prepare);
        }
        if !self.is_ready() {
            return None;
        }
        let lane = match self.access {
            Access::Full | Access::Over => return None,
            Access::Waiting => Lane::Probe,
            Access::Fresh => Lane::Register,
            Access::Registered if !self.told => Lane::FirstLines,
            Access::Registered if self.outbox.only_repeats() => Lane::Repeats,
            Access::Registered => Lane::FurtherLines,
        };
        Some(if self.failures > 0 { lane.retry() } else { lane })
    }

    /// Whether it has something to send. That lines are missing is told at once to an agent that is valid; one that is
    /// not is not tried for that alone.
    fn is_ready(&self) -> bool {
        let told_alone = matches!(self.access, Access::Fresh | Access::Registered);
        self.outbox.is_ready() || (told_alone && !self.outbox.is_empty())
    }

    /// When something has to be done about it although nothing comes in.
    pub(super) fn deadline(&self, now: Instant, settings: &Settings) -> Option<Instant> {
        if self.in_flight.is_some() {
            return None;
        }
        let retry = self.not_before.filter(|at| *at > now && self.is_ready());
        let end = self.end(settings);
        match (retry, end) {
            (Some(retry), Some(end)) => Some(retry.min(end)),
            (retry, end) => retry.or(end),
        }
    }

    /// When it, or what it holds, is given up.
    pub(super) fn end(&self, settings: &Settings) -> Option<Instant> {
        let last = self.since.max(self.last_line);
        match self.life {
            Life::Claimed => Some(self.since + settings.hold_claim),
            Life::Ended if !self.outbox.is_ready() => Some(last + settings.linger),
            Life::Ended if self.never_valid() => Some(last + settings.hold_ended),
            Life::Ended => Some(last + settings.hold),
            Life::Live if self.access == Access::Waiting && self.outbox.is_ready() => {
                Some(self.last_line + settings.hold)
            }
            Life::Live => None,
        }
    }

    /// It ended without having worked.
    pub(super) fn has_failed(&self) -> bool {
        self.life == Life::Ended && !self.worked
    }

    /// Coder was asked, and has never known it.
    pub(super) fn never_valid(&self) -> bool {
        self.access == Access::Waiting && !self.worked
    }

    pub(super) fn state(&self) -> AgentState {
        match (self.life, self.access) {
            (_, Access::Full) => AgentState::Full,
            (Life::Claimed, _) => AgentState::Claimed,
            (_, Access::Waiting) => AgentState::Waiting,
            (Life::Ended, _) => AgentState::Ended,
            (Life::Live, _) => AgentState::Active,
        }
    }

    /// Whether it can be forgotten for the sake of another.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_none() && !self.is_ready() && self.life != Life::Live
    }

    /// Whether lines of it could still be delivered, given time.
    pub(super) fn is_pending(&self) -> bool {
        let deliverable = !self.given_up && !matches!(self.access, Access::Full | Access::Over);
        self.in_flight.is_some() || (deliverable && self.is_ready())
    }

    /// A live object was seen with its token.
    pub(super) fn open(&mut self, workspace: Option<WorkspaceKey>, now: Instant) {
        if self.life != Life::Live {
            self.life = Life::Live;
            self.since = now;
        }
        self.followed_by = None;
        if self.access == Access::Over {
            self.access = Access::Fresh;
        }
        if workspace.is_some() {
            self.workspace = workspace;
        }
    }

    /// Takes the next request's worth out of its outbox.
    pub(super) fn take(&mut self, now: Timestamp) -> Taken {
        if !self.isolation.replaces() {
            return self.outbox.take(self.isolation.limit(), &mut self.budget, now);
        }
        let taken = self.outbox.take_replaced(&mut self.budget, now);
        if taken.batch.is_empty() {
            self.isolation.taken(1);
        }
        taken
    }

    /// Lets go of everything it holds. Its reader, if there will be one, finds the count.
    pub(super) fn let_go(&mut self) -> Remains {
        let remains = self.outbox.clear();
        self.isolation.away();
        self.outbox.gap_front(remains.count);
        remains
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{coder::Failure, deliver::isolation::Step};

    #[test]
    fn an_idle_agent_is_small() {
        let size = size_of::<Agent>();
        assert!(size <= 320, "{size} bytes");
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_whose_lines_are_gone_suspects_none_that_follow() {
        let mut agent = Agent::new(Life::Live, Instant::now());
        while agent.isolation.refused(&Failure::BodyTooLarge, 1) != Step::Confirm {}
        agent.isolation.registered();
        assert!(agent.isolation.replaces());
        agent.let_go();
        assert!(!agent.isolation.replaces());
    }
}
