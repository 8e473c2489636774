//! Many workspaces that start at once, with and without Coder's rate limit, with tokens that are valid at once or
//! later.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use logstream_testing::coder::{Endpoint, RateLimit, Valid};
use logstream_testing::{CoderOptions, CoderStandIn, Installation};

use super::Bench;
use crate::arrivals::Arrivals;
use crate::burst::{self, Agent, Outcome};
use crate::limit::{self, Share};
use crate::process;
use crate::record::{Axis, Must, Plot, Record, Series, Unit};
use crate::site::{Site, coder};
use crate::stats::thousands;

const LATENCY: Duration = Duration::from_millis(20);
/// Lines of each workspace: one for its pod and ten for events.
const LINES: usize = 11;
/// Time until the tokens become valid, in the scenario of late tokens.
const LATE: Duration = Duration::from_secs(10);
/// Time without a line after which no more are expected: longer than a window of the limit, which may be used up.
const PATIENCE: Duration = Duration::from_secs(90);
/// Maximum time that a first line may wait behind another agent's later lines: covers requests already in flight.
const TURN: Duration = Duration::from_secs(1);

const GROWTH: (&str, &str) = ("The burst by the number of workspaces, 11 lines each, Coder at 20 ms", "workspaces");
const LAST: &str = "last line after the last write";

/// One burst.
struct Burst {
    coder: CoderStandIn,
    product: Installation,
    agents: Vec<Agent>,
    /// The start, by both clocks.
    begun: (Instant, SystemTime),
    valid: Option<(Instant, SystemTime)>,
    outcome: Outcome,
}

impl Burst {
    async fn run(site: &Site, workspaces: usize, limit: Option<RateLimit>, late: bool) -> Result<Self> {
        let options = CoderOptions::new().latency(LATENCY);
        let options = limit.map_or(options.without_rate_limit(), |limit| options.rate_limit(limit));
        let coder = coder(options)?;
        let namespace = site.namespace("burst").await?;
        let product = site.install(&coder, &namespace).await?;
        let valid = if late { Valid::OnDemand } else { Valid::Now };
        let begun @ (start, _) = (Instant::now(), SystemTime::now());
        let agents = burst::write(site, &coder, &namespace, workspaces, LINES, valid).await?;
        println!("    {workspaces} workspaces: written in {:.1?}", start.elapsed());
        let mut valid = None;
        if late {
            tokio::time::sleep(LATE.saturating_sub(start.elapsed())).await;
            valid = Some((Instant::now(), SystemTime::now()));
            for agent in &agents {
                coder.valid(&agent.token);
            }
        }
        let outcome = burst::wait(&coder, &agents, LINES, PATIENCE).await;
        if outcome.wrong() > 0 {
            println!("    {outcome:?}; the product's output:\n{}", product.product.output());
        }
        Ok(Self { coder, product, agents, begun, valid, outcome })
    }

    /// Time from the last write, or from the tokens' validity if later, to the last line at Coder.
    fn last(&self) -> Result<f64> {
        let last = burst::last_line(&self.coder)?;
        let written = self.agents.iter().map(|agent| agent.last).max();
        let from = written.into_iter().chain(self.valid.map(|(valid, _)| valid)).max().unwrap_or(last);
        Ok(last.saturating_duration_since(from).as_secs_f64())
    }

    /// Share of the allowed rate at the busier endpoint. An ideal client cannot avoid the longer of both waits.
    fn share(&self, limit: RateLimit) -> Share {
        let journal = self.coder.journal();
        let ready = self.ready();
        let [source, logs] =
            [Endpoint::LogSource, Endpoint::Logs].map(|endpoint| limit::share(&journal, endpoint, limit, &ready));
        Share { requests: logs.requests, took: source.took.max(logs.took), ideal: source.ideal.max(logs.ideal) }
    }

    /// Times at which data for one more request became available: each agent's pod and its last event, not before its
    /// token was valid.
    fn ready(&self) -> Vec<SystemTime> {
        let (instant, time) = self.begun;
        let able = |written: Instant| {
            let written = time + written.saturating_duration_since(instant);
            self.valid.map_or(written, |(_, valid)| valid.max(written))
        };
        let mut ready: Vec<_> = self.agents.iter().flat_map(|agent| [able(agent.pod), able(agent.last)]).collect();
        ready.sort();
        ready
    }

    /// Number of later lines sent while another agent's first line had been waiting for more than [`TURN`].
    fn repeats_before_first_lines(&self) -> usize {
        let journal = self.coder.journal();
        let served = |token: &str, endpoint: Endpoint| {
            let mut all: Vec<_> = journal
                .iter()
                .filter(|seen| seen.token == token && seen.endpoint == endpoint && (200..300).contains(&seen.status))
                .collect();
            all.sort_by_key(|seen| seen.received);
            all
        };
        let (mut waits, mut repeats) = (Vec::new(), Vec::new());
        for agent in &self.agents {
            let logs = served(&agent.token, Endpoint::Logs);
            let source = served(&agent.token, Endpoint::LogSource);
            if let (Some(first), Some(source)) = (logs.first(), source.first()) {
                waits.push((agent.pod.max(source.answered), first.received));
            }
            repeats.extend(logs.iter().skip(1).map(|seen| seen.received));
        }
        let overtakes = |at: &&Instant| waits.iter().any(|(able, first)| *able + TURN < **at && *at < first);
        repeats.iter().filter(overtakes).count()
    }

    fn refused(&self) -> usize {
        [Endpoint::LogSource, Endpoint::Logs].map(|endpoint| self.coder.request_count(endpoint, 429)).iter().sum()
    }
}

pub(crate) async fn open(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let most = bench.args.workspaces;
    let mut sizes = vec![(most / 10).max(1), most];
    if bench.args.full {
        sizes.push(10 * most);
    }
    for size in sizes {
        for _ in 0..bench.args.runs {
            let burst = Burst::run(&site, size, None, false).await?;
            let memory = process::memory(burst.product.product.pid())?;
            let requests = Arrivals::of(&burst.coder).count() as f64 / size as f64;
            let last = burst.last()?;
            if size == most {
                let what = format!("{} workspaces, {LINES} lines each, Coder at 20 ms, no limit", thousands(size));
                record.add(&format!("{what}: last line after the last write"), Unit::Seconds, Must::AtMost(1.0), last);
                let wrong = burst.outcome.wrong() as f64;
                record.add(
                    &format!("{what}: lines missing, twice or out of order"),
                    Unit::Count,
                    Must::AtMost(0.0),
                    wrong,
                );
            }
            record.grow(GROWTH, size, LAST, Unit::Seconds, last);
            record.grow(GROWTH, size, "wrong lines", Unit::Count, burst.outcome.wrong() as f64);
            record.grow(GROWTH, size, "requests with lines, an agent", Unit::Count, requests);
            record.grow(GROWTH, size, "memory at most", Unit::Megabytes, memory.peak);
        }
    }
    record.plots.push(Plot {
        name: "burst".to_owned(),
        title: "A burst: the last line after the last write".to_owned(),
        x: Axis::logarithmic("workspaces that start at once, 11 lines each"),
        y: Axis::linear("s"),
        series: vec![Series { name: LAST.to_owned(), points: record.grown(GROWTH.0, LAST) }],
    });
    Ok(())
}

pub(crate) async fn limited(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let (size, limit) = (limited_size(bench), RateLimit::default());
    for _ in 0..bench.args.runs {
        let burst = Burst::run(&site, size, Some(limit), false).await?;
        let what = format!("{} workspaces under {} requests a minute", thousands(size), limit.requests);
        let share = burst.share(limit).percent();
        record.add(&format!("{what}: of the rate that the limit allows"), Unit::Percent, Must::AtLeast(95.0), share);
        let repeats = burst.repeats_before_first_lines() as f64;
        record.add(
            &format!("{what}: repeats before a first line that could go"),
            Unit::Count,
            Must::AtMost(0.0),
            repeats,
        );
        let wrong = burst.outcome.wrong() as f64;
        record.add(&format!("{what}: lines missing, twice or out of order"), Unit::Count, Must::AtMost(0.0), wrong);
        record.add(&format!("{what}: last line after the last write"), Unit::Seconds, Must::Shown, burst.last()?);
        let requests = Arrivals::of(&burst.coder).count() as f64 / size as f64;
        record.add(&format!("{what}: requests with lines, an agent"), Unit::Count, Must::Shown, requests);
        record.add(&format!("{what}: refused by the limit"), Unit::Count, Must::Shown, burst.refused() as f64);
    }
    Ok(())
}

pub(crate) async fn late(bench: &Bench, record: &mut Record) -> Result<()> {
    let site = Site::start(&bench.programs).await?;
    record.conditions.kubernetes.clone_from(&site.version);
    let limit = RateLimit::default();
    for _ in 0..bench.args.runs {
        let size = bench.args.workspaces;
        let burst = Burst::run(&site, size, None, true).await?;
        let what = format!("{} workspaces whose tokens become valid after 10 s", thousands(size));
        record.add(&format!("{what}: last line after validity"), Unit::Seconds, Must::AtMost(5.0), burst.last()?);
        let wrong = burst.outcome.wrong() as f64;
        record.add(&format!("{what}: lines missing, twice or out of order"), Unit::Count, Must::AtMost(0.0), wrong);
    }
    for _ in 0..bench.args.runs {
        let size = limited_size(bench);
        let burst = Burst::run(&site, size, Some(limit), true).await?;
        let what = format!("{} such workspaces under {} requests a minute", thousands(size), limit.requests);
        let share = burst.share(limit).percent();
        record.add(&format!("{what}: of the rate that the limit allows"), Unit::Percent, Must::AtLeast(95.0), share);
        let wrong = burst.outcome.wrong() as f64;
        record.add(&format!("{what}: lines missing, twice or out of order"), Unit::Count, Must::AtMost(0.0), wrong);
        record.add(&format!("{what}: last line after validity"), Unit::Seconds, Must::Shown, burst.last()?);
    }
    Ok(())
}

fn limited_size(bench: &Bench) -> usize {
    if bench.args.full { bench.args.workspaces } else { bench.args.limited_workspaces }
}
