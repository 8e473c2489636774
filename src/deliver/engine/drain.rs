//! Shutdown: delivers what can be delivered within the grace period.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use crate::coder::CoderApi;
use crate::deliver::{
    agents::agent::{Life, Phase, State},
    engine::shutdown_report::{Report, Undelivered},
    engine::{Engine, alarm},
};

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
        loop {
            let now = Instant::now();
            let wake = self.turn(now);
            if self.agents.pending() == 0 || now >= end || !self.may_send() {
                break;
            }
            tokio::select! {
                done = self.in_flight.finished() => self.handle_response(done, Instant::now()),
                () = alarm(Some(wake.map_or(end, |wake| wake.min(end)))) => {}
            }
        }
        let report = Report { delivered: self.accounting.lines_delivered() - before, undelivered: self.undelivered() };
        info!(%report, "delivery drained");
        report
    }

    /// Ends all waits. Expected agents need no log source any more.
    fn end_waits(&mut self) {
        for token in self.agents.tokens(|_| true) {
            let Some(agent) = self.agents.get_mut(token) else { continue };
            if !agent.is_in_flight() {
                agent.phase = if agent.life == Life::Expected { Phase::GivenUp } else { Phase::Free };
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
