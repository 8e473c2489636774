//! A self-managed certificate whose lives are short.

use std::time::Duration;

use anyhow::Result;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_self_managed_certificate_is_rotated_without_a_gap() -> Result<()> {
    let world = World::new("self-managed", 1).await?;
    let mut replica = world.start_self_managed(0, Duration::from_secs(20), Duration::from_secs(8))?;
    replica.wait_ready().await?;
    world.wait_admitted().await?;
    let stream = world.stream();
    // The first certificate and six more, of three authorities; the first of these is taken out again.
    for change in 2..=7 {
        replica.wait_metric("certificate_changes_total", change.into()).await?;
        stream.more(10).await?;
    }
    replica.wait_sample("certificate_issued_total{kind=\"ca\"}", 3.0).await?;
    replica.wait_sample("certificate_ca_bundle_patches_total{purpose=\"removal\"}", 1.0).await?;
    stream.end().await?.check(60)?;
    let repairs = replica.sample("certificate_ca_bundle_patches_total{purpose=\"repair\"}").await?;
    assert!(repairs < 0.5, "{repairs}");
    // Two for each rotation of an authority, one in and one out, and none for a leaf.
    let patches = replica.metric("certificate_ca_bundle_patches_total").await?;
    assert!(patches < 12.0, "{patches}");
    replica.end()
}
