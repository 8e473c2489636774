//! Handles answers of Coder: carries out their dispositions.

use std::time::Duration;

use logstream_core::token::AgentToken;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::coder::{CoderApi, Failure};
use crate::deliver::{
    agents::agent::{Accepted, Phase, Presence, State},
    agents::disposition::{Disposition, dispose},
    engine::Engine,
    metrics::Dropped,
    queue::isolation::Step,
    queue::outbox::Batch,
    rate::availability::{Availability, Change},
    rate::in_flight::Done,
    rate::priority::Endpoint,
};

/// Number of agents beyond which each sends less often while Coder is unavailable. Together they send about fourteen
/// requests a second.
const ASKING: u32 = 200;
/// Time over which a hundred or more agents resume once Coder is available again.
const RETURN: Duration = Duration::from_secs(1);

impl<A: CoderApi> Engine<A> {
    /// Handles the result of a request.
    pub(crate) fn handle_response(&mut self, done: Done, now: Instant) {
        self.in_flight.record(&done, now);
        let failure = done.result.as_ref().err().map(|error| &error.failure);
        let lines_of = (done.priority.endpoint() == Endpoint::Logs).then_some(done.agent);
        self.observe(failure, lines_of, now);
        let Some(agent) = self.agents.get_mut(done.agent) else { return };
        agent.phase = Phase::Free;
        let disposition = dispose(failure.map_or(Ok(()), Err), agent.standing());
        if let Some(failure) = failure {
            debug!(agent = %done.agent.fingerprint(), ?disposition, error = %failure, "request failed");
        }
        agent.place.first = matches!(disposition, Disposition::Pause(_));
        match (done.batch, disposition) {
            (None, disposition) => self.after_source(done.agent, disposition, failure, now),
            (Some(batch), Disposition::Sent) => self.delivered(done.agent, batch, now),
            (Some(batch), Disposition::Full) => self.full(done.agent, batch),
            (Some(batch), disposition) => self.put_back(done.agent, batch, disposition, failure, now),
        }
        self.spread_while_away(done.agent, now);
        self.end_if_followed(done.agent, now);
    }

    fn after_source(&mut self, token: AgentToken, disposition: Disposition, failure: Option<&Failure>, now: Instant) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        if agent.presence == Presence::Expected && disposition != Disposition::Sent {
            // Registering ahead has failed, and gives no head start.
            self.agents.remove(token);
            return;
        }
        match disposition {
            Disposition::Sent => {
                agent.state = State::Registered;
                agent.accepted = agent.accepted.max(Accepted::Token);
                agent.isolation.registered();
            }
            Disposition::Full | Disposition::Drop => {
                // Lines without the source's name are better than none.
                agent.state = State::Registered;
                agent.isolation.registered();
                self.refused(token, failure);
            }
            Disposition::NotYet | Disposition::Reregister => {
                agent.unauthorized(self.settings.probe_every, &mut self.random, self.draining, now);
            }
            Disposition::Revoked => self.revoke(token),
            Disposition::Retry => {
                agent.isolation.away();
                agent.retry(&mut self.random, self.draining, now);
            }
            Disposition::Pause(_) => {}
        }
    }

    fn delivered(&mut self, token: AgentToken, batch: Batch, now: Instant) {
        let time = self.time();
        let Some(agent) = self.agents.get_mut(token) else { return };
        agent.failures = 0;
        if std::mem::replace(&mut agent.accepted, Accepted::Lines) < Accepted::Lines
            && let Some(workspace) = &agent.workspace
        {
            self.failed_starts.forget(workspace);
        }
        agent.isolation.taken(batch.entries());
        self.accounting.spent(token, agent.budget.spent());
        if batch.is_replaced() {
            warn!(agent = %token.fingerprint(), "dropped a line that Coder rejects each time");
            self.accounting.dropped(batch.into_remains().lines, Dropped::Refused);
        } else {
            self.accounting.delivered(batch.into_remains().lines, time, now);
        }
    }

    fn full(&mut self, token: AgentToken, batch: Batch) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        agent.state = State::Full;
        info!(agent = %token.fingerprint(), "agent log full, sending no more lines");
        self.accounting.dropped(batch.into_remains().lines, Dropped::Full);
        self.accounting.dropped(agent.outbox.clear().lines, Dropped::Full);
    }

    /// Puts back a batch that was not delivered.
    fn put_back(
        &mut self,
        token: AgentToken,
        batch: Batch,
        disposition: Disposition,
        failure: Option<&Failure>,
        now: Instant,
    ) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        let entries = batch.entries();
        if failure.is_some_and(Failure::in_doubt) {
            agent.budget.refund_in_doubt(batch.charge());
            self.accounting.spent(token, agent.budget.spent());
        } else {
            agent.budget.refund(batch.charge());
        }
        agent.outbox.put_back(batch);
        match disposition {
            Disposition::NotYet => {
                agent.isolation.away();
                agent.unauthorized(self.settings.probe_every, &mut self.random, self.draining, now);
            }
            Disposition::Reregister => {
                agent.isolation.away();
                agent.state = State::New;
                // At once for the first time, then with growing waits.
                if agent.failures > 0 {
                    agent.retry(&mut self.random, self.draining, now);
                } else {
                    agent.failures = 1;
                }
            }
            Disposition::Revoked => self.revoke(token),
            Disposition::Retry | Disposition::Drop => {
                match failure.map_or(Step::Wait, |failure| agent.isolation.refused(failure, entries)) {
                    Step::Wait => agent.retry(&mut self.random, self.draining, now),
                    Step::Go => {}
                    Step::Confirm => {
                        agent.state = State::New;
                        // For a single line it is not known yet if Coder is unavailable or the line is at fault.
                        if entries > 1 {
                            agent.retry(&mut self.random, self.draining, now);
                        }
                    }
                }
                if disposition == Disposition::Drop {
                    self.refused(token, failure);
                }
            }
            Disposition::Sent | Disposition::Full | Disposition::Pause(_) => {}
        }
    }

    /// Drops the lines of an agent with a revoked token.
    fn revoke(&mut self, token: AgentToken) {
        let Some(agent) = self.agents.get_mut(token) else { return };
        agent.state = State::Revoked;
        let remains = agent.outbox.clear();
        debug!(agent = %token.fingerprint(), lines = remains.count, "agent token revoked");
        self.accounting.dropped(remains.lines, Dropped::Revoked);
    }

    /// Logs once that Coder rejects a request as malformed, which is a bug of this program.
    fn refused(&mut self, token: AgentToken, failure: Option<&Failure>) {
        let Some(failure) = failure else { return };
        if self.logged.refused.is_new(()) {
            error!(agent = %token.fingerprint(), error = %failure, "Coder rejects requests as malformed");
        }
    }

    /// Tracks Coder's availability, and logs its changes.
    fn observe(&mut self, failure: Option<&Failure>, lines_of: Option<AgentToken>, now: Instant) {
        match self.availability.observe(failure, lines_of) {
            Some(Change::Lost) => {
                let reason = failure.map(ToString::to_string).unwrap_or_default();
                warn!(reason, waiting = self.accounting.lines(), "Coder unavailable, holding lines");
            }
            Some(Change::Back) => {
                info!(waiting = self.accounting.lines(), "Coder available again");
                self.return_all(now);
            }
            None => {}
        }
    }

    /// Spreads retries while Coder is unavailable: many agents together send no more often than a few, and the first
    /// answer ends all waits.
    fn spread_while_away(&mut self, token: AgentToken, now: Instant) {
        let pending = u32::try_from(self.agents.pending()).unwrap_or(u32::MAX);
        let Some(agent) = self.agents.get_mut(token) else { return };
        if let Phase::Waiting(until) = agent.phase
            && self.availability == Availability::Down
            && !self.draining
        {
            let wait = until.saturating_duration_since(now);
            agent.phase = Phase::Waiting(now + wait * pending.max(ASKING) / ASKING);
        }
    }

    /// Ends the waits of agents that failed while Coder was unavailable.
    fn return_all(&mut self, now: Instant) {
        let held_up = self.agents.tokens(|agent| agent.failures > 0 && !agent.is_in_flight());
        let spread = RETURN * u32::try_from(held_up.len().min(100)).unwrap_or(100) / 100;
        for token in held_up {
            let Some(agent) = self.agents.get_mut(token) else { continue };
            agent.failures = 0;
            agent.phase = Phase::Waiting(now + spread.mul_f64(self.random.f64()));
        }
    }
}
