//! Two replicas of one webhook configuration.

use std::time::Duration;

use anyhow::{Result, ensure};
use logstream_testing::poll;
use tokio::time::Instant;

use crate::{
    context::{PATIENCE, Replica, TestContext},
    rotations::{CA, LEAF},
};

/// A CA is renewed after two thirds of its lifetime, or up to a tenth of that earlier.
const EARLIEST: Duration = Duration::from_secs(9);

const CAS: &str = "certificate_issued_total{kind=\"ca\"}";

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_rotate_one_certificate_without_a_gap() -> Result<()> {
    let context = TestContext::new("two", 2).await?;
    let started = Instant::now();
    let mut first = context.start_self_managed(0, CA, LEAF)?;
    let mut second = context.start_self_managed(1, CA, LEAF)?;
    first.wait_ready().await?;
    second.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream();
    // Five rotations of the CA, by either replica, with those of the serving certificate in between.
    for cas in 2..=6 {
        poll::eventually("another CA", PATIENCE, || async {
            let issued = issued(&first, &second).await?;
            ensure!(issued >= f64::from(cas), "{issued}");
            anyhow::Ok(())
        })
        .await?;
        stream.more(10).await?;
    }
    for replica in [&first, &second] {
        let changes = replica.metric("certificate_changes_total").await?;
        replica.wait_metric("certificate_changes_total", (changes + 1.0).max(6.0)).await?;
    }
    stream.more(10).await?;
    // Neither replica issued a CA in addition to the other's, however long all of this took.
    let (issued, leaves) = (issued(&first, &second).await?, sum(&first, &second, "certificate_changes_total").await?);
    let due = 1.0 + (started.elapsed() + Duration::from_secs(1)).div_duration_f64(EARLIEST);
    ensure!(issued <= due, "{issued} CAs, due were {due}");
    same(&first, &second).await?;
    stream.end().await?.check(60)?;
    println!("{leaves} certificates taken into use by two replicas, {issued} CAs");
    for replica in [&first, &second] {
        for object in ["secret", "webhook_configuration"] {
            let sample = format!("certificate_conflicts_total{{object=\"{object}\"}}");
            println!("{sample} {}", replica.sample(&sample).await?);
        }
    }
    first.end()?;
    second.end()
}

async fn issued(first: &Replica, second: &Replica) -> Result<f64> {
    Ok(first.sample(CAS).await? + second.sample(CAS).await?)
}

async fn sum(first: &Replica, second: &Replica, name: &str) -> Result<f64> {
    Ok(first.metric(name).await? + second.metric(name).await?)
}

/// Waits until both serve a certificate with the same expiry.
async fn same(first: &Replica, second: &Replica) -> Result<()> {
    poll::eventually("both serve the same", PATIENCE, || async {
        let name = "certificate_expiration_timestamp_seconds";
        let (first, second) = (first.metric(name).await?, second.metric(name).await?);
        ensure!((first - second).abs() < 0.5, "{first} {second}");
        anyhow::Ok(())
    })
    .await
}
