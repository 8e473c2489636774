//! Agents whose tokens become valid a while after their pods' first lines.

use std::time::{Duration, Instant};

use anyhow::Result;
use logstream_testing::CoderOptions;
use logstream_testing::coder::{RateLimit, Valid};

use super::Bench;
use crate::burst::{self, Outcome};
use crate::record::{Must, Record, Unit};
use crate::site::{Site, coder};
use crate::stats::Sorted;

/// Lines of each agent: one for its pod and two for events.
const LINES: usize = 3;

const DELAYS: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(30)];
const LONG: Duration = Duration::from_mins(10);

/// Target for the time from an agent's validity to its first line, in seconds.
const IN_TIME: f64 = 1.0;
/// Time after which a missing line counts as lost.
const LOST: Duration = Duration::from_secs(90);

pub(crate) async fn run(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let limit = RateLimit::default();
    // As many agents as the limit allows to be probed once a second.
    let few = limit.requests as usize / limit.window.as_secs() as usize;
    let without = CoderOptions::new().without_rate_limit();
    let under = CoderOptions::new().rate_limit(limit);
    for run in 0..bench.args.runs {
        let long = (bench.args.full && run == 0).then_some(LONG);
        for delay in DELAYS.into_iter().chain(long) {
            // Concurrently, because both mostly wait.
            let (many, few) =
                tokio::try_join!(wait(&site, without, bench.args.waiting, delay), wait(&site, under, few, delay))?;
            many.record(record, delay, "no limit");
            few.record(record, delay, &format!("under {} requests a minute", limit.requests));
        }
    }
    Ok(())
}

/// Results of the waiting agents.
struct Waited {
    agents: usize,
    /// From validity to the first line's arrival, in seconds.
    first: Sorted,
    outcome: Outcome,
}

async fn wait(site: &Site, options: CoderOptions, agents: usize, delay: Duration) -> Result<Waited> {
    let coder = coder(options)?;
    let namespace = site.namespace("waiting").await?;
    let _product = site.install(&coder, &namespace).await?;
    let started = burst::write(site, &coder, &namespace, agents, LINES, Valid::OnDemand).await?;
    // Spread over a second, as provision jobs end, so that not all become valid at one attempt.
    let (begun, mut valid) = (Instant::now(), Vec::new());
    for (n, agent) in started.iter().enumerate() {
        let at = begun + delay + Duration::from_secs(1).mul_f64(n as f64 / agents as f64);
        tokio::time::sleep_until(at.into()).await;
        coder.valid(&agent.token);
        valid.push((agent.token.clone(), Instant::now()));
    }
    let outcome = burst::wait(&coder, &started, LINES, LOST).await;
    let valid_at = |token: &str| valid.iter().find(|(one, _)| one == token).map(|(_, at)| *at);
    let first = burst::first_lines(&coder, &started, |agent| valid_at(&agent.token).unwrap_or(begun));
    let first = first.into_iter().map(|time| time.unwrap_or(LOST).as_secs_f64()).collect();
    Ok(Waited { agents, first: Sorted::new(first), outcome })
}

impl Waited {
    fn record(&self, record: &mut Record, delay: Duration, limit: &str) {
        let what = format!("{} agents whose tokens become valid after {} s, {limit}", self.agents, delay.as_secs());
        record.add(
            &format!("{what}: the latest first line after validity"),
            Unit::Seconds,
            Must::AtMost(IN_TIME),
            self.first.max(),
        );
        record.add(&format!("{what}: the same, p50"), Unit::Seconds, Must::Shown, self.first.p50());
        let wrong = self.outcome.wrong() as f64;
        record.add(&format!("{what}: lines missing, twice or out of order"), Unit::Count, Must::AtMost(0.0), wrong);
    }
}
