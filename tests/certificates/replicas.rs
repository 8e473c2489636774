//! Two processes that serve the same configuration.

use std::time::Duration;

use anyhow::{Result, ensure};
use logstream_testing::poll;

use crate::world::{PATIENCE, Replica, World};

const CA: Duration = Duration::from_secs(20);
const LEAF: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_rotate_one_certificate_without_a_gap() -> Result<()> {
    let world = World::new("two", 2).await?;
    let mut first = world.start_self_managed(0, CA, LEAF)?;
    let mut second = world.start_self_managed(1, CA, LEAF)?;
    first.wait_ready().await?;
    second.wait_ready().await?;
    world.wait_admitted().await?;
    let stream = world.stream();
    for change in 2..=7 {
        for replica in [&first, &second] {
            replica.wait_metric("certificate_changes_total", change.into()).await?;
        }
        stream.more(10).await?;
    }
    let count = |name| sum(&first, &second, name);
    assert!(count("certificate_issued_total").await? >= 9.0);
    same(&first, &second).await?;
    stream.end().await?.check(60)?;
    for replica in [&first, &second] {
        for object in ["secret", "webhook_configuration"] {
            let sample = format!("certificate_conflicts_total{{object=\"{object}\"}}");
            println!("{sample} {}", replica.sample(&sample).await?);
        }
    }
    first.end()?;
    second.end()
}

async fn sum(first: &Replica, second: &Replica, name: &str) -> Result<f64> {
    Ok(first.metric(name).await? + second.metric(name).await?)
}

/// Both serve what expires at the same moment.
async fn same(first: &Replica, second: &Replica) -> Result<()> {
    poll::eventually("both serve the same", PATIENCE, || async {
        let name = "certificate_expiration_timestamp_seconds";
        let (first, second) = (first.metric(name).await?, second.metric(name).await?);
        ensure!((first - second).abs() < 0.5, "{first} {second}");
        anyhow::Ok(())
    })
    .await
}
