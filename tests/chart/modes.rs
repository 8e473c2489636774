//! Changes of a release's certificate mode.

use anyhow::{Context, Result, ensure};
use logstream_testing::{Loopback, webhook_probe::wait_called};
use serde_json::{Value, json};

use crate::context::{TestContext, cert_manager};

#[tokio::test]
async fn a_release_changes_its_certificate_mode() -> Result<()> {
    let mut context = TestContext::new("modes").await?;
    let cluster = context.cluster;
    let manager = cert_manager().await;
    let home = context.home.name().to_owned();
    let provided = context.provide("of-the-company").await?;
    let mut replica = context.install(json!({})).await?;
    wait_called(cluster, &home, true).await?;

    // As in the chart's README: the program owns the bundle until it is taken over.
    let values = context.values(json!({ "certs": provided }));
    let conflict = context.release.upgrade(&values, &[]).await.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(conflict.contains("conflict"), "helm takes the bundle over by itself: {conflict}");

    let to: [(&str, Value, &[&str]); 4] = [
        ("provided", provided, &["--force-conflicts"]),
        ("cert-manager", json!({ "mode": "cert-manager" }), &[]),
        ("self-managed", json!({ "mode": "self-managed" }), &[]),
        ("cert-manager again", json!({ "mode": "cert-manager" }), &[]),
    ];
    for (mode, certs, flags) in to {
        context.loopback = Loopback::new();
        context.release.upgrade(&context.values(json!({ "certs": certs })), flags).await?;
        // Ready means that its certificate is trusted.
        let next = context.start().await.with_context(|| format!("in mode {mode}\n{}", manager.log()))?;
        drop(std::mem::replace(&mut replica, next));
        wait_called(cluster, &home, true).await.with_context(|| mode.to_owned())?;
    }
    context.workspace_is_streamed(&home, true).await?;
    context.uninstall_leaves_issued_secrets(&context.issued_secrets()).await
}
