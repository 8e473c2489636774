//! The counters of all processes: each fact and each line has exactly one outcome.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use logstream_testing::{Metrics, poll};
use tokio::time::sleep;

use super::replicas::Slot;
use crate::support::PATIENCE;

/// Interval between two reads of the counters of a process that ends.
const PAUSE: Duration = Duration::from_millis(50);

const OUTCOMES: [&str; 7] =
    ["known", "other_kind", "not_a_workspace", "aged", "overflow", "collapsed", "foreign_namespace"];

/// The sums of some counters.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    observed: f64,
    facts_ended: f64,
    accepted: f64,
    delivered: f64,
    dropped: f64,
    handed_back: f64,
    waiting: f64,
}

impl Sums {
    fn of(metrics: &Metrics) -> Self {
        let sum = |name: &str| metrics.sum(&format!("coder_logstream_{name}"));
        let skipped = |reason: &&str| {
            metrics.get(&format!("coder_logstream_facts_skipped_total{{reason=\"{reason}\"}}")).unwrap_or_default()
        };
        Self {
            observed: sum("facts_observed_total"),
            facts_ended: sum("facts_reported_total")
                + OUTCOMES.iter().map(skipped).sum::<f64>()
                + sum("facts_handed_back_total")
                + sum("events_waiting"),
            accepted: sum("lines_accepted_total"),
            delivered: sum("lines_delivered_total"),
            dropped: sum("lines_dropped_total"),
            handed_back: sum("lines_handed_back_total"),
            waiting: sum("lines_waiting"),
        }
    }

    /// True if facts and lines add up. The counters of a scrape are read one after the other, so they add up only while
    /// nothing happens.
    fn agree(&self) -> bool {
        let same = |one: f64, other: f64| (one - other).abs() < 0.5;
        same(self.observed, self.facts_ended)
            && same(self.accepted, self.delivered + self.dropped + self.handed_back + self.waiting)
    }
}

/// Totals over all processes. Killed processes count with their last values before the kill.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    processes: usize,
    delivered: f64,
    dropped: f64,
    handed_back: f64,
}

impl Accounts {
    /// Reads the counters of a process that is about to end, if it answers.
    pub(super) async fn close(&mut self, slot: &Slot) {
        if let Ok(metrics) = slot.replica.metrics().await {
            self.add(Sums::of(&metrics));
        }
    }

    /// Reads the counters of a process after SIGTERM, as long as it answers. Waits for its end.
    pub(super) async fn close_at_end(&mut self, slot: &mut Slot) -> Result<()> {
        let mut last = Sums::default();
        let deadline = Instant::now() + PATIENCE;
        while slot.replica.product.ended().is_none() {
            ensure!(Instant::now() < deadline, "it goes on after SIGTERM:\n{}", slot.replica.product.output());
            if let Ok(metrics) = slot.replica.metrics().await {
                last = Sums::of(&metrics);
            }
            sleep(PAUSE).await;
        }
        self.add(last);
        Ok(())
    }

    /// Waits until the counters of a running process agree, and adds them.
    pub(super) async fn close_balanced(&mut self, slot: &Slot) -> Result<()> {
        let sums = poll::eventually("each fact and line has one outcome", PATIENCE, || async {
            let sums = Sums::of(&slot.replica.metrics().await.map_err(|error| error.to_string())?);
            if sums.agree() { Ok(sums) } else { Err(format!("{sums:?}")) }
        })
        .await
        .with_context(|| slot.replica.product.output())?;
        self.add(sums);
        Ok(())
    }

    fn add(&mut self, sums: Sums) {
        self.processes += 1;
        self.delivered += sums.delivered;
        self.dropped += sums.dropped;
        self.handed_back += sums.handed_back;
    }

    /// Asserts that Coder has all lines that were counted as delivered, and that none was dropped.
    pub(super) fn check(&self, lines_at_coder: usize) {
        let at_coder = f64::from(u32::try_from(lines_at_coder).unwrap_or(u32::MAX));
        assert!(self.delivered <= at_coder, "{self} and Coder has {lines_at_coder}");
        assert!(self.dropped < 0.5, "{self}");
    }
}

impl fmt::Display for Accounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, delivered, dropped, handed_back } = self;
        write!(
            formatter,
            "{processes} processes counted {delivered} lines delivered, {dropped} dropped, {handed_back} handed back"
        )
    }
}
