//! Waiting, always with a deadline.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use logstream_testing::Installation;

/// Polls every `pause` until `look` returns true. Fails after `deadline`, naming `what`.
pub(crate) async fn until(
    what: &str,
    deadline: Duration,
    pause: Duration,
    mut look: impl FnMut() -> bool,
) -> Result<()> {
    let end = Instant::now() + deadline;
    while !look() {
        if Instant::now() >= end {
            bail!("{what}: not within {deadline:?}");
        }
        tokio::time::sleep(pause).await;
    }
    Ok(())
}

/// Waits until the product is ready and returns when it was. Polls more often than the harness' own wait.
pub(crate) async fn ready(installation: &Installation, deadline: Duration) -> Result<Instant> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
    let url = installation.health_url("/readyz");
    let end = Instant::now() + deadline;
    loop {
        if let Ok(answer) = http.get(&url).send().await
            && answer.status().is_success()
        {
            return Ok(Instant::now());
        }
        if Instant::now() >= end {
            bail!("not ready within {deadline:?}; the product's output:\n{}", installation.product.output());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
