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

/// The correlation's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    untold: Family<ByReason, Counter>,
    repaired: Counter,
    lines: Family<ByLevel, Counter>,
    filtered: Counter,
    tracked: Gauge,
    waiting: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let untold = Family::<ByReason, Counter>::default();
        for counted in Counted::ALL.into_iter().filter(|counted| *counted != Counted::Repaired) {
            let _ = untold.get_or_create(&ByReason { reason: counted.as_str() });
        }
        let lines = Family::<ByLevel, Counter>::default();
        for level in [Level::Debug, Level::Warn, Level::Error] {
            let _ = lines.get_or_create(&ByLevel { level: level.as_str() });
        }
        Self {
            untold,
            repaired: Counter::default(),
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
        registry.register("facts_untold", "Facts of which no line was made", self.untold.clone());
        registry.register(
            "pods_repaired",
            "Workspace pods that the webhook had not seen at their creation",
            self.repaired.clone(),
        );
        registry.register("lines_told", "Lines made, before delivery; one for all agents of a pod", self.lines.clone());
        registry.register(
            "lines_filtered",
            "Lines made and not delivered because of --min-level or --skip-reasons",
            self.filtered.clone(),
        );
        registry.register("objects_tracked", "Pods and workloads whose story is followed", self.tracked.clone());
        registry.register("events_waiting", "Events whose subject is not known yet", self.waiting.clone());
    }

    pub(super) fn count(&self, counted: Counted) {
        match counted {
            Counted::Repaired => self.repaired.inc(),
            counted => self.untold.get_or_create(&ByReason { reason: counted.as_str() }).inc(),
        };
    }

    /// A line that is not delivered because of `--min-level` or `--skip-reasons`.
    pub(super) fn filtered(&self) {
        self.filtered.inc();
    }

    pub(super) fn told(&self, line: &LogLine) {
        self.lines.get_or_create(&ByLevel { level: line.level.as_str() }).inc();
    }

    pub(super) fn sizes(&self, tracked: usize, waiting: usize) {
        self.tracked.set(i64::try_from(tracked).unwrap_or(i64::MAX));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}
