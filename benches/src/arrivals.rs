//! Arrival times of lines at Coder.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use logstream_testing::CoderStandIn;
use logstream_testing::coder::JournalEntry;

use crate::wait;

/// Time after which a missing line counts as lost.
pub(crate) const LOST: Duration = Duration::from_secs(30);

/// Requests with lines, by batch number.
pub(crate) struct Arrivals(HashMap<u64, JournalEntry>);

/// Times of the request that delivered a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    /// Arrival time of the request.
    pub(crate) received: Instant,
    /// Time of Coder's answer.
    pub(crate) answered: Instant,
}

impl Arrivals {
    /// The requests with lines so far.
    pub(crate) fn of(coder: &CoderStandIn) -> Self {
        Self(coder.journal().into_iter().filter_map(|seen| Some((seen.batch?, seen))).collect())
    }

    /// Number of requests with lines.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The arrival of a batch.
    pub(crate) fn batch(&self, batch: u64) -> Option<Arrival> {
        let JournalEntry { received, answered, .. } = *self.0.get(&batch)?;
        Some(Arrival { received, answered })
    }

    /// The arrival of a token's first line that contains `text`.
    pub(crate) fn line(&self, coder: &CoderStandIn, token: &str, text: &str) -> Result<Arrival> {
        let lines = coder.lines(token);
        let line = lines.iter().find(|line| line.output.contains(text)).with_context(|| format!("no line {text:?}"))?;
        self.batch(line.batch).with_context(|| format!("the request of {text:?} is not answered yet"))
    }
}

/// Waits until `lines` lines have arrived in total and their requests are answered.
pub(crate) async fn wait_for(coder: &CoderStandIn, lines: usize) -> Result<()> {
    let pause = Duration::from_millis(2);
    wait::until(&format!("{lines} lines"), LOST, pause, || coder.line_count() >= lines).await?;
    // Each line's request has taken effect; its answer is given after the latency.
    tokio::time::sleep(Duration::from_millis(30)).await;
    Ok(())
}
