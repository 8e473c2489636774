//! Changing where the certificate of a release comes from.

use anyhow::{Context, Result, ensure};
use logstream_testing::{Loopback, webhook_probe::wait_called};
use serde_json::{Value, json};

use crate::world::{World, cert_manager};

#[tokio::test]
async fn a_release_changes_its_certificate_mode() -> Result<()> {
    let mut world = World::new("modes").await?;
    let cluster = world.cluster;
    let manager = cert_manager().await;
    let home = world.home.name().to_owned();
    let provided = world.provide("of-the-company").await?;
    let mut replica = world.install(json!({})).await?;
    wait_called(cluster, &home, true).await?;

    // As the chart's README says: the bundle is the program's until it is taken over.
    let values = world.values(json!({ "certs": provided }));
    let conflict = world.release.upgrade(&values, &[]).await.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(conflict.contains("conflict"), "helm takes the bundle over by itself: {conflict}");

    let to: [(&str, Value, &[&str]); 4] = [
        ("provided", provided, &["--force-conflicts"]),
        ("cert-manager", json!({ "mode": "cert-manager" }), &[]),
        ("self-managed", json!({ "mode": "self-managed" }), &[]),
        ("cert-manager again", json!({ "mode": "cert-manager" }), &[]),
    ];
    for (mode, certs, flags) in to {
        world.loopback = Loopback::new();
        world.release.upgrade(&world.values(json!({ "certs": certs })), flags).await?;
        // Ready means that what it serves is trusted.
        let next = world.start().await.with_context(|| format!("in mode {mode}\n{}", manager.log()))?;
        drop(std::mem::replace(&mut replica, next));
        wait_called(cluster, &home, true).await.with_context(|| mode.to_owned())?;
    }
    world.workspace_is_streamed(&home, true).await?;
    world.uninstall_leaves_issued_secrets(&world.issued_secrets()).await
}
