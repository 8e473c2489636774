//! A new process replaces an old one, as in a rolling update.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use logstream_testing::{coder::Line, poll};
use tokio::time::{Instant, sleep_until};

use crate::{
    context::{PATIENCE, Replica, TOKEN, TestContext},
    stream::Connections,
};

/// The default lifetimes.
const CA: Duration = Duration::from_hours(8_760);
const LEAF: Duration = Duration::from_hours(720);

/// Delay between SIGTERM and the removal of the endpoint: more than most Services take.
const LATE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_in_place_rejects_and_misses_no_pod() -> Result<()> {
    upgrade("upgrade", Connections::Cut).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_in_place_takes_over_open_connections() -> Result<()> {
    upgrade("upgrade-kept", Connections::Kept).await
}

async fn upgrade(test: &str, connections: Connections) -> Result<()> {
    let context = TestContext::new(test, 2).await?;
    let [old_address, new_address] = context.addresses[..] else { unreachable!("there are two") };
    context.balancer.set_servers(&[old_address]);
    let mut old = context.start_self_managed(0, CA, LEAF)?;
    old.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream_by(connections);
    stream.more(30).await?;

    let mut new = context.start_self_managed(1, CA, LEAF)?;
    new.wait_ready().await?;
    context.balancer.set_servers(&[old_address, new_address]);
    stream.more(30).await?;
    let admitted = old.metric("admission_reviews_total").await?;
    old.product.sigterm();
    let signal = Instant::now();
    old.wait_unready("is shutting down").await?;
    println!("not ready {:?} after the signal", signal.elapsed());
    sleep_until(signal + LATE).await;
    let admitted_late = old.metric("admission_reviews_total").await? - admitted;
    ensure!(admitted_late > 0.0, "nobody asked the old one any more: the test proves nothing");
    context.balancer.set_servers(&[new_address]);
    ended(&mut old).await?;
    println!("{admitted_late} admitted after the signal, ended {:?} after it", signal.elapsed());

    stream.more(30).await?;
    let tally = stream.end().await?;
    tally.check(120)?;
    let log = old.product.output();
    ensure!(log.contains("admitted during the shutdown"), "{log}");
    // Pods admitted by a process that no longer delivers lines are not lost either.
    all_reported(&context, &tally.created).await?;
    new.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_admitted_during_shutdown_are_reported_after_restart() -> Result<()> {
    let context = TestContext::new("last-words", 1).await?;
    let mut old = context.start_self_managed(0, CA, LEAF)?;
    old.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream();
    stream.more(10).await?;
    old.product.sigterm();
    old.wait_unready("is shutting down").await?;
    stream.more(10).await?;
    let tally = stream.end().await?;
    tally.check(20)?;
    ended(&mut old).await?;
    let log = old.product.output();
    ensure!(log.contains("admitted during the shutdown"), "{log}");

    let mut next = context.start_self_managed(0, CA, LEAF)?;
    next.wait_ready().await?;
    all_reported(&context, &tally.created).await?;
    next.end()
}

async fn ended(replica: &mut Replica) -> Result<()> {
    let waited = poll::eventually("the old one ends", PATIENCE, || {
        let ended = replica.product.ended();
        async move { ended.ok_or("it runs") }
    })
    .await;
    let status = waited.with_context(|| replica.product.output())?;
    ensure!(status.success(), "it ended with {status}: {}", replica.product.output());
    Ok(())
}

async fn all_reported(context: &TestContext, pods: &[String]) -> Result<()> {
    let missing = |lines: &[Line]| -> Vec<String> {
        let reported =
            |name: &&String| lines.iter().any(|line| line.plain().ends_with(&format!("Created pod: {name}")));
        pods.iter().filter(|name| !reported(name)).cloned().collect()
    };
    let waited = context.coder.wait_for_lines(TOKEN, PATIENCE, |lines| missing(lines).is_empty()).await;
    waited
        .map(drop)
        .with_context(|| format!("of {} pods not reported: {:?}", pods.len(), missing(&context.coder.lines(TOKEN))))
}
