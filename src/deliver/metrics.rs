//! Metrics of delivery. Each series exists from the first scrape.

use std::{iter::once, time::Duration};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use strum::{VariantArray as _, VariantNames as _};

use crate::coder::Failure;
use crate::deliver::rate::priority::Endpoint;
use crate::runtime::metrics::{Labels, family};

/// Reason why a line was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
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

/// State of an agent in the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum AgentState {
    Expected,
    Active,
    Waiting,
    Full,
    Ended,
}

fn because(reason: Dropped) -> Labels<1> {
    [("reason", reason.into())]
}

fn in_state(state: AgentState) -> Labels<1> {
    [("state", state.into())]
}

fn to(endpoint: Endpoint) -> Labels<1> {
    [("endpoint", endpoint.into())]
}

fn request(endpoint: Endpoint, outcome: &'static str) -> Labels<2> {
    [("endpoint", endpoint.into()), ("outcome", outcome)]
}

fn outcomes() -> impl Iterator<Item = &'static str> {
    once(OK).chain(Failure::VARIANTS.iter().copied())
}

/// Metrics of delivery. A clone counts into the same series.
#[derive(Debug, Clone)]
pub struct Metrics {
    accepted: Counter,
    delivered: Counter,
    dropped: Family<Labels<1>, Counter>,
    handed_back: Counter,
    waiting: Gauge,
    agents: Family<Labels<1>, Gauge>,
    requests: Family<Labels<2>, Counter>,
    in_flight: Gauge,
    limit: Family<Labels<1>, Gauge>,
    remaining: Family<Labels<1>, Gauge>,
    registrations_ignored: Counter,
    since_fact: Histogram,
    since_receipt: Histogram,
}

/// Outcome of a successful request.
const OK: &str = "ok";

/// Histogram buckets in seconds: from a round trip within the cluster to the hour for which lines are held.
const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0, 3600.0];

impl Metrics {
    /// Creates and registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let endpoints = [Endpoint::LogSource, Endpoint::Logs];
        let requests = endpoints.iter().flat_map(|endpoint| outcomes().map(|outcome| request(*endpoint, outcome)));
        let metrics = Self {
            accepted: Counter::default(),
            delivered: Counter::default(),
            dropped: family(Dropped::VARIANTS.iter().copied().map(because)),
            handed_back: Counter::default(),
            waiting: Gauge::default(),
            agents: family(AgentState::VARIANTS.iter().copied().map(in_state)),
            requests: family(requests),
            in_flight: Gauge::default(),
            limit: family(endpoints.map(to)),
            remaining: family(endpoints.map(to)),
            registrations_ignored: Counter::default(),
            since_fact: Histogram::new(BUCKETS),
            since_receipt: Histogram::new(BUCKETS),
        };
        for endpoint in endpoints {
            // -1: no limit is known. Zero would mean that nothing may be sent.
            metrics.rate(endpoint, -1.0, -1.0);
        }
        metrics.name_all(registry);
        metrics
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

    /// Resets the gauges to their values without an engine.
    pub fn reset(&self) {
        self.waiting.set(0);
        self.in_flight.set(0);
        for state in AgentState::VARIANTS {
            self.agents.get_or_create(&in_state(*state)).set(0);
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
        self.dropped.get_or_create(&because(reason)).inc();
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
            self.agents.get_or_create(&in_state(state)).dec();
        }
        if let Some(state) = after {
            self.agents.get_or_create(&in_state(state)).inc();
        }
    }

    pub(crate) fn in_flight(&self, requests: usize) {
        self.in_flight.set(gauge(requests));
    }

    pub(crate) fn request(&self, endpoint: Endpoint, failure: Option<&Failure>) {
        self.requests.get_or_create(&request(endpoint, failure.map_or(OK, Into::into))).inc();
    }

    pub(crate) fn rate(&self, endpoint: Endpoint, limit: f64, remaining: f64) {
        self.limit.get_or_create(&to(endpoint)).set(whole(limit));
        self.remaining.get_or_create(&to(endpoint)).set(whole(remaining));
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "a number of requests a minute")]
fn whole(number: f64) -> i64 {
    number as i64
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
        assert_eq!(text.matches("lines_dropped_total{").count(), Dropped::VARIANTS.len());
        assert_eq!(text.matches("coder_requests_total{").count(), 2 * outcomes().count());
        assert_eq!(text.matches("\nagents{").count(), 5);
        assert!(text.contains("coder_rate_limit{endpoint=\"logs\"} -1"), "{text}");
    }
}
