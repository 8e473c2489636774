//! The webhook accepts only clients with a certificate, such as the API server.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use logstream_testing::{
    Cluster, ClusterOptions, pki::ClientCertificate, poll, scratch::Scratch, webhook_probe::accepts,
};
use serde_json::json;

use crate::context::{PATIENCE, SECRET, TestContext};

/// Writes the client certificate that the API server uses from its next start on.
fn write(clients: &ClientCertificate, directory: &Path) -> Result<()> {
    fs::write(directory.join("tls.crt"), &clients.certificate)?;
    fs::write(directory.join("tls.key"), &clients.key)?;
    Ok(())
}

/// Replaces a file atomically.
fn replace(path: &Path, content: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content)?;
    Ok(fs::rename(new, path)?)
}

/// Writes the file for `--admission-control-config-file` and its kubeconfig, with which the API server authenticates to
/// webhooks. Returns its path.
fn configure(directory: &Path) -> Result<String> {
    let kubeconfig = directory.join("webhooks.kubeconfig");
    let user = json!({ "client-certificate": directory.join("tls.crt"), "client-key": directory.join("tls.key") });
    let users = json!({ "apiVersion": "v1", "kind": "Config", "users": [{ "name": "*", "user": user }] });
    fs::write(&kubeconfig, users.to_string())?;
    let plugin = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": kubeconfig,
    });
    let admission = json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [{ "name": "MutatingAdmissionWebhook", "configuration": plugin }],
    });
    let path = directory.join("admission.json");
    fs::write(&path, admission.to_string())?;
    Ok(path.display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_of_the_current_client_ca_are_answered() -> Result<()> {
    let scratch = Scratch::create("client-certificates")?;
    let directory = scratch.path();
    let first = ClientCertificate::generate("the first client CA")?;
    let second = ClientCertificate::generate("the second client CA")?;
    write(&first, directory)?;
    let options = ClusterOptions::new().control_plane_only();
    let options = options.apiserver_argument(format!("--admission-control-config-file={}", configure(directory)?));
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(options)).await??;
    let context = TestContext::on(&cluster, "clients", 1, &["get", "watch"]).await?;
    let file = directory.join("client-ca.crt");
    replace(&file, &first.ca)?;
    let arguments = [format!("--webhook-cert-secret={SECRET}"), format!("--webhook-client-ca={}", file.display())];
    let mut replica = context.start(0, &arguments)?;
    replica.wait_ready().await?;
    context.wait_admitted().await?;
    let address = context.addresses[0];
    let accepted = async || -> Result<_> {
        let anonymous = accepts(address, None).await?;
        Ok((anonymous, accepts(address, Some(&first)).await?, accepts(address, Some(&second)).await?))
    };
    assert_eq!(accepted().await?, (false, true, false), "anonymous, the first CA's client, the second's");
    let failures = replica.metric("webhook_handshake_failures_total").await?;
    ensure!(failures >= 2.0, "{failures}");

    // Both CAs are accepted, the API server changes its certificate, the old CA is removed.
    let stream = context.stream();
    stream.more(10).await?;
    replace(&file, &(first.ca.clone() + &second.ca))?;
    replica.wait_metric("certificate_client_ca_changes_total", 2.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(20)?;
    assert_eq!(accepted().await?, (false, true, true));
    write(&second, directory)?;
    tokio::task::block_in_place(|| cluster.restart_apiserver())?;
    context.wait_admitted().await?;
    let stream = context.stream();
    stream.more(10).await?;
    replace(&file, &second.ca)?;
    replica.wait_metric("certificate_client_ca_changes_total", 3.0).await?;
    stream.more(10).await?;
    assert_eq!(accepted().await?, (false, false, true));

    replace(&file, "invalid")?;
    replica.wait_sample("certificate_client_ca_refused_total{reason=\"malformed\"}", 1.0).await?;
    stream.more(10).await?;
    stream.end().await?.check(30)?;
    assert_eq!(accepted().await?, (false, false, true));

    // Without the right CA the API server is rejected, so it was accepted before because of its certificate.
    replace(&file, &first.ca)?;
    replica.wait_metric("certificate_client_ca_changes_total", 4.0).await?;
    context.balancer.cut().await?;
    // A hanging webhook rejects pods too, so the message matters.
    poll::eventually("a certificate of the second CA is rejected", PATIENCE, || async {
        match context.refusal().await {
            Some(refusal) if refusal.contains("tls: unknown certificate authority") => Ok(()),
            other => Err(other),
        }
    })
    .await
}
