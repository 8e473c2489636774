//! Failures between the program and Coder.

use std::time::Duration;

use anyhow::Result;
use logstream_testing::{
    Installation, Workspace,
    coder::{Endpoint, Fault, Line},
};
use tokio::time::{Instant, interval};

use crate::{
    facts::{Facts, assert_once_in_order, have_come},
    metrics::wait_for_count,
    support::{PATIENCE, TestContext, only},
};

/// A workspace whose lines have all been delivered so far.
struct Case {
    context: TestContext,
    installation: Installation,
    agent: String,
    facts: Facts,
}

impl Case {
    async fn new(test: &str) -> Result<Self> {
        let context = TestContext::new(test).await?;
        let installation = context.install().await?;
        let agent = context.agent();
        let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent);
        let facts = Facts::of(&context.client, &workspace).await?;
        context.wait_for(&agent, &["Created pod", "Successfully assigned"]).await?;
        let case = Self { context, installation, agent, facts };
        case.all_answered().await?;
        Ok(case)
    }

    /// Waits until every request is answered: lines without an answer have to be sent again.
    async fn all_answered(&self) -> Result<()> {
        wait_for_count(&self.installation, "lines_waiting", |lines| lines == 0).await.map(drop)
    }

    /// Waits until requests with lines have failed with this outcome.
    async fn failed(&self, outcome: &str) -> Result<()> {
        let failures = format!("coder_requests_total{{endpoint=\"logs\",outcome=\"{outcome}\"}}");
        wait_for_count(&self.installation, &failures, |count| count >= 1).await.map(drop)
    }

    /// Waits until all facts before this one have lines.
    async fn delivered(&self, before: usize) -> Result<Vec<Line>> {
        let lines =
            self.context.coder.wait_for_lines(&self.agent, PATIENCE, |lines| have_come(lines, 0..before)).await?;
        self.all_answered().await?;
        Ok(lines)
    }
}

#[tokio::test]
async fn lines_arrive_once_and_in_order_after_any_coder_failure() -> Result<()> {
    let case = Case::new("failing-coder").await?;
    let Case { context, facts, .. } = &case;

    context.coder.refuse(true)?;
    facts.all_happen(0..5).await?;
    case.failed("network").await?;
    context.coder.refuse(false)?;
    case.delivered(5).await?;

    context.coder.fault(Fault::Status(503));
    facts.all_happen(5..10).await?;
    case.failed("server").await?;
    context.coder.clear_faults();
    case.delivered(10).await?;

    // A proxy's login page, which is not a success despite its status.
    context.coder.fault(Fault::Html(200));
    facts.all_happen(10..15).await?;
    case.failed("not_coder").await?;
    context.coder.clear_faults();
    case.delivered(15).await?;

    context.coder.fault(Fault::Stall);
    facts.all_happen(15..20).await?;
    assert!(context.coder.wait_until(PATIENCE, |coder| coder.request_count(Endpoint::Logs, 0) > 0).await);
    context.coder.clear_faults();
    context.coder.cut();
    let lines = case.delivered(20).await?;

    assert_once_in_order(&lines, 0..20);
    only(&lines, "Created pod");
    assert_eq!(context.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn lines_arrive_once_and_in_order_after_a_minute_outage() -> Result<()> {
    let case = Case::new("away-for-a-minute").await?;
    case.context.coder.refuse(true)?;
    let mut seconds = interval(Duration::from_secs(1));
    for n in 0..=60 {
        seconds.tick().await;
        case.facts.happen(n).await?;
    }
    case.context.coder.refuse(false)?;
    let back = Instant::now();
    let lines = case.delivered(61).await?;
    println!("the last of 61 lines came {:?} after Coder", back.elapsed());
    assert_once_in_order(&lines, 0..61);
    // Coder's page shows the arrival time, so late lines include the time of their event.
    let first = &only(&lines, "fact 00000.").output;
    assert!(first.starts_with('[') && first.contains("Z] "), "{first}");
    case.installation.product.wait_output("Coder available again", PATIENCE).await?;
    let log = case.installation.product.output();
    for text in ["Coder unavailable, holding lines", "Coder available again"] {
        assert_eq!(log.matches(text).count(), 1, "{log}");
    }
    Ok(())
}
