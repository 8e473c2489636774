//! Calls of the webhook by the API server, and accepted clients.

use anyhow::{Context, Result, ensure};
use logstream_testing::{pki::ClientCertificate, webhook_probe::accepts};
use serde_json::{Value, json};

use crate::context::{PROGRAM, TestContext, cert_manager};

/// Installs a release whose webhook is called through its Service. Services do not work without kube-proxy, so the
/// webhook is not called here. Readiness checks the certificate against the Service's name, which covers the path from
/// values to certificate.
async fn by_service(test: &str, certs: Value) -> Result<()> {
    let mut context = TestContext::new(test).await?;
    context.loopback = context.loopback.called_by_service();
    let _replica = context.install(json!({ "certs": certs })).await?;
    let fields = "jsonpath={.webhooks[*].clientConfig.service.name} {.webhooks[*].clientConfig.url}";
    let name = context.release.cluster_name();
    let called = context.cluster.kubectl(&["get", "mutatingwebhookconfiguration", &name, "-o", fields])?;
    let release = context.release.full_name();
    ensure!(called.trim() == format!("{release} {release}"), "not called by its Service: {called}");
    context.release.uninstall().await
}

#[tokio::test]
async fn by_default_the_webhook_is_called_and_trusted_by_service() -> Result<()> {
    by_service("by-service", json!({})).await
}

#[tokio::test]
async fn cert_manager_issues_for_the_service_too() -> Result<()> {
    let manager = cert_manager().await;
    by_service("by-service-issued", json!({ "mode": "cert-manager" })).await.with_context(|| manager.log())
}

/// Proves that readiness checks the Service's name.
#[tokio::test]
async fn with_another_services_name_it_is_not_ready() -> Result<()> {
    let mut context = TestContext::new("by-another").await?;
    context.loopback = context.loopback.called_by_service();
    let other = json!([{ "name": "CODER_LOGSTREAM_WEBHOOK_SERVICE", "value": "other.coder" }]);
    context.release.install(&context.values(json!({ "env": other })), &[]).await?;
    let replica = context.release.start(PROGRAM.as_ref()).await?;
    replica.wait_unready("does not cover the name of webhook").await?;
    context.release.uninstall().await
}

/// An API server with such a certificate is tested in tests/certificates.
#[tokio::test]
async fn only_callers_with_a_ca_of_the_config_map_are_answered() -> Result<()> {
    let context = TestContext::new("callers").await?;
    let home = context.home.name();
    let (client, other) = (ClientCertificate::generate("clients")?, ClientCertificate::generate("others")?);
    context
        .create(&json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "callers", "namespace": home },
            "data": { "ca.crt": client.ca },
        }))
        .await?;
    let replica = context.install(json!({ "certs": { "clientCAConfigMap": "callers" } })).await?;
    let webhook = context.loopback.webhook().context("a webhook")?;
    ensure!(accepts(webhook, Some(&client)).await?, "a client of that CA is accepted");
    ensure!(!accepts(webhook, None).await?, "an anonymous client is rejected");
    ensure!(!accepts(webhook, Some(&other)).await?, "a client of another CA is rejected");
    let failures = "coder_logstream_webhook_handshake_failures_total{reason=\"tls\"}";
    let failures = replica.metrics().await?.get(failures);
    ensure!(failures >= Some(2.0), "{failures:?} handshakes failed");
    // This API server has no client certificate, and the failure policy is Ignore.
    context.workspace_is_streamed(home, false).await?;
    context.uninstall_leaves_nothing(&[]).await
}
