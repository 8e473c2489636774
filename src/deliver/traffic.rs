//! The requests under way, and whether one more may go.

use futures::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use logstream_core::token::AgentToken;
use tokio::time::Instant;

use super::{
    lanes::{Endpoint, Lane, Lanes},
    metrics::Metrics,
    outbox::Batch,
    pace::{Pace, Pass, Verdict},
    share::{Part, Share},
};
use crate::coder::{Answer, Failure, SendError};

/// Half of the limit, or all of it for as few agents as it lets be tried every second. For the source's endpoint the
/// limit is its own and takes nothing from lines, and first posts go before probes, so this only bounds what tries that
/// will mostly fail use up. Without a limit, a hundred agents are tried every second.
const PROBES: Part = Part { of_limit: 0.5, unlimited: 125.0 };
/// Claims can be forged: an eighth.
const PREPARES: Part = Part { of_limit: 0.125, unlimited: 100.0 };

/// A request that came back.
pub(super) struct Done {
    pub(super) agent: AgentToken,
    pub(super) lane: Lane,
    pub(super) batch: Option<Batch>,
    pub(super) result: Result<Answer, SendError>,
    pass: Pass,
}

/// Who may go now, and if nobody, when to ask again (`None`: when a request has come back).
pub(super) enum Next {
    Go(Lane),
    Wait(Option<Instant>),
}

/// A request as it goes: what it carries comes back with its result.
pub(super) type Trip = BoxFuture<'static, (Option<Batch>, Result<Answer, SendError>)>;

pub(super) struct Traffic {
    requests: FuturesUnordered<BoxFuture<'static, Done>>,
    under_way: [usize; Lane::ALL.len()],
    max: usize,
    log_source: Pace,
    logs: Pace,
    probes: Share,
    prepares: Share,
    metrics: Metrics,
}

impl Traffic {
    pub(super) fn new(max: usize, metrics: Metrics) -> Self {
        Self {
            requests: FuturesUnordered::new(),
            under_way: Default::default(),
            max,
            log_source: Pace::new(),
            logs: Pace::new(),
            probes: Share::new(PROBES),
            prepares: Share::new(PREPARES),
            metrics,
        }
    }

    /// The most urgent lane from which a request may go now, while `waiting` agents are not valid. In a drain probes
    /// need no share: it is their last try.
    pub(super) fn next(&mut self, lanes: &Lanes, now: Instant, draining: bool, waiting: usize) -> Next {
        if self.requests.len() >= self.max {
            return Next::Wait(None);
        }
        let mut wake: Option<Instant> = None;
        for equally_urgent in Lane::BY_URGENCY {
            let seats = equally_urgent.iter().filter_map(|lane| Some((lanes.first(*lane)?, *lane)));
            let earliest = seats.filter(|(_, lane)| self.has_room(*lane)).min_by_key(|(first, _)| *first);
            let Some((_, lane)) = earliest else { continue };
            let at = self.ready_at(lane, now, draining, waiting);
            if at <= now {
                return Next::Go(lane);
            }
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
        Next::Wait(wake)
    }

    /// Whether one more request of this lane may be under way. While only a few requests may lack an answer, repetitions
    /// may hold a part of these alone: they may hang.
    fn has_room(&mut self, lane: Lane) -> bool {
        let max = match self.pace(lane.endpoint()).allowance() {
            Some(allowance) if lane.divisor() > 1 => allowance.min(self.max),
            _ => self.max,
        };
        self.under_way[lane as usize] < (max / lane.divisor()).max(1)
    }

    fn ready_at(&mut self, lane: Lane, now: Instant, draining: bool, waiting: usize) -> Instant {
        let pace = self.pace(lane.endpoint());
        let at = pace.ready_at(now);
        let limit = pace.limit();
        match lane {
            Lane::Probe if !draining => at.max(self.probes.ready_at(now, limit, waiting)),
            Lane::Prepare => at.max(self.prepares.ready_at(now, limit, 0)),
            _ => at,
        }
    }

    /// Sends a request off.
    pub(super) fn send(&mut self, agent: AgentToken, lane: Lane, trip: Trip, now: Instant) {
        match lane {
            Lane::Probe => self.probes.take(),
            Lane::Prepare => self.prepares.take(),
            _ => {}
        }
        let pass = self.pace(lane.endpoint()).send(now);
        self.under_way[lane as usize] += 1;
        self.requests.push(Box::pin(async move {
            let (batch, result) = trip.await;
            Done { agent, lane, batch, result, pass }
        }));
        self.metrics.in_flight(self.requests.len());
    }

    /// The next request that comes back; pending for ever while none is under way. Can be dropped and called again.
    pub(super) async fn back(&mut self) -> Done {
        match self.requests.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// Learns from a request that came back.
    pub(super) fn learn(&mut self, done: &Done, now: Instant) {
        let failure = done.result.as_ref().err().map(|error| &error.failure);
        let (verdict, rate) = match &done.result {
            Ok(answer) => (Verdict::Taken, answer.rate),
            Err(error) => (verdict(error), error.rate),
        };
        self.under_way[done.lane as usize] -= 1;
        if done.lane == Lane::Probe {
            self.probes.outcome(failure.is_none());
        }
        let endpoint = done.lane.endpoint();
        let pace = self.pace(endpoint);
        pace.answer(now, done.pass, verdict, rate);
        if let (Some(limit), Some(remaining)) = (pace.limit(), pace.remaining(now)) {
            self.metrics.rate(endpoint, limit, remaining);
        }
        self.metrics.request(endpoint, failure);
        self.metrics.in_flight(self.requests.len());
    }

    /// Whether Coder's limit holds lines up.
    pub(super) fn is_limited(&mut self, now: Instant) -> bool {
        [Endpoint::LogSource, Endpoint::Logs].into_iter().any(|endpoint| self.pace(endpoint).ready_at(now) > now)
    }

    fn pace(&mut self, endpoint: Endpoint) -> &mut Pace {
        match endpoint {
            Endpoint::LogSource => &mut self.log_source,
            Endpoint::Logs => &mut self.logs,
        }
    }
}

fn verdict(error: &SendError) -> Verdict {
    match &error.failure {
        Failure::Limited { retry_after } => Verdict::Refused(*retry_after),
        Failure::Timeout | Failure::Network { .. } => Verdict::Lost,
        // A proxy's own words say nothing of Coder's limiter.
        Failure::Server { .. } | Failure::NotCoder { .. } | Failure::BodyTooLarge if error.rate.is_none() => {
            Verdict::Lost
        }
        Failure::Server { .. }
        | Failure::NotCoder { .. }
        | Failure::Unauthorized
        | Failure::TooLarge
        | Failure::BodyTooLarge
        | Failure::BadRequest { .. } => Verdict::Taken,
    }
}
