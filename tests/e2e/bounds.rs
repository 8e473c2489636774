//! Overload: bounded memory and request rates, complete counts, and no interference between agents.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use logstream_testing::{
    Installation, Workspace,
    coder::{Endpoint, Fault, Line},
};

use crate::{
    events::NewEvent,
    facts::{Facts, assert_once_in_order, fact, have_come},
    metrics::{metric_count, wait_for_count},
    review::{Poster, creation},
    support::{PATIENCE, TestContext, texts, token},
};

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn invariant_4_forged_reviews_use_bounded_memory_and_requests() -> Result<()> {
    /// More than the limit of log sources posted ahead.
    const FORGED: usize = 3_000;

    let context = TestContext::new("forged-claims").await?;
    let installation = context.install().await?;
    let poster = Poster::new(&installation)?;
    let namespace = context.namespace.name();
    let forge = async |n: usize| {
        let workspace = Workspace::new(namespace, "mallory", &format!("forged-{n}"), &token());
        let answer = poster.post(&creation(&workspace.pod())).await?;
        ensure!(answer.admits(), "{answer:?}");
        anyhow::Ok(())
    };
    let before = resident(&installation)?;
    let start = Instant::now();
    futures::stream::iter(0..FORGED).map(&forge).buffer_unordered(16).try_collect::<()>().await?;
    let after = resident(&installation)?;
    println!("{FORGED} forged reviews in {:?}: {} MiB, then {} MiB", start.elapsed(), before / MIB, after / MIB);

    assert_eq!(metric_count(&installation, "pending_registrations").await?, FORGED);
    assert_eq!(metric_count(&installation, "workspace_objects").await?, 0);
    assert!(metric_count(&installation, "agents{state=\"expected\"}").await? <= 1_024);
    assert!(metric_count(&installation, "registrations_ignored_total").await? > 0);
    assert!(after.saturating_sub(before) < 32 * MIB, "{} MiB more", (after - before) / MIB);
    let tried: usize =
        context.coder.requests().iter().filter(|((at, _), _)| *at == Endpoint::LogSource).map(|(_, n)| n).sum();
    let limit = 512;
    assert!(tried < limit / 2, "{tried} of {limit} requests per minute for forged registrations");

    // A real workspace is found by the watch, and has its share of the request rate.
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(namespace, "alice", "dev", &agent)).await?;
    facts.all_happen(0..3).await?;
    let lines = context.wait_for(&agent, &["Created pod", &fact(2)]).await?;
    assert_once_in_order(&lines, 0..3);
    assert_eq!(context.coder.line_count(), context.coder.lines(&agent).len(), "no line for a forged token");
    Ok(())
}

#[tokio::test]
async fn invariant_4_events_of_non_workspaces_are_dropped_and_counted() -> Result<()> {
    const EVENTS: usize = 2_500;

    let context = TestContext::new("non_workspaces").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(context.namespace.name(), "alice", "dev", &agent)).await?;
    facts.happen(0).await?;
    context.wait_for(&agent, &[&fact(0)]).await?;
    let before = resident(&installation)?;

    let flood = async {
        let of_unknown = |_| async {
            let uid = token();
            NewEvent::normal(&facts.pod, "Flood", "of an unknown pod").of_uid(&uid).write(&context.client).await
        };
        let written = futures::stream::iter(0..EVENTS).map(of_unknown).buffer_unordered(16);
        written.try_for_each(async |_| Ok(())).await
    };
    // Lines of the real workspace arrive meanwhile.
    let facts_of_workspace = async {
        for n in 1..20 {
            facts.happen(n).await?;
            context.wait_for(&agent, &[&fact(n)]).await?;
        }
        Ok(())
    };
    tokio::try_join!(flood, facts_of_workspace)?;

    wait_for_count(&installation, "events_waiting", |waiting| waiting == 0).await?;
    let dropped = metric_count(&installation, "facts_skipped_total{reason=\"not_a_workspace\"}").await?;
    assert_eq!(dropped, EVENTS);
    let after = resident(&installation)?;
    println!("{EVENTS} Events about unknown pods: {} MiB, then {} MiB", before / MIB, after / MIB);
    assert!(after.saturating_sub(before) < 64 * MIB, "{} MiB more", (after - before) / MIB);
    facts.happen(20).await?;
    let lines = context.wait_for(&agent, &[&fact(20)]).await?;
    assert_once_in_order(&lines, 0..21);
    Ok(())
}

fn resident(installation: &Installation) -> Result<u64> {
    installation.product.resident_bytes().context("there is /proc")
}

#[tokio::test]
async fn invariant_5_overflowing_lines_are_counted_and_reported() -> Result<()> {
    const FACTS: usize = 400;

    let context = TestContext::new("overflow").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(context.namespace.name(), "alice", "dev", &agent)).await?;
    facts.happen(0).await?;
    context.wait_for(&agent, &["Successfully assigned", &fact(0)]).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;

    context.coder.refuse(true)?;
    facts.all_happen(1..FACTS).await?;
    let rendered = FACTS + 2;
    wait_for_count(&installation, "lines_rendered_total", |lines| lines >= rendered).await?;
    context.coder.refuse(false)?;
    let lines = context.coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, FACTS - 1..FACTS)).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;

    let dropped = metric_count(&installation, "lines_dropped_total").await?;
    assert_eq!(metric_count(&installation, "lines_dropped_total{reason=\"overflow\"}").await?, dropped);
    assert_eq!(metric_count(&installation, "lines_delivered_total").await?, rendered - dropped);
    let missing = (0..FACTS).filter(|&n| !have_come(&lines, n..n + 1)).count();
    assert_eq!(missing, dropped);
    assert!(missing > 100, "more than an outbox holds: {missing}");
    assert_eq!(reported_missing(&lines), missing, "{:#?}", texts(&lines));
    Ok(())
}

#[tokio::test]
async fn invariant_5_a_batch_rejected_by_coder_is_counted_and_reported() -> Result<()> {
    let context = TestContext::new("refused").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(context.namespace.name(), "alice", "dev", &agent)).await?;
    facts.happen(0).await?;
    context.wait_for(&agent, &["Successfully assigned", &fact(0)]).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;

    context.coder.fault(Fault::Status(400).times(1));
    facts.happen(1).await?;
    wait_for_count(&installation, "lines_dropped_total{reason=\"refused\"}", |lines| lines == 1).await?;
    facts.happen(2).await?;
    let lines = context.wait_for(&agent, &[&fact(2)]).await?;
    assert_eq!((reported_missing(&lines), have_come(&lines, 1..2)), (1, false), "{:#?}", texts(&lines));
    let text = "Coder rejects requests as malformed";
    installation.product.wait_output(text, PATIENCE).await?;
    let log = installation.product.output();
    assert_eq!(log.matches(text).count(), 1, "{log}");
    Ok(())
}

#[tokio::test]
async fn invariant_5_lines_for_a_revoked_agent_are_counted() -> Result<()> {
    let context = TestContext::new("over").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(context.namespace.name(), "alice", "dev", &agent)).await?;
    facts.happen(0).await?;
    context.wait_for(&agent, &["Successfully assigned", &fact(0)]).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;
    // Another build replaces the workspace, and the old pod is deleted.
    context.coder.revoke(&agent);
    context.delete(&facts.pod).await?;
    wait_for_count(&installation, "lines_dropped_total{reason=\"revoked\"}", |lines| lines >= 1).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;
    let [rendered, delivered, dropped] = ["lines_rendered_total", "lines_delivered_total", "lines_dropped_total"];
    let rendered = metric_count(&installation, rendered).await?;
    assert_eq!(rendered, metric_count(&installation, delivered).await? + metric_count(&installation, dropped).await?);
    Ok(())
}

/// Number of missing lines, according to the log itself.
fn reported_missing(lines: &[Line]) -> usize {
    let count = |text: String| {
        let (count, _) = text.strip_prefix('(')?.split_once(" line")?;
        text.contains("missing here").then(|| count.parse::<usize>().ok())?
    };
    texts(lines).into_iter().filter_map(count).sum()
}

#[tokio::test]
async fn invariant_7_hanging_requests_delay_no_other_agent() -> Result<()> {
    /// A hanging request times out after half a minute.
    const MEANWHILE: Duration = Duration::from_secs(10);

    let context = TestContext::new("hanging").await?;
    let _installation = context.install().await?;
    let namespace = context.namespace.name();
    let mut hanging = Vec::new();
    for n in 0..8 {
        let agent = context.agent();
        context.coder.fault(Fault::Stall.to(&agent));
        let workspace = Workspace::new(namespace, "mallory", &format!("hanging-{n}"), &agent);
        let facts = Facts::of(&context.client, &workspace).await?;
        facts.happen(0).await?;
        hanging.push((agent, facts));
    }
    let hangs = |agent: &String| context.coder.requests_of(agent, Endpoint::LogSource) > 0;
    assert!(context.coder.wait_until(PATIENCE, |_| hanging.iter().all(|(agent, _)| hangs(agent))).await);
    let start = Instant::now();
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(namespace, "alice", "dev", &agent)).await?;
    for n in 0..20 {
        facts.happen(n).await?;
        context.wait_for(&agent, &[&fact(n)]).await?;
    }
    assert!(start.elapsed() < MEANWHILE, "{:?}", start.elapsed());
    assert!(hanging.iter().all(|(agent, _)| context.coder.lines(agent).is_empty()));

    // The hanging agents lose no line either.
    context.coder.clear_faults();
    context.coder.cut();
    for (agent, _) in &hanging {
        let lines = context.wait_for(agent, &["Created pod", &fact(0)]).await?;
        assert_once_in_order(&lines, 0..1);
    }
    assert_eq!(context.coder.violations(), []);
    Ok(())
}
