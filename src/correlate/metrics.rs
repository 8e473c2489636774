//! Metrics of correlation.

use jiff::SignedDuration;
use logstream_core::{
    causes::Cause,
    correlate::Counted,
    line::{Level, LogLine},
};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use strum::VariantArray as _;

use crate::runtime::metrics::{Labels, family};

fn because(counted: Counted) -> Labels<1> {
    [("reason", counted.into())]
}

fn of_level(level: Level) -> Labels<1> {
    [("level", level.as_str())]
}

fn of_cause(cause: &Cause) -> Labels<1> {
    [("cause", cause.id)]
}

/// Histogram buckets of the time to running, in seconds: from a start on a node that has the image to one that waits
/// for a node.
const TIME_TO_RUNNING: [f64; 11] = [1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 900.0, 3_600.0];

/// Metrics of correlation.
#[derive(Debug, Clone)]
pub struct Metrics {
    observed: Counter,
    reported: Counter,
    skipped: Family<Labels<1>, Counter>,
    handed_back: Counter,
    missed_by_webhook: Counter,
    lines: Family<Labels<1>, Counter>,
    filtered: Counter,
    tracked: Gauge,
    carriers: Gauge,
    waiting: Gauge,
    failures: Family<Labels<1>, Counter>,
    time_to_running: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let others = [Counted::Observed, Counted::Reported, Counted::MissedByWebhook];
        let skipped = Counted::VARIANTS.iter().copied().filter(|counted| !others.contains(counted));
        Self {
            observed: Counter::default(),
            reported: Counter::default(),
            skipped: family(skipped.map(because)),
            handed_back: Counter::default(),
            missed_by_webhook: Counter::default(),
            lines: family([Level::Debug, Level::Warn, Level::Error].map(of_level)),
            filtered: Counter::default(),
            tracked: Gauge::default(),
            carriers: Gauge::default(),
            waiting: Gauge::default(),
            failures: family(Cause::all().map(of_cause)),
            time_to_running: Histogram::new(TIME_TO_RUNNING),
        }
    }
}

impl Metrics {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "facts_observed",
            "Facts observed: Events, and what happened to workspaces' objects",
            self.observed.clone(),
        );
        registry.register("facts_reported", "Facts reported when they were observed", self.reported.clone());
        registry.register("facts_skipped", "Facts that did not become a line", self.skipped.clone());
        registry.register(
            "facts_handed_back",
            "Facts that waited for their object when the leadership was lost; the next leader observes them again",
            self.handed_back.clone(),
        );
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
        registry.register("workspace_objects", "Pods and workloads that carry an agent", self.carriers.clone());
        registry.register(
            "failures",
            "Failed starts by cause, as docs/failures.md lists them; each pod or workload once for each cause",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "time_to_running",
            "Time from a pod's creation until all its containers run for the first time",
            Unit::Seconds,
            self.time_to_running.clone(),
        );
        registry.register("events_waiting", "Events waiting for their object", self.waiting.clone());
    }

    /// Resets the gauges after the end of the correlator, and counts the Events that it leaves to the next leader.
    pub fn reset(&self) {
        self.handed_back.inc_by(u64::try_from(self.waiting.get()).unwrap_or_default());
        self.sizes([0, 0, 0]);
    }

    pub(super) fn count(&self, counted: Counted) {
        match counted {
            Counted::Observed => self.observed.inc(),
            Counted::Reported => self.reported.inc(),
            Counted::MissedByWebhook => self.missed_by_webhook.inc(),
            counted => self.skipped.get_or_create(&because(counted)).inc(),
        };
    }

    /// Counts a start that failed by this cause.
    pub(super) fn failed(&self, cause: &Cause) {
        self.failures.get_or_create(&of_cause(cause)).inc();
    }

    /// Records that a pod started to run, this long after its creation.
    pub(super) fn started(&self, after: SignedDuration) {
        self.time_to_running.observe(after.as_secs_f64());
    }

    /// Counts a line that is not delivered because of `--min-level` or `--skip-reasons`.
    pub(super) fn filtered(&self) {
        self.filtered.inc();
    }

    pub(super) fn rendered(&self, line: &LogLine) {
        self.lines.get_or_create(&of_level(line.level)).inc();
    }

    /// Sets the numbers of tracked objects, of those that carry an agent, and of waiting Events.
    pub(super) fn sizes(&self, sizes: [usize; 3]) {
        for (gauge, size) in [&self.tracked, &self.carriers, &self.waiting].into_iter().zip(sizes) {
            gauge.set(i64::try_from(size).unwrap_or(i64::MAX));
        }
    }
}
