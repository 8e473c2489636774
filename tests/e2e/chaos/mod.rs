//! Two replicas under random faults: no line is missing, foreign or out of order, and none is repeated beyond what the
//! checkpoint promises; every pod is admitted in time.
//!
//! `CHAOS_SEED` chooses the faults (default 1), `CHAOS_SECONDS` how long they last (default 60).

#![allow(clippy::print_stdout, reason = "`--nocapture` shows the faults, and how long recovery took")]

mod accounts;
mod catalogue;
mod disturb;
mod replicas;
mod verify;
mod workspaces;
mod writes;

use std::{
    str::FromStr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Result;
use logstream_testing::{Balancer, ClusterOptions};
use tokio::sync::watch;

use self::{accounts::Accounts, disturb::Site, replicas::Replicas, workspaces::Life};
use crate::isolated_cluster::IsolatedCluster;

/// Duration of the Lease: short, so that many leaders follow each other.
const LEASE: Duration = Duration::from_secs(4);
/// Time for everything to be delivered after the last fault.
const RECOVERY: Duration = Duration::from_mins(3);

/// Periods in which lines may be repeated: delivered lines may not have been saved, or the answer was lost. The faults
/// are most of them; the others are those in which the API server was slow.
struct Doubts {
    start: Instant,
    periods: Mutex<Vec<(Instant, Instant)>>,
}

impl Doubts {
    /// While lines flow, a checkpoint is saved every quarter of a second; the rest is margin for a busy machine.
    const UNSAVED: Duration = Duration::from_secs(3);

    fn new() -> Self {
        Self { start: Instant::now(), periods: Mutex::default() }
    }

    /// Returns the time since the faults began.
    fn since_start(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.start)
    }

    /// Records that something happened between these times.
    fn add(&self, from: Instant, to: Instant) {
        self.periods.lock().unwrap().push((from, to));
    }

    /// True if a line that arrived at this time may be repeated.
    fn cover(&self, arrived: Instant) -> bool {
        let periods = self.periods.lock().unwrap();
        periods.iter().any(|(from, to)| arrived + Self::UNSAVED >= *from && arrived <= *to + Self::UNSAVED)
    }
}

#[expect(clippy::disallowed_methods, reason = "the parameters of this test")]
fn parameter<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_chaos_loses_no_line_and_delays_no_pod() -> Result<()> {
    let (seed, seconds) = (parameter("CHAOS_SEED", 1_u64), parameter("CHAOS_SECONDS", 60_u64));
    println!("CHAOS_SEED={seed} CHAOS_SECONDS={seconds}");
    // Events are kept for an hour by default, and each new leader lists them.
    let options = ClusterOptions::new().apiserver_argument("--event-ttl=10m");
    let isolated = Arc::new(IsolatedCluster::new("chaos", options).await?);
    let mut replicas = Replicas::start(&isolated, LEASE).await?;
    let balancer = Balancer::start(replicas.webhooks()).await?;
    replicas.register(&isolated, balancer.address()).await?;

    let (doubts, mut accounts) = (Doubts::new(), Accounts::default());
    let (over, end) = watch::channel(false);
    let disturb = async {
        let mut random = fastrand::Rng::with_seed(seed);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut site = Site { isolated: &isolated, balancer: &balancer, doubts: &doubts };
        let done = site.disturb(&mut replicas, &mut accounts, &mut random, until).await;
        over.send_replace(true);
        done
    };
    let lives = workspaces::live(&isolated, seed, end.clone());
    let outcome = tokio::try_join!(lives, disturb, writes::observe(&isolated, &doubts, end));
    if outcome.is_err() {
        println!("{}", replicas.outputs());
    }
    let (lives, faults, slow) = outcome?;
    let healed = Instant::now();
    let facts: usize = lives.iter().map(Life::lines).sum();
    println!("{} workspaces with {facts} facts lived through {faults} faults", lives.len());
    println!("writes to the API server were slow for {:.1?}", slow.total());
    let recovered = verify::all_delivered(&isolated, &lives, RECOVERY).await;
    println!("everything was delivered {:?} after the last fault", healed.elapsed());
    let verdict = verify::verify(&isolated, &lives, &doubts, &slow);
    if recovered.is_err() || verdict.is_err() {
        println!("{}", replicas.outputs());
    }
    recovered?;
    println!("{}", verdict?);
    slowest(&lives);
    for slot in &replicas.slots {
        accounts.close_balanced(slot).await?;
    }
    println!("{accounts}, {}", replicas.handovers().await?);
    accounts.check(isolated.coder.line_count());
    replicas.one_leads().await
}

/// Prints how long admissions took.
fn slowest(lives: &[Life]) {
    let mut times: Vec<_> = lives.iter().filter_map(|life| life.created.map(|(_, took)| took)).collect();
    times.sort_unstable();
    if let (Some(median), Some(most)) = (times.get(times.len() / 2), times.last()) {
        println!("pods were created in {median:?} (median) and {most:?} at most");
    }
}
