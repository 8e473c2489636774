//! Metrics of delivery. Each series exists from the first scrape.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::coder::Failure;
use crate::deliver::rate::priority::Endpoint;

/// Reason why a line was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// Too many lines waited for its agent. Its log says how many are missing.
    Overflow,
    /// Its agent's budget was used up. Its log says so.
    Budget,
    /// Its agent's log was full.
    Full,
    /// Coder, or a proxy in front of it, rejects it each time. Its log says so.
    Refused,
    /// Its agent never became valid. The log of the workspace's next start sums it up.
    NeverValid,
    /// Its agent's token was revoked.
    Revoked,
    /// It could not be delivered in time.
    Expired,
    /// Too many agents.
    TooManyAgents,
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Overflow,
        Self::Budget,
        Self::Full,
        Self::Refused,
        Self::NeverValid,
        Self::Revoked,
        Self::Expired,
        Self::TooManyAgents,
    ];

    /// The reason's name as a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overflow => "overflow",
            Self::Budget => "budget",
            Self::Full => "full",
            Self::Refused => "refused",
            Self::NeverValid => "never_valid",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::TooManyAgents => "too_many_agents",
        }
    }
}

/// State of an agent in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AgentState {
    Expected,
    Active,
    Waiting,
    Full,
    Ended,
}

impl AgentState {
    const ALL: [Self; 5] = [Self::Expected, Self::Active, Self::Waiting, Self::Full, Self::Ended];

    fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Full => "full",
            Self::Ended => "ended",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: &'static str,
}

/// Metrics of delivery. A clone counts into the same series.
#[derive(Debug, Clone)]
pub struct Metrics {
    accepted: Counter,
    delivered: Counter,
    dropped: Family<ReasonLabel, Counter>,
    handed_back: Counter,
    waiting: Gauge,
    agents: Family<StateLabel, Gauge>,
    requests: Family<RequestLabels, Counter>,
    in_flight: Gauge,
    limit: Family<EndpointLabel, Gauge>,
    remaining: Family<EndpointLabel, Gauge>,
    registrations_ignored: Counter,
    since_fact: Histogram,
    since_receipt: Histogram,
}

/// From a round trip within the cluster to the hour for which lines are held, in seconds.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3600.0];

impl Metrics {
    /// Creates and registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            accepted: Counter::default(),
            delivered: Counter::default(),
            dropped: Family::default(),
            handed_back: Counter::default(),
            waiting: Gauge::default(),
            agents: Family::default(),
            requests: Family::default(),
            in_flight: Gauge::default(),
            limit: Family::default(),
            remaining: Family::default(),
            registrations_ignored: Counter::default(),
            since_fact: Histogram::new(BUCKETS),
            since_receipt: Histogram::new(BUCKETS),
        };
        metrics.fill();
        metrics.name_all(registry);
        metrics
    }

    fn fill(&self) {
        for reason in Dropped::ALL {
            drop(self.dropped.get_or_create(&ReasonLabel { reason: reason.as_str() }));
        }
        for state in AgentState::ALL {
            drop(self.agents.get_or_create(&StateLabel { state: state.as_str() }));
        }
        for endpoint in [Endpoint::LogSource, Endpoint::Logs].map(name) {
            // -1: no limit is known. Zero would mean that nothing may be sent.
            self.limit.get_or_create(&EndpointLabel { endpoint }).set(-1);
            self.remaining.get_or_create(&EndpointLabel { endpoint }).set(-1);
            for outcome in OUTCOMES {
                drop(self.requests.get_or_create(&RequestLabels { endpoint, outcome }));
            }
        }
    }

    fn name_all(&self, registry: &mut Registry) {
        registry.register("lines_accepted", "Lines that delivery took on, one for each agent", self.accepted.clone());
        registry.register("lines_delivered", "Lines delivered to Coder", self.delivered.clone());
        registry.register("lines_dropped", "Lines not delivered, by reason", self.dropped.clone());
        registry.register(
            "lines_handed_back",
            "Lines held when the leadership was lost or the program ended; the next leader delivers them",
            self.handed_back.clone(),
        );
        registry.register("lines_waiting", "Lines held or in flight", self.waiting.clone());
        registry.register("agents", "Agents known to delivery, by state", self.agents.clone());
        registry.register("coder_requests", "Requests to Coder, by endpoint and outcome", self.requests.clone());
        registry.register("coder_requests_in_flight", "Requests to Coder in flight", self.in_flight.clone());
        registry.register(
            "coder_rate_limit",
            "Coder's rate limit in requests per minute, by endpoint; -1 if unknown",
            self.limit.clone(),
        );
        registry.register(
            "coder_rate_remaining",
            "Requests left in Coder's rate limit, by endpoint; -1 if unknown",
            self.remaining.clone(),
        );
        registry.register(
            "registrations_ignored",
            "Agents whose log source was not registered ahead because too many were expected",
            self.registrations_ignored.clone(),
        );
        registry.register(
            "line_delay_seconds",
            "Time from a fact, by its own timestamp, to the delivery of its line",
            self.since_fact.clone(),
        );
        registry.register(
            "line_delivery_seconds",
            "Time from a line's arrival at delivery to its delivery",
            self.since_receipt.clone(),
        );
    }

    /// Sets the gauges as they are without an engine.
    pub fn reset(&self) {
        self.waiting.set(0);
        self.in_flight.set(0);
        for state in AgentState::ALL {
            self.agents.get_or_create(&StateLabel { state: state.as_str() }).set(0);
        }
    }

    pub(crate) fn delivered(&self, since_fact: Duration, since_receipt: Duration) {
        self.delivered.inc();
        self.since_fact.observe(since_fact.as_secs_f64());
        self.since_receipt.observe(since_receipt.as_secs_f64());
    }

    pub(crate) fn accepted(&self, lines: usize) {
        self.accepted.inc_by(u64::try_from(lines).unwrap_or_default());
    }

    pub(crate) fn handed_back(&self, lines: usize) {
        self.handed_back.inc_by(u64::try_from(lines).unwrap_or_default());
    }

    pub(crate) fn dropped(&self, reason: Dropped) {
        self.dropped.get_or_create(&ReasonLabel { reason: reason.as_str() }).inc();
    }

    pub(crate) fn waiting(&self, lines: usize) {
        self.waiting.set(gauge(lines));
    }

    pub(crate) fn registration_ignored(&self) {
        self.registrations_ignored.inc();
    }

    pub(crate) fn agent(&self, before: Option<AgentState>, after: Option<AgentState>) {
        if before == after {
            return;
        }
        if let Some(state) = before {
            self.agents.get_or_create(&StateLabel { state: state.as_str() }).dec();
        }
        if let Some(state) = after {
            self.agents.get_or_create(&StateLabel { state: state.as_str() }).inc();
        }
    }

    pub(crate) fn in_flight(&self, requests: usize) {
        self.in_flight.set(gauge(requests));
    }

    pub(crate) fn request(&self, endpoint: Endpoint, failure: Option<&Failure>) {
        let labels = RequestLabels { endpoint: name(endpoint), outcome: outcome(failure) };
        self.requests.get_or_create(&labels).inc();
    }

    pub(crate) fn rate(&self, endpoint: Endpoint, limit: f64, remaining: f64) {
        let label = EndpointLabel { endpoint: name(endpoint) };
        self.limit.get_or_create(&label).set(whole(limit));
        self.remaining.get_or_create(&label).set(whole(remaining));
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "a number of requests a minute")]
fn whole(number: f64) -> i64 {
    number as i64
}

fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::LogSource => "log_source",
        Endpoint::Logs => "logs",
    }
}

const OUTCOMES: [&str; 10] = [
    "ok",
    "unauthorized",
    "too_large",
    "body_too_large",
    "bad_request",
    "limited",
    "server",
    "timeout",
    "network",
    "not_coder",
];

fn outcome(failure: Option<&Failure>) -> &'static str {
    match failure {
        None => "ok",
        Some(Failure::Unauthorized) => "unauthorized",
        Some(Failure::TooLarge) => "too_large",
        Some(Failure::BodyTooLarge) => "body_too_large",
        Some(Failure::BadRequest { .. }) => "bad_request",
        Some(Failure::Limited { .. }) => "limited",
        Some(Failure::Server { .. }) => "server",
        Some(Failure::Timeout) => "timeout",
        Some(Failure::Network { .. }) => "network",
        Some(Failure::NotCoder { .. }) => "not_coder",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_from_the_first_scrape() {
        let mut registry = Registry::default();
        let _metrics = Metrics::register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert_eq!(text.matches("lines_dropped_total{").count(), Dropped::ALL.len());
        assert_eq!(text.matches("coder_requests_total{").count(), 2 * OUTCOMES.len());
        assert_eq!(text.matches("\nagents{").count(), 5);
        assert!(text.contains("coder_rate_limit{endpoint=\"logs\"} -1"), "{text}");
    }
}
