//! What happens to an agent when a request of it comes back: the dispositions carried out.

use std::time::Duration;

use logstream_core::token::AgentToken;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::{
    agent::{Access, Agent, Life},
    backoff,
    disposition::{Disposition, dispose},
    engine::Engine,
    isolation::Step,
    lanes::Endpoint,
    link::Change,
    metrics::Dropped,
    outbox::Batch,
    traffic::Done,
};
use crate::coder::{CoderApi, Failure};

/// In a drain there is no time for longer waits.
const LONGEST_WAIT_IN_DRAIN: Duration = Duration::from_secs(1);
/// Over this time agents come back after Coder was away, if they are a hundred or more.
const RETURN: Duration = Duration::from_secs(1);

impl<A: CoderApi> Engine<A> {
    /// Takes in a request that came back.
    pub(super) fn settle(&mut self, done: Done, now: Instant) {
        self.traffic.learn(&done, now);
        let failure = done.result.as_ref().err().map(|error| &error.failure);
        let lines_of = (done.lane.endpoint() == Endpoint::Logs).then_some(done.agent);
        self.observe(failure, lines_of, now);
        let Some(agent) = self.roster.get_mut(done.agent) else { return };
        agent.in_flight = None;
        let disposition = dispose(failure.map_or(Ok(()), Err), agent.standing());
        if let Some(failure) = failure {
            debug!(agent = %done.agent.fingerprint(), ?disposition, error = %failure, "request not taken");
        }
        let first = matches!(disposition, Disposition::Pause(_));
        match (done.lane.endpoint(), done.batch) {
            (Endpoint::Logs, Some(batch)) => self.after_lines(done.agent, batch, disposition, failure, now),
            _ => self.after_source(done.agent, disposition, failure, now),
        }
        self.end_if_followed(done.agent, now);
        if first {
            self.roster.reseat_first(done.agent, now, &self.settings);
        } else {
            self.roster.reseat(done.agent, now, &self.settings);
        }
    }

    fn after_source(&mut self, token: AgentToken, disposition: Disposition, failure: Option<&Failure>, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        if agent.life == Life::Claimed && disposition != Disposition::Sent {
            // It was a head start, and is none.
            self.roster.remove(token);
            return;
        }
        match disposition {
            Disposition::Sent => {
                agent.access = Access::Registered;
                agent.worked = true;
                agent.not_before = None;
                agent.isolation.registered();
            }
            Disposition::Full | Disposition::Drop => {
                // Lines without a name beside them are better than none.
                agent.access = Access::Registered;
                agent.isolation.registered();
                self.refused(token, failure);
            }
            Disposition::NotYet | Disposition::Claimed => self.wait(token, now),
            Disposition::Over => self.over(token),
            Disposition::Retry => {
                agent.isolation.away();
                self.retry(token, now);
            }
            Disposition::Pause(_) => {}
        }
    }

    fn after_lines(
        &mut self,
        token: AgentToken,
        batch: Batch,
        disposition: Disposition,
        failure: Option<&Failure>,
        now: Instant,
    ) {
        let time = self.time();
        let Some(agent) = self.roster.get_mut(token) else { return };
        match disposition {
            Disposition::Sent => {
                agent.failures = 0;
                agent.not_before = None;
                agent.worked = true;
                if !std::mem::replace(&mut agent.told, true)
                    && let Some(workspace) = &agent.workspace
                {
                    self.leftovers.forget(workspace);
                }
                agent.isolation.taken(batch.entries());
                self.books.spent(token, agent.budget.spent());
                if batch.is_replaced() {
                    warn!(agent = %token.fingerprint(), "left out a line that is refused each time");
                    self.books.dropped(batch.into_remains().lines, Dropped::Refused);
                } else {
                    self.books.delivered(batch.into_remains().lines, time, now);
                }
            }
            Disposition::Full => {
                agent.access = Access::Full;
                info!(agent = %token.fingerprint(), "the agent's log is full, it gets no more lines");
                self.books.dropped(batch.into_remains().lines, Dropped::Full);
                self.books.dropped(agent.outbox.clear().lines, Dropped::Full);
            }
            Disposition::Drop => {
                self.isolate(token, batch, failure, now);
                self.refused(token, failure);
            }
            Disposition::NotYet => {
                return_to(agent, batch, failure);
                agent.isolation.away();
                self.wait(token, now);
            }
            Disposition::Claimed => {
                return_to(agent, batch, failure);
                agent.isolation.away();
                agent.access = Access::Fresh;
                // The first time at once; were it to go on, with growing waits.
                if agent.failures > 0 {
                    self.retry(token, now);
                } else {
                    agent.failures = 1;
                }
            }
            Disposition::Over => {
                return_to(agent, batch, failure);
                self.over(token);
            }
            Disposition::Retry => self.isolate(token, batch, failure, now),
            Disposition::Pause(_) => return_to(agent, batch, failure),
        }
    }

    /// Puts a batch back that was not taken, and goes on with the search for the line at fault.
    fn isolate(&mut self, token: AgentToken, batch: Batch, failure: Option<&Failure>, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        let entries = batch.entries();
        return_to(agent, batch, failure);
        if failure.is_some_and(Failure::in_doubt) {
            self.books.spent(token, agent.budget.spent());
        }
        match failure.map_or(Step::Wait, |failure| agent.isolation.refused(failure, entries)) {
            Step::Wait => self.retry(token, now),
            Step::Go => agent.not_before = None,
            Step::Confirm => {
                agent.access = Access::Fresh;
                // A line that is alone is replaced while Coder is surely there.
                if entries > 1 {
                    self.retry(token, now);
                } else {
                    agent.not_before = None;
                }
            }
        }
    }

    /// Not valid yet, or not now: a steady try.
    fn wait(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        agent.access = Access::Waiting;
        agent.failures = 0;
        agent.not_before = Some(now + backoff::about(self.settings.probe_every, &mut self.random));
        agent.given_up = self.draining;
    }

    /// Trouble that passes: again later.
    fn retry(&mut self, token: AgentToken, now: Instant) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        agent.failures = agent.failures.saturating_add(1);
        let mut wait = agent.isolation.wait(backoff::full_jitter(agent.failures, &mut self.random));
        if self.draining {
            wait = wait.min(LONGEST_WAIT_IN_DRAIN);
        }
        agent.not_before = Some(now + wait);
    }

    /// Gone for good.
    fn over(&mut self, token: AgentToken) {
        let Some(agent) = self.roster.get_mut(token) else { return };
        agent.access = Access::Over;
        let remains = agent.outbox.clear();
        debug!(agent = %token.fingerprint(), lines = remains.count, "the agent is over");
        self.books.dropped(remains.lines, Dropped::Over);
    }

    /// Coder cannot read what we sent: a bug of ours, to be seen once and not with every line.
    fn refused(&mut self, token: AgentToken, failure: Option<&Failure>) {
        let Some(failure) = failure else { return };
        if !std::mem::replace(&mut self.said.refused, true) {
            error!(agent = %token.fingerprint(), error = %failure, "Coder does not understand what it is sent");
        }
    }

    /// Keeps the state of the way to Coder, and says it when it changes.
    fn observe(&mut self, failure: Option<&Failure>, lines_of: Option<AgentToken>, now: Instant) {
        match self.link.observe(failure, lines_of) {
            Some(Change::Lost) => {
                let reason = failure.map(ToString::to_string).unwrap_or_default();
                warn!(reason, waiting = self.books.lines(), "Coder cannot be reached, lines are held");
            }
            Some(Change::Back) => {
                info!(waiting = self.books.lines(), "Coder is back");
                self.return_all(now);
            }
            None => {}
        }
    }

    /// Coder is back: nobody has to wait out a time that was meant for a Coder that is away.
    fn return_all(&mut self, now: Instant) {
        let held_up = self.roster.tokens(|agent| agent.failures > 0 && agent.in_flight.is_none());
        let spread = RETURN * u32::try_from(held_up.len().min(100)).unwrap_or(100) / 100;
        for token in held_up {
            let Some(agent) = self.roster.get_mut(token) else { continue };
            agent.failures = 0;
            agent.not_before = Some(now + spread.mul_f64(self.random.f64()));
            self.roster.reseat(token, now, &self.settings);
        }
    }
}

fn return_to(agent: &mut Agent, batch: Batch, failure: Option<&Failure>) {
    if failure.is_some_and(Failure::in_doubt) {
        agent.budget.refund_in_doubt(batch.charge());
    } else {
        agent.budget.refund(batch.charge());
    }
    agent.outbox.put_back(batch);
}
