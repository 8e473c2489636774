//! Metrics with closed label sets: every series exists from the first scrape, and no label names pods or users.

use std::time::Duration;

use logstream_core::resource::Kind;
use logstream_runtime::{
    metrics::{Labels, family},
    server,
};
use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use strum::VariantArray as _;

use crate::rejection::Reason;

/// Outcome of a review, as a label. Each of these admits the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// A pod with agents: registered and annotated.
    Patched,
    /// Registered, not annotated: a workload, a pod that has the annotations already, one that is only possibly a
    /// workspace, or one without room for more annotations.
    Recorded,
    /// Not relevant: no agent, another operation, another kind.
    Unchanged,
    /// A dry run of an object with agents: answered, not registered.
    DryRun,
    /// A review with an unreadable object.
    NotUnderstood,
    /// A panic: the object is admitted unchanged.
    Panicked,
}

fn review(kind: Option<Kind>, outcome: Outcome) -> Labels<2> {
    [("kind", kind.map_or("other", Kind::as_str)), ("outcome", outcome.into())]
}

fn because(reason: Reason) -> Labels<1> {
    [("reason", reason.into())]
}

/// Metrics of the webhook. A clone counts into the same series.
#[derive(Debug, Clone)]
pub struct Metrics {
    reviews: Family<Labels<2>, Counter>,
    rejections: Family<Labels<1>, Counter>,
    not_tokens: Counter,
    registrations: Counter,
    handling: Histogram,
    /// Metrics of the server's connections.
    pub connections: server::Metrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Creates metrics with each series at zero.
    pub fn new() -> Self {
        let kinds = Kind::ALL.iter().copied().filter(|kind| kind.is_admitted()).map(Some).chain([None]);
        let of_kind = |kind| Outcome::VARIANTS.iter().map(move |outcome| review(kind, *outcome));
        Self {
            reviews: family(kinds.flat_map(of_kind)),
            rejections: family(Reason::VARIANTS.iter().copied().map(because)),
            not_tokens: Counter::default(),
            registrations: Counter::default(),
            // 25 µs, which is less than an ordinary pod takes, to 100 ms, which is more than 4 MiB should.
            handling: Histogram::new(exponential_buckets(25e-6, 2.0, 13)),
            connections: server::Metrics::default(),
        }
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        let Self { reviews, rejections, not_tokens, registrations, handling, connections } = self;
        registry.register("admission_reviews", "Reviews answered, by kind of object and outcome", reviews.clone());
        registry.register("admission_rejections", "Requests that are not valid reviews, by reason", rejections.clone());
        registry.register(
            "admission_not_tokens",
            "Reviews of objects with an agent token that is not a UUID",
            not_tokens.clone(),
        );
        registry.register("admission_registrations", "Registrations passed to the registry", registrations.clone());
        registry.register_with_unit(
            "admission_handling",
            "Time to handle a review after its body was read",
            Unit::Seconds,
            handling.clone(),
        );
        connections.register(registry.sub_registry_with_prefix("webhook"));
    }

    /// Number of reviews of this kind, or of any other for `None`, with this outcome.
    pub fn reviews(&self, kind: Option<Kind>, outcome: Outcome) -> u64 {
        self.reviews.get_or_create(&review(kind, outcome)).get()
    }

    /// Number of requests rejected for this reason.
    pub fn rejections(&self, reason: Reason) -> u64 {
        self.rejections.get_or_create(&because(reason)).get()
    }

    /// Number of reviews with a token that is not a UUID.
    pub fn not_tokens(&self) -> u64 {
        self.not_tokens.get()
    }

    /// Number of registrations.
    pub fn registrations(&self) -> u64 {
        self.registrations.get()
    }

    pub(crate) fn reviewed(&self, kind: Option<Kind>, outcome: Outcome, took: Duration) {
        self.reviews.get_or_create(&review(kind, outcome)).inc();
        self.handling.observe(took.as_secs_f64());
    }

    pub(crate) fn rejected(&self, reason: Reason) {
        self.rejections.get_or_create(&because(reason)).inc();
    }

    pub(crate) fn saw_no_token(&self) {
        self.not_tokens.inc();
    }

    pub(crate) fn registered(&self) {
        self.registrations.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_there_before_anything_happened() {
        let mut registry = Registry::with_prefix("coder_logstream");
        Metrics::new().register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let series = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(series("coder_logstream_admission_reviews_total{"), 30, "{text}");
        assert_eq!(series("coder_logstream_admission_rejections_total{"), 11, "{text}");
        assert_eq!(series("coder_logstream_webhook_handshake_failures_total{"), 2, "{text}");
        for name in [
            "coder_logstream_admission_not_tokens_total 0",
            "coder_logstream_admission_registrations_total 0",
            "coder_logstream_admission_handling_seconds_count 0",
            "coder_logstream_webhook_connections 0",
            "coder_logstream_webhook_connections_refused_total 0",
            "coder_logstream_webhook_connections_evicted_total 0",
            "coder_logstream_webhook_accept_errors_total 0",
        ] {
            assert_eq!(series(name), 1, "{name} in {text}");
        }
    }
}
