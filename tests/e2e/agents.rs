//! Agents whose tokens become valid late, never, or for another agent.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use logstream_testing::{
    Scenario, Workspace,
    coder::{Endpoint, Valid},
};

use crate::{
    facts::{Facts, assert_once_in_order, fact, have_come},
    metrics::wait_for_count,
    support::{PATIENCE, TestContext, count, only, texts, token},
};

#[tokio::test]
async fn an_agent_valid_after_30_seconds_gets_all_lines_at_once() -> Result<()> {
    const LATE: Duration = Duration::from_secs(30);
    // Time for a probe interval, two round trips, and a busy machine.
    const SOON: Duration = Duration::from_secs(5);

    let context = TestContext::new("late-agent").await?;
    let _installation = context.install().await?;
    let agent = token();
    let valid = Instant::now() + LATE;
    context.coder.add_agent(&agent, Valid::After(LATE));
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).scenario(Scenario::Normal);
    context.create(&workspace.deployment()).await?;
    let facts = Facts::about(&context.client, context.only("v1", "Pod").await?)?;
    facts.all_happen(0..20).await?;

    let lines = context.wait_for(&agent, &[&fact(19), "Container started"]).await?;
    let first = lines.iter().map(|line| line.arrived).min().context("there are lines")?;
    let after = first.checked_duration_since(valid).context("no line can come before the agent")?;
    println!("the first of {} lines came {after:?} after the agent", lines.len());
    assert!(after < SOON, "{after:?}");
    for text in ["Queued pod from ReplicaSet", "🐳 Created pod", "Successfully assigned", "Pulling image"] {
        only(&lines, text);
    }
    assert_once_in_order(&lines, 0..20);
    // Probed regularly, at a limited rate.
    let tries = context.coder.requests_of(&agent, Endpoint::LogSource);
    assert!((20..80).contains(&tries), "{tries} tries in {LATE:?}");
    assert_eq!(context.coder.violations(), []);
    Ok(())
}

/// A running prebuilt workspace is claimed: its token belongs to another agent then.
#[tokio::test]
async fn a_claimed_prebuild_gets_the_log_source_again() -> Result<()> {
    let context = TestContext::new("claimed").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "prebuilds", "dev", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    facts.happen(0).await?;
    context.wait_for(&agent, &[&fact(0), "Successfully assigned"]).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;
    let posts = context.coder.request_count(Endpoint::LogSource, 201);

    context.coder.claim(&agent, Duration::from_secs(2));
    facts.all_happen(1..4).await?;
    let lines = context.coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..4)).await?;
    assert_once_in_order(&lines, 0..4);
    for line in &lines {
        assert!(line.source_known, "{:?} has no source", line.output);
        assert_eq!(line.generation, u32::from((1..4).any(|n| line.output.contains(&fact(n)))), "{}", line.output);
    }
    assert!(context.coder.request_count(Endpoint::LogSource, 201) > posts);
    assert_eq!(context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn an_agent_that_never_becomes_valid_has_bounded_cost() -> Result<()> {
    /// Capacity of an outbox, and number of Events of its pod.
    const HELD: usize = 256;
    const FACTS: usize = 400;

    let context = TestContext::new("never-valid").await?;
    let installation = context.install().await?;
    let agent = token();
    context.coder.add_agent(&agent, Valid::OnDemand);
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    facts.all_happen(0..FACTS).await?;
    wait_for_count(&installation, "lines_rendered_total", |lines| lines >= (FACTS + 2)).await?;
    let dropped =
        wait_for_count(&installation, "lines_dropped_total{reason=\"overflow\"}", |lines| lines >= (FACTS + 2 - HELD))
            .await?;
    let waiting = wait_for_count(&installation, "lines_waiting", |lines| lines <= HELD).await?;
    assert_eq!(dropped + waiting, FACTS + 2);
    assert_eq!(context.coder.requests_of(&agent, Endpoint::Logs), 0, "lines would be refused");

    // The newest are kept, and a line shows how many are missing.
    context.coder.valid(&agent);
    let lines = context.wait_for(&agent, &[&fact(FACTS - 1)]).await?;
    assert_once_in_order(&lines, FACTS - HELD..FACTS);
    let missing = format!("({dropped} lines from Kubernetes are missing here: more were waiting than fit)");
    assert_eq!(count(&lines, &missing), 1, "{:#?}", texts(&lines));
    Ok(())
}
