//! Two replicas: one delivers, and another takes over.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use logstream_testing::{
    Balancer, FaultProxy, Installation, Metrics, Product, Workspace,
    coder::Line,
    installation::{LEASE, Replica, SEEN_BY_WEBHOOK},
    poll,
};
use serde_json::json;

use crate::{
    facts::{Facts, assert_none_missing, assert_once_in_order, fact},
    restarts::{AgentFacts, all_delivered, assert_repeats_are_late, burst, saved, workspaces},
    support::{PATIENCE, TestContext, count, only, texts},
};

/// Duration of the Lease in these tests.
const LEASE_DURATION: Duration = Duration::from_secs(6);
/// Maximum duration of a takeover. A new leader lists everything before it delivers; the rest is for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// Two ready replicas. The first one leads.
struct Pair {
    context: TestContext,
    first: Installation,
    second: Replica,
}

impl Pair {
    async fn new(test: &str) -> Result<Self> {
        let context = TestContext::new(test).await?;
        let first = context.plan().elects(LEASE_DURATION).install(context.cluster).await?;
        wait_for_leader(|| first.metrics(), true).await?;
        let mut second = first.replica()?;
        second.wait_ready().await?;
        wait_for_leader(|| second.metrics(), false).await?;
        Ok(Self { context, first, second })
    }

    /// Starts workspaces and waits until their first facts are delivered and saved.
    async fn settled(&self, facts: usize) -> Result<Vec<AgentFacts>> {
        let workspaces = workspaces(&self.context, 6).await?;
        burst(&workspaces, 0..facts).await?;
        all_delivered(&self.context, &workspaces, 0..facts).await?;
        saved(&self.context).await?;
        Ok(workspaces)
    }

    /// Waits until this many more lines have arrived.
    async fn more_lines(&self, more: usize) -> Result<()> {
        let before = self.context.coder.line_count();
        if self.context.coder.wait_until(PATIENCE, |coder| coder.line_count() >= before + more).await {
            return Ok(());
        }
        bail!("{} of {more} more lines have come", self.context.coder.line_count() - before)
    }
}

pub(crate) async fn wait_for_leader(metrics: impl AsyncFn() -> Result<Metrics>, leads: bool) -> Result<()> {
    poll::eventually("the gauge leader", PATIENCE, || async {
        let value = metrics().await.map_err(|error| error.to_string())?.sum("coder_logstream_leader");
        if (value > 0.5) == leads { Ok(()) } else { Err(value.to_string()) }
    })
    .await
}

async fn delivered(metrics: impl Future<Output = Result<Metrics>>) -> Result<f64> {
    Ok(metrics.await?.sum("coder_logstream_lines_delivered_total"))
}

pub(crate) async fn ended(product: &mut Product) -> Result<()> {
    let waited = poll::eventually("the program ends", PATIENCE, || {
        let ended = product.ended();
        async move { ended.ok_or("it runs") }
    })
    .await;
    let status = waited.with_context(|| product.output())?;
    assert_eq!(status.code(), Some(0), "{}", product.output());
    Ok(())
}

/// Arrival time of this fact's first line.
fn arrival(lines: &[Line], n: usize) -> Instant {
    lines.iter().find(|line| line.output.contains(&fact(n))).expect("it has come").arrived
}

#[tokio::test]
async fn invariant_9_a_killed_leader_is_followed_within_its_lease() -> Result<()> {
    const SETTLED: usize = 5;
    const FACTS: usize = 40;

    let mut pair = Pair::new("leader-killed").await?;
    let workspaces = pair.settled(SETTLED).await?;
    pair.context.coder.latency(Duration::from_millis(100));
    let kill = async {
        pair.more_lines(40).await?;
        pair.first.product.kill9();
        anyhow::Ok(Instant::now())
    };
    let (killed, ()) = tokio::try_join!(kill, burst(&workspaces, SETTLED..FACTS))?;
    burst(&workspaces, FACTS..FACTS + 1).await?;
    let logs = all_delivered(&pair.context, &workspaces, 0..FACTS + 1).await?;
    let mut repeats = 0;
    for lines in &logs {
        assert_once_in_order(lines, 0..SETTLED);
        only(lines, "Created pod");
        assert_none_missing(lines, SETTLED..FACTS + 1);
        repeats += assert_repeats_are_late(lines, SETTLED..FACTS, killed);
    }
    let after = logs.iter().map(|lines| arrival(lines, FACTS)).min().expect("lines");
    let gap = after.duration_since(killed);
    println!("delivery went on {gap:?} after the kill, {repeats} lines were repeated");
    assert!(gap < LEASE_DURATION + TAKE_OVER, "{gap:?}");
    wait_for_leader(|| pair.second.metrics(), true).await?;
    assert_eq!(pair.context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn invariant_9_sigterm_hands_over_without_a_lost_or_repeated_line() -> Result<()> {
    const FACTS: usize = 60;

    let mut pair = Pair::new("leader-terminated").await?;
    let workspaces = pair.settled(1).await?;
    pair.context.coder.latency(Duration::from_millis(50));
    let terminate = async {
        pair.more_lines(20).await?;
        pair.first.product.sigterm();
        ended(&mut pair.first.product).await?;
        anyhow::Ok(Instant::now())
    };
    let (end, ()) = tokio::try_join!(terminate, burst(&workspaces, 1..FACTS))?;
    wait_for_leader(|| pair.second.metrics(), true).await?;
    println!("the gauge leader changed {:?} after the end of the first replica", end.elapsed());
    burst(&workspaces, FACTS..FACTS + 1).await?;
    for lines in all_delivered(&pair.context, &workspaces, 0..FACTS + 1).await? {
        assert_once_in_order(&lines, 0..FACTS + 1);
        only(&lines, "Created pod");
    }
    assert!(pair.first.product.output().contains("Lease released"), "{}", pair.first.product.output());
    let handover = end.elapsed();
    assert!(handover < TAKE_OVER, "{handover:?}");
    assert_eq!(pair.context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn invariant_9_a_leader_paused_beyond_its_lease_sends_nothing_when_it_wakes() -> Result<()> {
    const SETTLED: usize = 3;
    const FACTS: usize = 40;

    let mut pair = Pair::new("leader-paused").await?;
    let workspaces = pair.settled(SETTLED).await?;
    pair.context.coder.latency(Duration::from_millis(100));
    let pause = async {
        pair.more_lines(40).await?;
        pair.first.product.sigstop();
        anyhow::Ok(Instant::now())
    };
    let (paused, ()) = tokio::try_join!(pause, burst(&workspaces, SETTLED..FACTS))?;
    let mut repeats = 0;
    for lines in all_delivered(&pair.context, &workspaces, 0..FACTS).await? {
        assert_once_in_order(&lines, 0..SETTLED);
        assert_none_missing(&lines, SETTLED..FACTS);
        repeats += assert_repeats_are_late(&lines, SETTLED..FACTS, paused);
    }
    println!("{repeats} lines were repeated");
    // The answers to the new leader's last requests are still pending.
    poll::eventually("the second replica has nothing in flight", PATIENCE, || async {
        let metrics = pair.second.metrics().await.map_err(|error| error.to_string())?;
        let open =
            metrics.sum("coder_logstream_coder_requests_in_flight") + metrics.sum("coder_logstream_lines_waiting");
        if open < 0.5 { Ok(()) } else { Err(open.to_string()) }
    })
    .await?;

    let (requests, lines) = (pair.context.coder.requests().values().sum::<usize>(), pair.context.coder.line_count());
    pair.first.product.sigcont();
    pair.first.product.wait_output("this one no longer delivers", PATIENCE).await?;
    wait_for_leader(|| pair.first.metrics(), false).await?;
    assert_eq!(pair.context.coder.line_count(), lines, "it sent lines after it woke up");
    assert_eq!(pair.context.coder.requests().values().sum::<usize>(), requests, "it sent after it woke up");
    assert!(pair.first.product.get(&pair.first.health_url("/readyz")).await?.0 == 200, "its webhook goes on");

    // It can lead again, in the same process.
    let before = delivered(pair.first.metrics()).await?;
    pair.second.product.sigterm();
    ended(&mut pair.second.product).await?;
    burst(&workspaces, FACTS..FACTS + 3).await?;
    for lines in all_delivered(&pair.context, &workspaces, 0..FACTS + 3).await? {
        assert_once_in_order(&lines, FACTS..FACTS + 3);
        only(&lines, "Created pod");
    }
    // Counted once Coder has answered.
    poll::eventually("the first replica has delivered", PATIENCE, || async {
        let now = delivered(pair.first.metrics()).await.map_err(|error| error.to_string())?;
        if now > before { Ok(()) } else { Err(now.to_string()) }
    })
    .await
}

#[tokio::test]
async fn a_second_replica_joins_and_leaves_without_an_effect_on_lines() -> Result<()> {
    let mut pair = Pair::new("second-joins").await?;
    let workspaces = pair.settled(2).await?;
    let third = {
        let mut third = pair.first.replica()?;
        third.wait_ready().await?;
        third
    };
    burst(&workspaces, 2..6).await?;
    pair.second.product.sigterm();
    ended(&mut pair.second.product).await?;
    burst(&workspaces, 6..10).await?;
    for lines in all_delivered(&pair.context, &workspaces, 0..10).await? {
        assert_once_in_order(&lines, 0..10);
        only(&lines, "Created pod");
    }
    assert!(delivered(third.metrics()).await? < 0.5, "only the leader delivers");
    wait_for_leader(|| pair.first.metrics(), true).await
}

#[tokio::test]
async fn a_rollout_that_is_stuck_leaves_delivery_to_the_old_pods() -> Result<()> {
    let mut pair = Pair::new("stuck-rollout").await?;
    let workspaces = pair.settled(2).await?;
    // Like a new version that never becomes ready: it cannot reach the API server.
    let proxy = FaultProxy::start(pair.context.cluster.server_address())?;
    proxy.refuse(true);
    let mut stuck = pair.first.replica_via(pair.context.cluster, proxy.address())?;
    let (stuck_url, expected) = (stuck.health_url("/readyz?verbose"), "no replica leads yet");
    stuck.product.wait_unready(&stuck_url, expected, PATIENCE).await?;
    burst(&workspaces, 2..6).await?;
    all_delivered(&pair.context, &workspaces, 0..6).await?;
    // A node is drained meanwhile, so only one of the old pods remains.
    pair.first.product.sigterm();
    ended(&mut pair.first.product).await?;
    burst(&workspaces, 6..10).await?;
    all_delivered(&pair.context, &workspaces, 0..10).await?;
    // The rollout is undone.
    stuck.product.sigterm();
    ended(&mut stuck.product).await?;
    pair.first.start_again()?;
    pair.first.wait_ready().await?;
    burst(&workspaces, 10..12).await?;
    for lines in all_delivered(&pair.context, &workspaces, 0..12).await? {
        assert_once_in_order(&lines, 0..12);
        only(&lines, "Created pod");
    }
    assert_eq!(pair.context.coder.violations(), []);
    wait_for_leader(|| pair.second.metrics(), true).await
}

#[tokio::test]
async fn a_rollback_to_one_replica_loses_and_repeats_nothing() -> Result<()> {
    let mut pair = Pair::new("rollback").await?;
    let workspaces = pair.settled(2).await?;
    // Scaled from two to one: the pod that leads ends.
    pair.first.product.sigterm();
    ended(&mut pair.first.product).await?;
    wait_for_leader(|| pair.second.metrics(), true).await?;
    burst(&workspaces, 2..6).await?;
    all_delivered(&pair.context, &workspaces, 0..6).await?;
    // Replaced by a version without an election. Its only pod starts when the last one has ended.
    pair.second.product.sigterm();
    ended(&mut pair.second.product).await?;
    burst(&workspaces, 6..8).await?;
    let mut single = pair.context.plan().unregistered().begin(pair.context.cluster).await?;
    single.wait_ready().await?;
    burst(&workspaces, 8..10).await?;
    all_delivered(&pair.context, &workspaces, 0..10).await?;
    single.product.sigterm();
    ended(&mut single.product).await?;
    // Scaled from one to two again.
    pair.first.start_again()?;
    pair.second.start_again()?;
    pair.first.wait_ready().await?;
    pair.second.wait_ready().await?;
    burst(&workspaces, 10..12).await?;
    for lines in all_delivered(&pair.context, &workspaces, 0..12).await? {
        assert_once_in_order(&lines, 0..12);
        only(&lines, "Created pod");
    }
    assert_eq!(pair.context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn a_deleted_lease_is_taken_again_by_its_holder() -> Result<()> {
    let pair = Pair::new("lease-deleted").await?;
    let workspaces = pair.settled(2).await?;
    let leases: Api<Lease> = pair.context.api();
    leases.delete(LEASE, &DeleteParams::default()).await?;
    poll::eventually("the Lease is back", PATIENCE, || async {
        let lease = leases.get(LEASE).await.map_err(|error| error.to_string())?;
        lease.spec.and_then(|spec| spec.holder_identity).ok_or_else(|| "it has no holder".to_owned())
    })
    .await?;
    burst(&workspaces, 2..6).await?;
    for lines in all_delivered(&pair.context, &workspaces, 0..6).await? {
        assert_once_in_order(&lines, 0..6);
    }
    wait_for_leader(|| pair.first.metrics(), true).await?;
    assert!(delivered(pair.second.metrics()).await? < 0.5);
    Ok(())
}

#[tokio::test]
async fn admissions_of_a_follower_reach_the_leader_by_the_watch() -> Result<()> {
    const EACH: usize = 12;

    let mut pair = Pair::new("follower-admits").await?;
    let latency = Duration::from_millis(20);
    pair.context.coder.latency(latency);
    let balancer = Balancer::start(vec![pair.first.webhook_address()]).await?;
    pair.first.register_at(pair.context.cluster, balancer.address()).await?;
    let mut medians = Vec::new();
    for (place, address) in [("leader", pair.first.webhook_address()), ("follower", pair.second.webhook_address())] {
        balancer.set_servers(&[address]);
        balancer.cut().await?;
        let mut times = Vec::new();
        for n in 0..EACH {
            let agent = pair.context.agent();
            let workspace = Workspace::new(pair.context.namespace.name(), "alice", &format!("{place}-{n}"), &agent);
            let start = Instant::now();
            let facts = Facts::of(&pair.context.client, &workspace).await?;
            let annotations = facts.pod.metadata.annotations.clone().unwrap_or_default();
            assert!(annotations.contains_key(SEEN_BY_WEBHOOK), "the {place} answers");
            let lines = pair.context.wait_for(&agent, &["Created pod"]).await?;
            assert_eq!(count(&lines, "Created pod"), 1, "{:#?}", texts(&lines));
            times.push(lines[0].arrived.duration_since(start));
        }
        times.sort_unstable();
        println!("first line of a pod that the {place} admitted: {:?} (median of {EACH})", times[EACH / 2]);
        medians.push(times[EACH / 2]);
    }
    assert!(medians[1] < medians[0] + Duration::from_secs(1), "{medians:?}");
    let repaired = pair.first.metrics().await?.sum("coder_logstream_pods_missed_by_webhook_total");
    assert!(repaired < 0.5, "a follower's admission is no missed one: {repaired}");
    println!("{}", json!({ "leader": format!("{:?}", medians[0]), "follower": format!("{:?}", medians[1]) }));
    Ok(())
}
