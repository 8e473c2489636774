//! Checks of the webhook.

use std::time::Duration;

use anyhow::Result;
use logstream_testing::pki::ServingCertificate;
use logstream_testing::{FaultProxy, webhook_probe::wait_called};
use serde_json::{Value, json};

use crate::context::TestContext;

/// Patch operations that replace `path` of both webhooks by `value`.
fn replaced(path: &str, value: &Value) -> Value {
    json!([0, 1].map(|index| json!({ "op": "replace", "path": format!("/webhooks/{index}/{path}"), "value": value })))
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_ca_in_the_ca_bundle_fails() -> Result<()> {
    let context = TestContext::new("doctor-ca").await?;
    // With a self-managed certificate the program would repair the caBundle.
    let provided = context.provide("doctor").await?;
    let _replica = context.install(json!({ "certs": provided })).await?;
    wait_called(context.cluster, context.home.name(), true).await?;
    context.doctor_shows("webhook-certificate", "passed", "verified").await?;

    let other = base64(&ServingCertificate::generate(&[])?.ca);
    context.patch_webhooks(&replaced("clientConfig/caBundle", &json!(other)))?;
    let report = context.doctor_shows("webhook-call", "failed", "without an annotation").await?;
    report.shows("webhook-certificate", "failed", "not issued by a trusted CA")?;
    report.shows("webhook-latency", "skipped", "webhook-call did not pass")?;
    context.patch_webhooks(&json!([{ "op": "remove", "path": "/webhooks/0/clientConfig/caBundle" }]))?;
    context.doctor_shows("webhook-certificate", "failed", "has no caBundle").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_gone_or_changed_is_found() -> Result<()> {
    let context = TestContext::new("doctor-configuration").await?;
    let _replica = context.install(json!({})).await?;
    wait_called(context.cluster, context.home.name(), true).await?;
    let report = context.doctor().await?;
    for id in ["webhook-configuration", "webhook-selectors", "webhook-call", "webhook-latency"] {
        report.shows(id, "passed", "")?;
    }

    context.patch_webhooks(&replaced("failurePolicy", &json!("Fail")))?;
    context.doctor_shows("webhook-configuration", "warning", "failurePolicy is Fail").await?;
    context.patch_webhooks(&replaced("failurePolicy", &json!("Ignore")))?;
    let other = json!({ "matchLabels": { "kubernetes.io/metadata.name": "elsewhere" } });
    context.patch_webhooks(&replaced("namespaceSelector", &other))?;
    let report = context.doctor_shows("webhook-call", "failed", "not called").await?;
    report.shows("webhook-selectors", "failed", context.home.name())?;
    report.shows("webhook-configuration", "passed", "failurePolicy Ignore")?;

    context.cluster.kubectl(&["delete", "mutatingwebhookconfiguration", &context.release.cluster_name()])?;
    let report = context.doctor_shows("webhook-configuration", "failed", "does not exist").await?;
    report.shows("webhook-call", "failed", "does not exist")?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_down_or_slow_is_found() -> Result<()> {
    let mut context = TestContext::new("doctor-slow").await?;
    let webhook = context.loopback.webhook().expect("a webhook");
    let proxy = FaultProxy::start(webhook)?;
    context.loopback = context.loopback.behind(proxy.address());
    let replica = context.install(json!({})).await?;
    wait_called(context.cluster, context.home.name(), true).await?;
    context.doctor_shows("webhook-latency", "passed", "ms").await?;

    proxy.delay(Duration::from_millis(200));
    let report = context.doctor_shows("webhook-latency", "warning", "ms").await?;
    report.shows("webhook-call", "passed", context.home.name())?;
    proxy.delay(Duration::ZERO);
    context.doctor_shows("webhook-latency", "passed", "ms").await?;

    drop(replica);
    proxy.refuse(true);
    proxy.cut();
    let report = context.doctor_shows("webhook-call", "failed", "the call failed").await?;
    // As far as doctor knows, the process is on another machine.
    anyhow::ensure!(["skipped", "failed"].contains(&report.status("webhook-certificate")), "{report:?}");
    context.release.uninstall().await
}
