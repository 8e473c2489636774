//! Lines that operators leave out.

use anyhow::Result;
use logstream_testing::{Scenario, Workspace, coder::Level};

use crate::{
    events::NewEvent,
    support::{TestContext, texts, wait_for_metric},
};

/// Lines of a wrong image with these settings, up to a warning that is written last.
async fn lines(test: &str, variable: &str, value: &str) -> Result<Vec<(Level, String)>> {
    let context = TestContext::new(test).await?;
    let installation = context.plan().env(variable, value).install(context.cluster).await?;
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).scenario(Scenario::WrongImage);
    let pod = context.create(&workspace.pod()).await?;
    context.wait_for(&agent, &["Failed to pull image"]).await?;
    NewEvent::warning(&pod, "Last", "the last warning").write(&context.client).await?;
    let lines = context.wait_for(&agent, &["the last warning"]).await?;
    wait_for_metric(&installation, "lines_filtered_total", |filtered| filtered >= 1.0).await?;
    Ok(lines.iter().map(|line| line.level).zip(texts(&lines)).collect())
}

#[tokio::test]
async fn lines_below_the_least_level_are_not_delivered() -> Result<()> {
    let lines = lines("min-level", "CODER_LOGSTREAM_MIN_LEVEL", "warn").await?;
    assert!(lines.iter().all(|(level, _)| matches!(level, Level::Warn | Level::Error)), "{lines:#?}");
    Ok(())
}

#[tokio::test]
async fn lines_with_a_skipped_reason_are_not_delivered() -> Result<()> {
    let lines = lines("skip-reasons", "CODER_LOGSTREAM_SKIP_REASONS", "Pulling,Scheduled").await?;
    let has = |text: &str| lines.iter().any(|(_, line)| line.contains(text));
    assert!(has("🐳 Created pod") && !has("Pulling image") && !has("Successfully assigned"), "{lines:#?}");
    Ok(())
}
