//! Shutdown: delivers what can be delivered within the grace period.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::info;

use crate::coder::CoderApi;
use crate::deliver::{
    agents::agent::{Phase, Presence, State},
    engine::shutdown_report::{Report, Undelivered},
    engine::{Engine, alarm},
};

/// Time at the end of the grace period in which no request begins. Without the answer to a request, the next process
/// would deliver its lines again.
const ANSWERS: Duration = Duration::from_secs(1);

impl<A: CoderApi> Engine<A> {
    /// Handles the commands that were already sent, then sends until nothing deliverable is left or the time is up.
    pub(crate) async fn drain(mut self, grace: Duration) -> Report {
        let start = Instant::now();
        let end = start + grace;
        let before = self.accounting.lines_delivered();
        self.draining = true;
        self.inlet.expected.close();
        self.inlet.commands.close();
        while let Ok(command) = self.inlet.commands.try_recv() {
            self.take_in(command, start);
        }
        self.end_waits();
        self.send_until(end - ANSWERS.min(grace / 4)).await;
        // At its end, requests without an answer are left behind.
        let _ = timeout_at(end, self.receive_answers()).await;
        let report = Report { delivered: self.accounting.lines_delivered() - before, undelivered: self.undelivered() };
        info!(%report, "delivery drained");
        report
    }

    /// Sends until nothing is left that can be sent by then.
    async fn send_until(&mut self, last_start: Instant) {
        loop {
            let now = Instant::now();
            if now >= last_start {
                return;
            }
            let next = self.turn(now).map_or(last_start, |wake| wake.min(last_start));
            // Under Coder's limit the next request may be possible too late. Waiting for it would delay the next leader.
            let is_too_late = self.in_flight.is_empty() && next == last_start && self.may_send();
            if self.agents.pending() == 0 || is_too_late {
                return;
            }
            tokio::select! {
                done = self.in_flight.finished() => self.handle_response(done, Instant::now()),
                // The permission may have run out for a moment. If the term is over, the pipeline ends this task.
                () = self.leadership.changed() => {}
                () = alarm(Some(next)) => {}
            }
        }
    }

    /// Waits for the answers to the requests with lines that are in flight.
    async fn receive_answers(&mut self) {
        loop {
            self.agents.requeue(Instant::now());
            if self.agents.pending() == 0 || self.in_flight.is_empty() {
                return;
            }
            let done = self.in_flight.finished().await;
            self.handle_response(done, Instant::now());
        }
    }

    /// Ends all waits. Expected agents need no log source any more.
    fn end_waits(&mut self) {
        for token in self.agents.tokens(|_| true) {
            let Some(agent) = self.agents.get_mut(token) else { continue };
            if !agent.is_in_flight() {
                agent.phase = if agent.presence == Presence::Expected { Phase::GivenUp } else { Phase::Free };
            }
        }
    }

    fn undelivered(&mut self) -> Undelivered {
        let limited = self.in_flight.is_limited(Instant::now());
        let mut undelivered = Undelivered::default();
        for (_, agent) in self.agents.agents() {
            let count = match agent.state {
                State::Unauthorized => &mut undelivered.not_yet,
                _ if agent.failures > 0 => &mut undelivered.unreachable,
                _ if limited => &mut undelivered.limited,
                _ => &mut undelivered.time,
            };
            *count += u64::try_from(agent.lines()).unwrap_or(u64::MAX);
        }
        undelivered
    }
}
