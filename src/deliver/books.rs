//! The books: every line that came in is written off exactly once, as delivered or as dropped.

use std::sync::Arc;

use jiff::Timestamp;
use logstream_core::{line::Mark, token::AgentToken};
use tokio::time::Instant;

use super::{
    metrics::{Dropped, Metrics},
    outbox::Held,
    text,
};

/// Whoever remembers which facts have been told.
pub trait Settled: Send + Sync {
    /// The line of this mark was delivered, or dropped for good. Called once for each line that has a mark, from the
    /// task of the engine: it must not block. A line that a shutdown leaves undelivered is not settled.
    fn settled(&self, mark: Mark);

    /// Output of this many bytes was delivered to the agent so far, over all processes. Must not block.
    fn spent(&self, _agent: &AgentToken, _bytes: u64) {}

    /// Bytes of output that earlier processes delivered to the agent.
    fn spent_before(&self, _agent: &AgentToken) -> u64 {
        0
    }
}

pub(super) struct Books {
    settled: Arc<dyn Settled>,
    pub(super) metrics: Metrics,
    lines: usize,
    delivered: u64,
}

impl Books {
    pub(super) fn new(settled: Arc<dyn Settled>, metrics: Metrics) -> Self {
        Self { settled, metrics, lines: 0, delivered: 0 }
    }

    /// Lines that are held or under way.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Lines that were ever delivered.
    pub(super) fn lines_delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn received(&mut self) {
        self.lines += 1;
        self.metrics.waiting(self.lines);
    }

    pub(super) fn delivered(&mut self, lines: Vec<Held>, time: Timestamp, now: Instant) {
        for held in lines {
            let since_receipt = now.saturating_duration_since(held.received);
            self.metrics.delivered(text::age(held.line.at, time), since_receipt);
            self.delivered += 1;
            self.write_off(&held);
        }
    }

    pub(super) fn dropped(&mut self, lines: Vec<Held>, reason: Dropped) {
        for held in lines {
            self.metrics.dropped(reason);
            self.write_off(&held);
        }
    }

    fn write_off(&mut self, held: &Held) {
        self.lines = self.lines.saturating_sub(1);
        self.metrics.waiting(self.lines);
        if let Some(mark) = held.line.mark {
            self.settled.settled(mark);
        }
    }
}
