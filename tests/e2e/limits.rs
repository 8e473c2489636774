//! Coder's limits: the request rate, and the size of an agent's log.

use std::time::{Duration, Instant};

use anyhow::Result;
use logstream_testing::{
    Workspace,
    coder::{Endpoint, Line, RateLimit},
};

use crate::{
    facts::{Facts, assert_once_in_order, fact, have_come},
    metrics::{metric_count, wait_for_count},
    support::{TestContext, count, texts},
};

const KIB: usize = 1 << 10;

#[tokio::test]
async fn under_a_small_rate_limit_every_line_arrives() -> Result<()> {
    const LIMIT: usize = 30;
    const WORKSPACES: usize = 20;
    /// Time for two windows of the limit, and a busy machine.
    const IN_TIME: Duration = Duration::from_mins(4);

    let context = TestContext::new("rate-limit").await?;
    context.coder.rate_limit(Some(RateLimit { requests: u32::try_from(LIMIT)?, ..RateLimit::default() }));
    let _installation = context.install().await?;
    let start = Instant::now();
    let mut workspaces = Vec::new();
    for n in 0..WORKSPACES {
        let agent = context.agent();
        let workspace = Workspace::new(context.namespace.name(), "alice", &format!("dev-{n}"), &agent);
        workspaces.push((agent, Facts::of(&context.client, &workspace).await?));
    }
    for (_, facts) in &workspaces {
        facts.all_happen(0..3).await?;
    }
    for (agent, _) in &workspaces {
        let whole = |lines: &[Line]| {
            have_come(lines, 0..3) && count(lines, "Created pod") > 0 && count(lines, "Successfully assigned") > 0
        };
        let left = IN_TIME.saturating_sub(start.elapsed());
        let lines = context.coder.wait_for_lines(agent, left, whole).await?;
        assert_once_in_order(&lines, 0..3);
    }
    let refused = [Endpoint::LogSource, Endpoint::Logs].map(|endpoint| context.coder.request_count(endpoint, 429));
    println!("{WORKSPACES} workspaces under {LIMIT} requests a minute: {:?}, refused {refused:?}", start.elapsed());
    assert!(refused.iter().sum::<usize>() <= 3, "it learns the limit from the headers: {refused:?}");
    assert!(context.coder.request_count(Endpoint::Logs, 200) > LIMIT, "the limit was not in the way");
    assert_eq!(context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn invariant_8_thousands_of_long_lines_leave_room_for_the_agent() -> Result<()> {
    const FACTS: usize = 2_000;
    const OURS: usize = 256 * KIB;

    let context = TestContext::new("budget").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(context.namespace.name(), "alice", "dev", &agent)).await?;
    let facts = facts.padded(1_000);
    facts.rush(0..FACTS).await?;
    wait_for_count(&installation, "lines_rendered_total", |lines| lines >= (FACTS + 2)).await?;
    let lines = context.wait_for(&agent, &["only its warnings and errors are shown"]).await?;
    assert!(bytes(&lines) < OURS, "{} bytes", bytes(&lines));

    // Warnings have their own part of the budget.
    let warnings = facts.warnings();
    warnings.happen(FACTS).await?;
    context.wait_for(&agent, &[&fact(FACTS)]).await?;
    warnings.rush(FACTS + 1..FACTS + 100).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;

    let lines = context.coder.lines(&agent);
    println!("{} facts of 1 KB each: {} lines of {} bytes", FACTS + 100, lines.len(), bytes(&lines));
    assert!(bytes(&lines) <= OURS, "{} bytes", bytes(&lines));
    assert_eq!(count(&lines, "only its warnings and errors are shown"), 1, "{:#?}", texts(&lines));
    assert!(context.coder.agent_writes(&agent, 700 * KIB), "the agent's own log is refused");
    assert!(!context.coder.overflowed(&agent));
    assert_eq!(context.coder.violations(), []);
    let rendered = metric_count(&installation, "lines_rendered_total").await?;
    let delivered = metric_count(&installation, "lines_delivered_total").await?;
    assert_eq!(rendered, delivered + metric_count(&installation, "lines_dropped_total").await?);
    assert!(metric_count(&installation, "lines_dropped_total{reason=\"budget\"}").await? > 1_000);
    Ok(())
}

fn bytes(lines: &[Line]) -> usize {
    lines.iter().map(|line| line.output.len()).sum()
}

#[tokio::test]
async fn invariant_8_a_full_log_is_tried_only_once() -> Result<()> {
    let context = TestContext::new("full").await?;
    let installation = context.install().await?;
    let agent = context.agent();
    let facts = Facts::of(&context.client, &Workspace::new(context.namespace.name(), "alice", "dev", &agent)).await?;
    context.wait_for(&agent, &["Created pod", "Successfully assigned"]).await?;
    wait_for_count(&installation, "lines_waiting", |lines| lines == 0).await?;
    assert!(!context.coder.agent_writes(&agent, 2_048 * KIB), "the agent's own script has filled its log");

    for n in 0..5 {
        facts.happen(n).await?;
        wait_for_count(&installation, "lines_dropped_total{reason=\"full\"}", |lines| lines == n + 1).await?;
    }
    assert_eq!(context.coder.request_count(Endpoint::Logs, 413), 1);
    assert_eq!(context.coder.violations(), []);

    // Other agents are not affected.
    let another = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "another", &another);
    let facts = Facts::of(&context.client, &workspace).await?;
    facts.happen(0).await?;
    context.wait_for(&another, &["Created pod", &fact(0)]).await?;
    Ok(())
}
