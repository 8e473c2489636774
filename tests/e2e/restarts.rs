//! Shutdowns, crashes and restarts.

use std::{
    ops::Range,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::{Api, Client, ResourceExt, api::ListParams};
use logstream_testing::{
    Installation, Workspace,
    coder::{Endpoint, Fault, Line, Valid},
    installation::SEEN_BY_WEBHOOK,
    poll,
};
use serde_json::{Map, Value};

use crate::{
    facts::{Facts, assert_none_missing, assert_once_in_order, fact, have_come},
    metrics::{metric_count, wait_for_count},
    support::{PATIENCE, TestContext, count, only, texts, token},
};

/// The ConfigMap with the checkpoint.
const PROGRESS: &str = "coder-logstream-kube-progress";

/// A workspace's agent token and the facts about its pod.
pub(crate) type AgentFacts = (String, Facts);

/// Creates workspaces with a bare pod each.
pub(crate) async fn workspaces(context: &TestContext, count: usize) -> Result<Vec<AgentFacts>> {
    let mut created = Vec::new();
    for n in 0..count {
        let agent = context.agent();
        let workspace = Workspace::new(context.namespace.name(), "alice", &format!("dev-{n}"), &agent);
        created.push((agent, Facts::of(&context.client, &workspace).await?));
    }
    Ok(created)
}

/// Writes the same facts about all workspaces, concurrently.
pub(crate) async fn burst(workspaces: &[AgentFacts], facts: Range<usize>) -> Result<()> {
    try_join_all(workspaces.iter().map(|(_, of)| of.all_happen(facts.clone()))).await.map(drop)
}

/// Waits until all workspaces have lines of these facts.
pub(crate) async fn all_delivered(
    context: &TestContext,
    workspaces: &[AgentFacts],
    facts: Range<usize>,
) -> Result<Vec<Vec<Line>>> {
    let waits = workspaces.iter().map(async |(agent, _)| {
        let whole = |lines: &[Line]| have_come(lines, facts.clone()) && count(lines, "Created pod") > 0;
        anyhow::Ok(context.coder.wait_for_lines(agent, PATIENCE, whole).await?)
    });
    try_join_all(waits).await
}

/// Sends SIGTERM and waits for the end.
async fn terminate(installation: &mut Installation) -> Result<ExitStatus> {
    installation.product.sigterm();
    ended(installation).await
}

async fn ended(installation: &mut Installation) -> Result<ExitStatus> {
    let product = &mut installation.product;
    let waited = poll::eventually("the program ends", PATIENCE, || {
        let ended = product.ended();
        async move { ended.ok_or("it runs") }
    })
    .await;
    waited.with_context(|| installation.product.output())
}

async fn again(installation: &mut Installation) -> Result<()> {
    installation.start_again()?;
    installation.wait_ready().await
}

#[tokio::test]
async fn a_pod_missed_by_the_webhook_is_repaired_and_counted() -> Result<()> {
    let context = TestContext::new("unregistered").await?;
    let mut installation = context.install().await?;
    let (seen, _) = workspaces(&context, 1).await?.remove(0);
    context.wait_for(&seen, &["Created pod"]).await?;
    assert_eq!(metric_count(&installation, "pods_missed_by_webhook_total").await?, 0);

    installation.unregister(context.cluster).await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "bob", "missed", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    assert!(!facts.pod.annotations().contains_key(SEEN_BY_WEBHOOK));
    facts.happen(0).await?;
    let lines = context.wait_for(&agent, &["Created pod", "Successfully assigned", &fact(0)]).await?;
    assert_eq!(lines.len(), 3, "{:#?}", texts(&lines));
    assert_eq!(metric_count(&installation, "pods_missed_by_webhook_total").await?, 1);
    Ok(())
}

#[tokio::test]
async fn a_pod_created_during_downtime_is_repaired_and_counted() -> Result<()> {
    let context = TestContext::new("webhook-down").await?;
    let mut installation = context.install().await?;
    let before = workspaces(&context, 1).await?;
    burst(&before, 0..1).await?;
    all_delivered(&context, &before, 0..1).await?;
    saved(&context).await?;
    installation.product.kill9();

    // `failurePolicy: Ignore`: pods are created without the webhook.
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "bob", "missed", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    assert!(!facts.pod.annotations().contains_key(SEEN_BY_WEBHOOK));
    facts.all_happen(0..3).await?;
    again(&mut installation).await?;
    let lines = context.wait_for(&agent, &["Created pod", "Successfully assigned", &fact(2)]).await?;
    assert_once_in_order(&lines, 0..3);
    only(&lines, "Created pod");
    assert_eq!(metric_count(&installation, "pods_missed_by_webhook_total").await?, 1);
    Ok(())
}

#[tokio::test]
async fn invariant_9_killed_before_the_first_line_it_loses_nothing() -> Result<()> {
    let context = TestContext::new("killed-first").await?;
    let mut installation = context.install().await?;
    // The first checkpoint is saved at once.
    let maps: Api<ConfigMap> = context.api();
    let begun = poll::eventually("progress is saved", Duration::from_secs(20), || maps.get(PROGRESS)).await?;
    assert!(begun.data.unwrap_or_default().contains_key("checkpoint.json"));
    installation.product.kill9();

    let workspaces = workspaces(&context, 1).await?;
    burst(&workspaces, 0..3).await?;
    again(&mut installation).await?;
    for lines in all_delivered(&context, &workspaces, 0..3).await? {
        assert_once_in_order(&lines, 0..3);
        only(&lines, "Created pod");
        only(&lines, "Successfully assigned");
    }
    Ok(())
}

#[tokio::test]
async fn invariant_9_sigterm_in_a_burst_loses_and_repeats_no_line() -> Result<()> {
    const FACTS: usize = 30;

    let context = TestContext::new("sigterm").await?;
    let mut installation = context.install().await?;
    context.coder.latency(Duration::from_millis(200));
    let workspaces = workspaces(&context, 8).await?;
    let stop = async {
        assert!(context.coder.wait_until(PATIENCE, |coder| coder.line_count() > 40).await, "the burst begins");
        terminate(&mut installation).await
    };
    let (status, ()) = tokio::try_join!(stop, burst(&workspaces, 0..FACTS))?;
    let log = installation.product.output();
    assert_eq!(status.code(), Some(0), "{log}");
    let report = log.lines().find(|line| line.contains("delivery drained")).with_context(|| log.clone())?;
    assert!(report.contains(" 0 left "), "{report}");
    println!("{report}");

    again(&mut installation).await?;
    burst(&workspaces, FACTS..FACTS + 1).await?;
    for lines in all_delivered(&context, &workspaces, 0..FACTS + 1).await? {
        assert_once_in_order(&lines, 0..FACTS + 1);
        only(&lines, "Created pod");
        only(&lines, "Successfully assigned");
    }
    assert_eq!(context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn invariant_9_events_during_the_webhook_drain_are_reported() -> Result<()> {
    let context = TestContext::new("lingers").await?;
    let mut installation = context.install().await?;
    let workspaces = workspaces(&context, 1).await?;
    burst(&workspaces, 0..1).await?;
    all_delivered(&context, &workspaces, 0..1).await?;
    installation.product.sigterm();
    installation.product.wait_output("webhook shutting down", PATIENCE).await?;
    burst(&workspaces, 1..3).await?;
    let status = ended(&mut installation).await?;
    assert_eq!(status.code(), Some(0), "{}", installation.product.output());
    // Delivered without a restart, by the process that was shutting down.
    for lines in all_delivered(&context, &workspaces, 0..3).await? {
        assert_once_in_order(&lines, 0..3);
    }
    Ok(())
}

#[tokio::test]
async fn invariant_9_lines_of_a_not_yet_valid_agent_survive_a_restart() -> Result<()> {
    let context = TestContext::new("not-yet-valid").await?;
    let mut installation = context.install().await?;
    let agent = token();
    context.coder.add_agent(&agent, Valid::OnDemand);
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    facts.all_happen(0..5).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines >= 7).await?;
    // Other agents advance meanwhile.
    let others = workspaces(&context, 1).await?;
    burst(&others, 0..5).await?;
    all_delivered(&context, &others, 0..5).await?;

    assert_eq!(terminate(&mut installation).await?.code(), Some(0), "{}", installation.product.output());
    facts.happen(5).await?;
    again(&mut installation).await?;
    facts.happen(6).await?;
    burst(&others, 5..6).await?;
    context.coder.valid(&agent);
    let lines = context.wait_for(&agent, &["Created pod", "Successfully assigned", &fact(6)]).await?;
    assert_once_in_order(&lines, 0..7);
    only(&lines, "Created pod");
    only(&lines, "Successfully assigned");
    for lines in all_delivered(&context, &others, 0..6).await? {
        assert_once_in_order(&lines, 0..6);
        only(&lines, "Created pod");
    }
    Ok(())
}

#[tokio::test]
async fn invariant_9_a_coder_hanging_at_shutdown_loses_no_line() -> Result<()> {
    let context = TestContext::new("hanging-end").await?;
    let mut installation = context.plan().arg("--shutdown-grace=1s").install(context.cluster).await?;
    let workspaces = workspaces(&context, 1).await?;
    burst(&workspaces, 0..1).await?;
    all_delivered(&context, &workspaces, 0..1).await?;
    context.coder.fault(Fault::Stall);
    burst(&workspaces, 1..4).await?;
    assert!(context.coder.wait_until(PATIENCE, |coder| coder.request_count(Endpoint::Logs, 0) > 0).await);
    let start = Instant::now();
    let status = terminate(&mut installation).await?;
    println!("ended {status} after {:?}", start.elapsed());
    assert_eq!(status.code(), Some(0), "{}", installation.product.output());
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());

    context.coder.clear_faults();
    again(&mut installation).await?;
    for lines in all_delivered(&context, &workspaces, 0..4).await? {
        assert_once_in_order(&lines, 0..4);
    }
    Ok(())
}

#[tokio::test]
async fn invariant_9_sigkill_repeats_at_most_the_last_second_of_lines() -> Result<()> {
    const SETTLED: usize = 5;
    const FACTS: usize = 40;

    let context = TestContext::new("kill-9").await?;
    let mut installation = context.install().await?;
    let workspaces = workspaces(&context, 8).await?;
    burst(&workspaces, 0..SETTLED).await?;
    all_delivered(&context, &workspaces, 0..SETTLED).await?;
    saved(&context).await?;

    context.coder.latency(Duration::from_millis(100));
    let before = context.coder.line_count();
    let kill = async {
        assert!(context.coder.wait_until(PATIENCE, |coder| coder.line_count() > before + 80).await, "the burst begins");
        installation.product.kill9();
        anyhow::Ok(Instant::now())
    };
    let (killed, ()) = tokio::try_join!(kill, burst(&workspaces, SETTLED..FACTS))?;
    let delivered: usize = workspaces.iter().map(|(agent, _)| context.coder.lines(agent).len()).sum();
    assert!(delivered < workspaces.len() * FACTS, "it was killed after the last line");

    again(&mut installation).await?;
    burst(&workspaces, FACTS..FACTS + 1).await?;
    let mut repeats = 0;
    for lines in all_delivered(&context, &workspaces, 0..FACTS + 1).await? {
        assert_once_in_order(&lines, 0..SETTLED);
        only(&lines, "Created pod");
        only(&lines, "Successfully assigned");
        assert_none_missing(&lines, SETTLED..FACTS + 1);
        repeats += assert_repeats_are_late(&lines, SETTLED..FACTS, killed);
    }
    println!("killed after {delivered} lines, {repeats} of them were repeated");
    Ok(())
}

/// Number of these facts with two lines, which is allowed for lines just before `killed`. Asserts the order of the
/// first lines.
#[track_caller]
pub(crate) fn assert_repeats_are_late(lines: &[Line], facts: Range<usize>, killed: Instant) -> usize {
    // While lines flow, a checkpoint is saved every quarter of a second; the rest is margin for a busy machine.
    const UNSAVED: Duration = Duration::from_secs(4);

    let mut firsts = Vec::new();
    let mut repeats = 0;
    for n in facts {
        let places: Vec<_> = (0..lines.len()).filter(|&place| lines[place].output.contains(&fact(n))).collect();
        firsts.extend(places.first().copied());
        if let [first, _, ..] = places[..] {
            assert!(places.len() == 2 && lines[first].arrived + UNSAVED >= killed, "{} at {places:?}", fact(n));
            repeats += 1;
        }
    }
    assert!(firsts.is_sorted(), "{:#?}", texts(lines));
    repeats
}

/// Waits until the checkpoint includes all Events so far as delivered.
pub(crate) async fn saved(context: &TestContext) -> Result<()> {
    saved_in(&context.client, context.namespace.name()).await
}

/// The same for an installation in this namespace.
pub(crate) async fn saved_in(client: &Client, namespace: &str) -> Result<()> {
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let listed = events.list(&ListParams::default()).await?;
    let last: u64 = listed.iter().filter_map(|event| event.resource_version()?.parse().ok()).max().unwrap_or_default();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let key = format!("events/{namespace}");
    poll::eventually("progress is saved", PATIENCE, || async {
        let map = maps.get(PROGRESS).await?;
        let text = map.data.unwrap_or_default().remove("checkpoint.json").unwrap_or_default();
        let checkpoint: Value = serde_json::from_str(&text)?;
        let scopes = checkpoint["scopes"].as_object().context("scopes")?;
        let pending = scopes.values().map(|scope| scope["pending"].as_object().map_or(0, Map::len)).sum::<usize>();
        let reached = checkpoint["scopes"][&key]["revision"].as_u64().unwrap_or_default();
        if reached >= last && pending == 0 {
            return Ok(());
        }
        bail!("{reached} of {last}, {pending} pending")
    })
    .await
}

#[tokio::test]
async fn a_second_sigterm_exits_immediately() -> Result<()> {
    let context = TestContext::new("second-sigterm").await?;
    let mut installation = context.plan().arg("--shutdown-grace=10m").install(context.cluster).await?;
    context.coder.fault(Fault::Stall);
    let workspaces = workspaces(&context, 1).await?;
    burst(&workspaces, 0..1).await?;
    assert!(context.coder.wait_until(PATIENCE, |coder| coder.requests().values().sum::<usize>() > 0).await);
    installation.product.sigterm();
    poll::eventually("it drains", PATIENCE, || async {
        let (status, body) = installation.product.get(&installation.health_url("/readyz?verbose")).await?;
        if body.contains("[-]shutdown failed: is shutting down") { Ok(()) } else { bail!("{status} {body}") }
    })
    .await?;
    assert_eq!(installation.product.ended(), None, "it has something to deliver yet");
    installation.product.sigterm();
    let start = Instant::now();
    let status = ended(&mut installation).await?;
    assert_eq!(status.code(), Some(143), "{}", installation.product.output());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    Ok(())
}
