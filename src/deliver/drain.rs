//! The end: what can be delivered within the grace period is delivered.

use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::{
    agent::{Access, Life},
    engine::{Engine, alarm},
    report::{Report, Undelivered},
};
use crate::coder::CoderApi;

impl<A: CoderApi> Engine<A> {
    /// Takes in what was handed over, and sends until nothing is left that could be delivered or the time is over.
    pub(super) async fn drain(mut self, grace: Duration) -> Report {
        let start = Instant::now();
        let end = start + grace;
        let before = self.books.lines_delivered();
        self.draining = true;
        self.inlet.claims.close();
        self.inlet.commands.close();
        while let Ok(command) = self.inlet.commands.try_recv() {
            self.take_in(command, start);
        }
        self.hurry(start);
        loop {
            let now = Instant::now();
            let wake = self.turn(now);
            if self.roster.pending() == 0 || now >= end || !self.may_send() {
                break;
            }
            tokio::select! {
                done = self.traffic.back() => self.settle(done, Instant::now()),
                () = alarm(Some(wake.map_or(end, |wake| wake.min(end)))) => {}
            }
        }
        let report = Report { delivered: self.books.lines_delivered() - before, undelivered: self.undelivered() };
        info!(%report, "delivery drained");
        report
    }

    /// Nobody waits any longer; claims are of no use any more.
    fn hurry(&mut self, now: Instant) {
        for token in self.roster.tokens(|_| true) {
            let Some(agent) = self.roster.get_mut(token) else { continue };
            agent.not_before = None;
            agent.given_up = agent.life == Life::Claimed;
            self.roster.reseat(token, now, &self.settings);
        }
    }

    fn undelivered(&mut self) -> Undelivered {
        let limited = self.traffic.is_limited(Instant::now());
        let mut undelivered = Undelivered::default();
        for (_, agent) in self.roster.agents() {
            let lines = agent.outbox.lines() + agent.in_flight.unwrap_or_default();
            let count = match agent.access {
                Access::Waiting => &mut undelivered.not_yet,
                _ if agent.failures > 0 => &mut undelivered.unreachable,
                _ if limited => &mut undelivered.limited,
                _ => &mut undelivered.time,
            };
            *count += u64::try_from(lines).unwrap_or(u64::MAX);
        }
        undelivered
    }
}
