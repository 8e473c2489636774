//! The books: every line that came in is written off exactly once, as delivered or as dropped.

use std::sync::Arc;

use jiff::Timestamp;
use logstream_core::{fact_id::FactId, token::AgentToken};
use tokio::time::Instant;

use super::{
    budget::Budget,
    metrics::{Dropped, Metrics},
    outbox::Held,
    text,
};

/// Whoever remembers which facts have been told.
pub trait AckSink: Send + Sync {
    /// The line about this fact was delivered, or dropped for good. Called once for each line with a fact id, from the
    /// task of the engine: it must not block. A line that a shutdown leaves undelivered is not settled.
    fn ack(&self, fact_id: FactId);

    /// The log of this agent holds at most so many bytes of this program's by now, over all processes. Called after
    /// each delivery to it, and each that may have been one, from the task of the engine: it must not block.
    fn spent(&self, agent: &AgentToken, bytes: u64) {
        let _ = (agent, bytes);
    }

    /// The bytes that were last told by [`spent`](Self::spent), maybe to an earlier process; 0 for an agent that is
    /// not known. Asked whenever delivery begins to keep an agent, from the task of the engine: it must not block.
    fn spent_before(&self, agent: &AgentToken) -> u64 {
        let _ = agent;
        0
    }
}

pub(super) struct Books {
    acks: Arc<dyn AckSink>,
    pub(super) metrics: Metrics,
    lines: usize,
    delivered: u64,
}

impl Books {
    pub(super) fn new(acks: Arc<dyn AckSink>, metrics: Metrics) -> Self {
        Self { acks, metrics, lines: 0, delivered: 0 }
    }

    /// An agent's log holds so many bytes of ours.
    pub(super) fn spent(&self, agent: AgentToken, bytes: u64) {
        self.acks.spent(&agent, bytes);
    }

    /// The budget of an agent that delivery begins to keep.
    pub(super) fn budget(&self, agent: AgentToken) -> Budget {
        Budget::resumed(self.acks.spent_before(&agent))
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
        if let Some(fact_id) = held.line.fact_id {
            self.acks.ack(fact_id);
        }
    }
}
