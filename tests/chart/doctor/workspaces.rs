//! Checks of existing workspaces.

use anyhow::{Context, Result};
use logstream_testing::{Place, Workspace, webhook_probe::wait_called};
use serde_json::json;

use crate::context::TestContext;

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_the_webhook_missed_is_counted() -> Result<()> {
    let context = TestContext::new("doctor-missed").await?;
    let home = context.home.name();
    let replica = context.install(json!({})).await?;
    context.workspace_is_streamed(home, true).await?;
    context.doctor_shows("workspaces-missed", "passed", "1 workspace pod,").await?;
    drop(replica);
    wait_called(context.cluster, home, false).await?;
    let workspace = Workspace::new(home, "late", "dev", &context.agent());
    context.create(&workspace.pod()).await?;
    context.doctor_shows("workspaces-missed", "warning", "1 of 2 workspace pods").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_the_object_selector_leaves_out_fails() -> Result<()> {
    let context = TestContext::new("doctor-selector").await?;
    let _replica = context.install(json!({})).await?;
    context.workspace_is_streamed(context.home.name(), true).await?;
    context.doctor_shows("webhook-selectors", "passed", "1 namespace and 1 workspace pod").await?;
    let other = json!({ "matchLabels": { "team": "elsewhere" } });
    context.patch_webhooks(&json!([{ "op": "replace", "path": "/webhooks/0/objectSelector", "value": other }]))?;
    let report = context.doctor_shows("webhook-selectors", "failed", "objectSelector does not select").await?;
    // doctor's own pod has the labels.
    report.shows("webhook-call", "passed", "")?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_be_read_fails() -> Result<()> {
    let context = TestContext::new("doctor-tokens").await?;
    let home = context.home.name();
    context.release.install(&context.values(json!({})), &[]).await?;
    context.doctor().await?.shows("token-references", "passed", "no workspace pod")?;
    let workspace = Workspace::new(home, "alice", "dev", &context.agent()).token_in(Place::SecretKey);
    context.create(&workspace.token_object().context("the token is elsewhere")?).await?;
    context.create(&workspace.pod()).await?;
    context.doctor_shows("token-references", "failed", "secrets/").await?;

    context.release.upgrade(&context.values(json!({ "rbac": { "readSecrets": true } })), &[]).await?;
    let report = context.doctor_shows("token-references", "passed", "1 object may be read").await?;
    report.shows("permissions-needed", "passed", "")?;
    context.kubectl(&["delete", "role", &format!("{}:watch", context.release.cluster_name())])?;
    context.doctor_shows("token-references", "failed", "may not be read").await?;
    context.release.uninstall().await
}
