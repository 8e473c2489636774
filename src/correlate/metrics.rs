//! What becomes of facts, counted.

use logstream_core::{
    correlate::Counted,
    line::{Level, LogLine},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByLevel {
    level: &'static str,
}

/// Metrics of correlation.
#[derive(Debug, Clone)]
pub struct Metrics {
    skipped: Family<ByReason, Counter>,
    missed_by_webhook: Counter,
    lines: Family<ByLevel, Counter>,
    filtered: Counter,
    tracked: Gauge,
    waiting: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let skipped = Family::<ByReason, Counter>::default();
        for counted in Counted::ALL.into_iter().filter(|counted| *counted != Counted::MissedByWebhook) {
            let _ = skipped.get_or_create(&ByReason { reason: counted.as_str() });
        }
        let lines = Family::<ByLevel, Counter>::default();
        for level in [Level::Debug, Level::Warn, Level::Error] {
            let _ = lines.get_or_create(&ByLevel { level: level.as_str() });
        }
        Self {
            skipped,
            missed_by_webhook: Counter::default(),
            lines,
            filtered: Counter::default(),
            tracked: Gauge::default(),
            waiting: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("facts_skipped", "Facts that did not become a line", self.skipped.clone());
        registry.register(
            "pods_missed_by_webhook",
            "Workspace pods that the webhook did not see at their creation",
            self.missed_by_webhook.clone(),
        );
        registry.register(
            "lines_rendered",
            "Lines rendered, before delivery; one for all agents of a pod",
            self.lines.clone(),
        );
        registry.register(
            "lines_filtered",
            "Lines rendered and not delivered because of --min-level or --skip-reasons",
            self.filtered.clone(),
        );
        registry.register("objects_tracked", "Pods and workloads that are tracked", self.tracked.clone());
        registry.register("events_waiting", "Events waiting for their object", self.waiting.clone());
    }

    /// Sets the gauges as they are without a correlator.
    pub fn reset(&self) {
        self.sizes(0, 0);
    }

    pub(super) fn count(&self, counted: Counted) {
        match counted {
            Counted::MissedByWebhook => self.missed_by_webhook.inc(),
            counted => self.skipped.get_or_create(&ByReason { reason: counted.as_str() }).inc(),
        };
    }

    /// A line that is not delivered because of `--min-level` or `--skip-reasons`.
    pub(super) fn filtered(&self) {
        self.filtered.inc();
    }

    pub(super) fn rendered(&self, line: &LogLine) {
        self.lines.get_or_create(&ByLevel { level: line.level.as_str() }).inc();
    }

    pub(super) fn sizes(&self, tracked: usize, waiting: usize) {
        self.tracked.set(i64::try_from(tracked).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}
