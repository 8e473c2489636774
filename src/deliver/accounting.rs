//! Accounting: each received line ends exactly once, as delivered or as dropped.

use std::sync::Arc;

use jiff::Timestamp;
use logstream_core::{fact_id::FactId, token::AgentToken};
use tokio::time::Instant;

use crate::deliver::{
    metrics::{Dropped, Metrics},
    queue::budget::Budget,
    queue::outbox::Held,
    queue::text,
};

/// Receives acknowledgements of facts, and the output of each agent.
pub trait AckSink: Send + Sync {
    /// The line about this fact was delivered, or dropped for good. Called once for each line with a fact id, from the
    /// task of the engine: it must not block. A line that a shutdown leaves undelivered is not acknowledged.
    fn ack(&self, fact_id: FactId);

    /// Upper bound of this program's output in the agent's log, in bytes, over all processes. Called after each
    /// delivery and each request that may have been one, from the task of the engine: it must not block.
    fn spent(&self, agent: &AgentToken, bytes: u64) {
        let _ = (agent, bytes);
    }

    /// The last value of [`spent`](Self::spent), possibly of an earlier process; 0 for an unknown agent. Called when
    /// delivery adds an agent, from the task of the engine: it must not block.
    fn spent_before(&self, agent: &AgentToken) -> u64 {
        let _ = agent;
        0
    }
}

pub(crate) struct Accounting {
    acks: Arc<dyn AckSink>,
    pub(crate) metrics: Metrics,
    lines: usize,
    delivered: u64,
}

impl Accounting {
    pub(crate) fn new(acks: Arc<dyn AckSink>, metrics: Metrics) -> Self {
        Self { acks, metrics, lines: 0, delivered: 0 }
    }

    /// Records the output in an agent's log, in bytes.
    pub(crate) fn spent(&self, agent: AgentToken, bytes: u64) {
        self.acks.spent(&agent, bytes);
    }

    /// The budget of an agent that is being added.
    pub(crate) fn budget(&self, agent: AgentToken) -> Budget {
        Budget::resumed(self.acks.spent_before(&agent))
    }

    /// Number of lines held or in flight.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Number of lines delivered so far.
    pub(crate) fn lines_delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn received(&mut self) {
        self.metrics.accepted(1);
        self.lines += 1;
        self.metrics.waiting(self.lines);
    }

    pub(crate) fn delivered(&mut self, lines: Vec<Held>, time: Timestamp, now: Instant) {
        for held in lines {
            let since_receipt = now.saturating_duration_since(held.received);
            self.metrics.delivered(text::age(held.line.at, time), since_receipt);
            self.delivered += 1;
            self.close(&held);
        }
    }

    pub(crate) fn dropped(&mut self, lines: Vec<Held>, reason: Dropped) {
        for held in lines {
            self.metrics.dropped(reason);
            self.close(&held);
        }
    }

    fn close(&mut self, held: &Held) {
        self.lines = self.lines.saturating_sub(1);
        self.metrics.waiting(self.lines);
        if let Some(fact_id) = held.line.fact_id {
            self.acks.ack(fact_id);
        }
    }
}

impl Drop for Accounting {
    /// Counts lines that are still held as handed back. They were not acknowledged: the next leader or process delivers
    /// them.
    fn drop(&mut self) {
        self.metrics.handed_back(self.lines);
        self.metrics.waiting(0);
    }
}
