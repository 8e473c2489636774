//! Requests in flight, and which one may be sent next.

use futures::{
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use logstream_core::token::AgentToken;
use tokio::time::Instant;

use crate::coder::{Answer, Failure, SendError};
use crate::deliver::{
    metrics::Metrics,
    queue::outbox::Batch,
    rate::limiter::{Outcome, Permit, RateLimiter},
    rate::priority::{Endpoint, Priority, PriorityQueue},
    rate::probe_budget::{Part, ProbeBudget},
};

/// Budget of probes: half of the limit, or all of it while it suffices to try each agent every second. The log source
/// endpoint has its own limit, so probes take nothing from lines. Without a limit, a hundred agents are tried every
/// second.
const PROBES: Part = Part { of_limit: 0.5, unlimited: 125.0 };
/// Budget of registrations ahead: an eighth of the limit, because reviews can be forged.
const PREPARES: Part = Part { of_limit: 0.125, unlimited: 100.0 };

/// A finished request.
pub(crate) struct Done {
    pub(crate) agent: AgentToken,
    pub(crate) priority: Priority,
    pub(crate) batch: Option<Batch>,
    pub(crate) result: Result<Answer, SendError>,
    permit: Permit,
}

/// The priority to serve now, or when to ask again (`None`: once a request has finished).
pub(crate) enum Next {
    Go(Priority),
    Wait(Option<Instant>),
}

/// A request. It returns its batch with the result.
pub(crate) type Request = BoxFuture<'static, (Option<Batch>, Result<Answer, SendError>)>;

pub(crate) struct InFlight {
    requests: FuturesUnordered<BoxFuture<'static, Done>>,
    by_priority: [usize; Priority::ALL.len()],
    max: usize,
    log_source: RateLimiter,
    logs: RateLimiter,
    probes: ProbeBudget,
    prepares: ProbeBudget,
    metrics: Metrics,
}

impl InFlight {
    pub(crate) fn new(max: usize, metrics: Metrics) -> Self {
        Self {
            requests: FuturesUnordered::new(),
            by_priority: Default::default(),
            max,
            log_source: RateLimiter::new(),
            logs: RateLimiter::new(),
            probes: ProbeBudget::new(PROBES),
            prepares: ProbeBudget::new(PREPARES),
            metrics,
        }
    }

    /// The most urgent priority that may send now, while `waiting` agents are not valid. In a drain probes need no
    /// budget: it is their last try.
    pub(crate) fn next(&mut self, queue: &PriorityQueue, now: Instant, draining: bool, waiting: usize) -> Next {
        if self.requests.len() >= self.max {
            return Next::Wait(None);
        }
        let mut wake: Option<Instant> = None;
        for equally_urgent in Priority::BY_URGENCY {
            let positions = equally_urgent.iter().filter_map(|priority| Some((queue.first(*priority)?, *priority)));
            let earliest = positions.filter(|(_, priority)| self.has_room(*priority)).min_by_key(|(first, _)| *first);
            let Some((_, priority)) = earliest else { continue };
            let at = self.ready_at(priority, now, draining, waiting);
            if at <= now {
                return Next::Go(priority);
            }
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
        }
        Next::Wait(wake)
    }

    /// True if one more request of this priority may be in flight. While the rate limiter allows only a few unanswered
    /// requests, retries may use a part of them, because they may hang.
    fn has_room(&mut self, priority: Priority) -> bool {
        let max = match self.pace(priority.endpoint()).allowance() {
            Some(allowance) if priority.divisor() > 1 => allowance.min(self.max),
            _ => self.max,
        };
        self.by_priority[priority as usize] < (max / priority.divisor()).max(1)
    }

    fn ready_at(&mut self, priority: Priority, now: Instant, draining: bool, waiting: usize) -> Instant {
        let pace = self.pace(priority.endpoint());
        let at = pace.ready_at(now);
        let limit = pace.limit();
        match priority {
            Priority::Probe if !draining => at.max(self.probes.ready_at(now, limit, waiting)),
            Priority::Prepare => at.max(self.prepares.ready_at(now, limit, 0)),
            _ => at,
        }
    }

    /// Starts a request.
    pub(crate) fn send(&mut self, agent: AgentToken, priority: Priority, request: Request, now: Instant) {
        match priority {
            Priority::Probe => self.probes.take(),
            Priority::Prepare => self.prepares.take(),
            _ => {}
        }
        let permit = self.pace(priority.endpoint()).send(now);
        self.by_priority[priority as usize] += 1;
        self.requests.push(Box::pin(async move {
            let (batch, result) = request.await;
            Done { agent, priority, batch, result, permit }
        }));
        self.metrics.in_flight(self.requests.len());
    }

    /// True if no request is in flight.
    pub(crate) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Waits for the next finished request; forever if none is in flight. Cancel safe.
    pub(crate) async fn finished(&mut self) -> Done {
        match self.requests.next().await {
            Some(done) => done,
            None => std::future::pending().await,
        }
    }

    /// Updates limits and metrics from a finished request.
    pub(crate) fn record(&mut self, done: &Done, now: Instant) {
        let failure = done.result.as_ref().err().map(|error| &error.failure);
        let (outcome, rate) = match &done.result {
            Ok(answer) => (Outcome::Taken, answer.rate),
            Err(error) => (outcome(error), error.rate),
        };
        self.by_priority[done.priority as usize] -= 1;
        if done.priority == Priority::Probe {
            self.probes.outcome(failure.is_none());
        }
        let endpoint = done.priority.endpoint();
        let pace = self.pace(endpoint);
        pace.answer(now, done.permit, outcome, rate);
        if let (Some(limit), Some(remaining)) = (pace.limit(), pace.remaining(now)) {
            self.metrics.rate(endpoint, limit, remaining);
        }
        self.metrics.request(endpoint, failure);
        self.metrics.in_flight(self.requests.len());
    }

    /// True if Coder's rate limit delays requests.
    pub(crate) fn is_limited(&mut self, now: Instant) -> bool {
        [Endpoint::LogSource, Endpoint::Logs].into_iter().any(|endpoint| self.pace(endpoint).ready_at(now) > now)
    }

    fn pace(&mut self, endpoint: Endpoint) -> &mut RateLimiter {
        match endpoint {
            Endpoint::LogSource => &mut self.log_source,
            Endpoint::Logs => &mut self.logs,
        }
    }
}

fn outcome(error: &SendError) -> Outcome {
    match &error.failure {
        Failure::Limited { retry_after } => Outcome::Refused(*retry_after),
        Failure::Timeout | Failure::Network { .. } => Outcome::Lost,
        // A proxy's own answer says nothing about Coder's limiter.
        Failure::Server { .. } | Failure::NotCoder { .. } | Failure::BodyTooLarge if error.rate.is_none() => {
            Outcome::Lost
        }
        Failure::Server { .. }
        | Failure::NotCoder { .. }
        | Failure::Unauthorized
        | Failure::TooLarge
        | Failure::BodyTooLarge
        | Failure::BadRequest { .. } => Outcome::Taken,
    }
}
