//! Many workspaces that start at once, and the outcome of their lines.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt};
use logstream_testing::CoderStandIn;
use logstream_testing::coder::{Line, Valid};

use crate::arrivals::Arrivals;
use crate::objects::{self, Pod, token};
use crate::site::Site;

/// Number of workspaces written concurrently; the objects of one are written in sequence.
const AT_ONCE: usize = 48;

/// A workspace that was started.
pub(crate) struct Agent {
    pub(crate) token: String,
    /// Time of the API server's answer to the creation of its pod.
    pub(crate) pod: Instant,
    /// Time of the API server's answer to the creation of its last event.
    pub(crate) last: Instant,
}

/// Starts workspaces, each with a pod and `lines - 1` events in sequence. Their tokens are added to Coder before.
pub(crate) async fn write(
    site: &Site,
    coder: &CoderStandIn,
    namespace: &str,
    workspaces: usize,
    lines: usize,
    valid: Valid,
) -> Result<Vec<Agent>> {
    let start = |n: usize| async move {
        let (name, token) = (format!("workspace-{n:05}"), token());
        coder.add_agent(&token, valid);
        let posted = site.driver.post(&objects::pods(namespace), &objects::workspace(&name, &token)).await?;
        let pod = Pod { namespace: namespace.to_owned(), name, uid: posted.uid()? };
        let mut last = posted.answered;
        for line in 1..lines {
            let event = objects::event(&pod, &format!("{}.{line:02}", pod.name), &text(line));
            last = site.driver.post(&objects::events(namespace), &event).await?.answered;
        }
        anyhow::Ok(Agent { token, pod: posted.answered, last })
    };
    futures::stream::iter(0..workspaces).map(start).buffer_unordered(AT_ONCE).try_collect().await
}

fn text(line: usize) -> String {
    format!("Pulling image \"ghcr.io/example/layer-{line:02}\"")
}

/// Number of lines with each kind of error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) missing: usize,
    pub(crate) twice: usize,
    /// Agents whose events arrived out of order.
    pub(crate) disordered: usize,
}

impl Outcome {
    /// Number of errors of any kind.
    pub(crate) const fn wrong(self) -> usize {
        self.missing + self.twice + self.disordered
    }

    fn add(&mut self, log: &[Line], lines: usize) {
        let texts = (1..lines).map(text);
        let places = |text: &str| {
            let holds = move |place: &usize| log[*place].output.contains(text);
            (0..log.len()).filter(holds).collect::<Vec<_>>()
        };
        let events: Vec<Vec<usize>> = texts.map(|text| places(&text)).collect();
        let created = places("Created pod");
        for found in events.iter().chain([&created]) {
            self.missing += usize::from(found.is_empty());
            self.twice += found.len().saturating_sub(1);
        }
        self.disordered += usize::from(!events.iter().flatten().is_sorted());
    }
}

/// Waits until all lines have arrived, or none has for `patience`, and returns the outcome.
pub(crate) async fn wait(coder: &CoderStandIn, agents: &[Agent], lines: usize, patience: Duration) -> Outcome {
    let expected = agents.len() * lines;
    let (mut count, mut since) = (coder.line_count(), Instant::now());
    while count < expected && since.elapsed() < patience {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let now = coder.line_count();
        if now != count {
            (count, since) = (now, Instant::now());
        }
    }
    // The last answers are sent after the latency, and a surplus line would arrive about now.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut outcome = Outcome::default();
    for agent in agents {
        outcome.add(&coder.lines(&agent.token), lines);
    }
    outcome
}

/// Time of Coder's answer to the last request with lines.
pub(crate) fn last_line(coder: &CoderStandIn) -> Result<Instant> {
    let answered = coder.journal().into_iter().filter(|seen| seen.batch.is_some()).map(|seen| seen.answered);
    answered.max().context("no line has come")
}

/// Time from `from` to the arrival of each agent's first line.
pub(crate) fn first_lines(
    coder: &CoderStandIn,
    agents: &[Agent],
    from: impl Fn(&Agent) -> Instant,
) -> Vec<Option<Duration>> {
    let arrivals = Arrivals::of(coder);
    let first = |agent: &Agent| {
        let line = coder.lines(&agent.token).into_iter().next()?;
        Some(arrivals.batch(line.batch)?.received.saturating_duration_since(from(agent)))
    };
    agents.iter().map(first).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use logstream_testing::coder::Level;

    use super::*;

    fn outcome(log: &[&str]) -> Outcome {
        let line = |output: &&str| Line {
            at: SystemTime::UNIX_EPOCH,
            arrived: Instant::now(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            level: Level::Debug,
            output: (*output).to_owned(),
            source: uuid::Uuid::nil(),
            source_known: true,
            batch: 0,
            generation: 0,
        };
        let mut outcome = Outcome::default();
        outcome.add(&log.iter().map(line).collect::<Vec<_>>(), 4);
        outcome
    }

    #[test]
    fn every_line_is_accounted_for() {
        let (one, two, three) = (text(1), text(2), text(3));
        assert_eq!(outcome(&["Created pod: x", &one, &two, &three]).wrong(), 0);
        assert_eq!(outcome(&[&one, "Created pod: x", &two, &three]).wrong(), 0, "the pod comes by a stream of its own");
        let wrong = outcome(&["Created pod: x", &two, &one, &one]);
        assert_eq!(wrong, Outcome { missing: 1, twice: 1, disordered: 1 });
    }
}
