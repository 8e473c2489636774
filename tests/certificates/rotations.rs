//! A self-managed certificate with short lifetimes.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::context::TestContext;

/// A CA is renewed after ten seconds, a serving certificate after six.
pub(crate) const CA: Duration = Duration::from_secs(15);
pub(crate) const LEAF: Duration = Duration::from_secs(9);

#[tokio::test(flavor = "multi_thread")]
async fn a_self_managed_certificate_is_rotated_without_a_gap() -> Result<()> {
    let context = TestContext::new("self-managed", 1).await?;
    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream();
    // Five rotations of the CA, with those of the serving certificate in between.
    for cas in 2..=6 {
        replica.wait_sample("certificate_issued_total{kind=\"ca\"}", cas.into()).await?;
        stream.more(10).await?;
    }
    let changes = replica.metric("certificate_changes_total").await?;
    ensure!(changes >= 6.0, "{changes} certificates by 6 CAs");
    replica.wait_metric("certificate_changes_total", changes + 1.0).await?;
    stream.more(10).await?;
    replica.wait_sample("certificate_ca_bundle_patches_total{purpose=\"removal\"}", 3.0).await?;
    stream.end().await?.check(60)?;
    let repairs = replica.sample("certificate_ca_bundle_patches_total{purpose=\"repair\"}").await?;
    ensure!(repairs < 0.5, "{repairs}");
    // Two per CA, to add and to remove it, and none per serving certificate.
    let patches = replica.metric("certificate_ca_bundle_patches_total").await?;
    let cas = replica.sample("certificate_issued_total{kind=\"ca\"}").await?;
    ensure!(patches <= 2.0 * cas, "{patches} patches, {cas} CAs");
    println!("{changes} serving certificates by {cas} CAs, {patches} patches");
    replica.wait_ready().await?;
    replica.end()
}
