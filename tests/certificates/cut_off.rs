//! A process that cannot reach the API server while its certificate expires.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use logstream_testing::FaultProxy;

use crate::context::{TestContext, cluster, now};

const CA: Duration = Duration::from_secs(15);
const LEAF: Duration = Duration::from_secs(8);

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expired_offline_is_reported_and_replaced() -> Result<()> {
    let mut context = TestContext::new("cut-off", 1).await?;
    let proxy = FaultProxy::start(cluster().await.server_address())?;
    context.through(&proxy).await?;
    let mut replica = context.start_self_managed(0, CA, LEAF)?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;

    proxy.refuse(true);
    proxy.cut();
    replica.wait_unready("[-]certificate failed: the certificate with serial").await?;
    let (_, checks) = replica.readiness().await?;
    ensure!(checks.contains("expired at") && checks.contains("[-]trust failed"), "{checks}");
    // The API server rejects it too.
    let refusal = context.refusal().await.context("an expired certificate is rejected")?;
    ensure!(refusal.contains("expired"), "{refusal}");
    // Then the CA expires too.
    let ca = replica.metric("certificate_ca_expiration_timestamp_seconds").await?;
    logstream_testing::poll::eventually("the CA expires", 2 * CA, || async {
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
        let now = now().as_second() as f64;
        if now > ca { Ok(()) } else { Err(ca - now) }
    })
    .await?;

    proxy.refuse(false);
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    let stream = context.stream();
    stream.more(10).await?;
    stream.end().await?.check(10)?;
    ensure!(replica.sample("certificate_issued_total{kind=\"ca\"}").await? >= 2.0);
    replica.end()
}
