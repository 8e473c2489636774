//! Checks of the Deployment and of the program's stored state.

use anyhow::Result;
use serde_json::json;

use crate::context::TestContext;

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_without_pods_fails() -> Result<()> {
    let context = TestContext::new("doctor-deployment").await?;
    context.release.install(&context.values(json!({})), &[]).await?;
    context.doctor_shows("deployment", "passed", "2 of 2 replicas").await?;
    let deployment = format!("deployment/{}", context.release.full_name());
    context.kubectl(&["scale", &deployment, "--replicas=0"])?;
    context.doctor_shows("deployment", "failed", "scaled to 0").await?;

    let report = context.doctor().await?;
    report.shows("pod-security", "passed", "accepted")?;
    context.kubectl(&["create", "quota", "no-pods", "--hard=pods=0"])?;
    let report = context.doctor_shows("pod-security", "failed", "exceeded quota: no-pods").await?;
    report.shows("webhook-configuration", "passed", "")?;
    report.shows("webhook-call", "warning", "refuses the pod")?;
    context.kubectl(&["scale", &deployment, "--replicas=1"])?;
    context.doctor_shows("deployment", "failed", "no pod can be created").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_pod_security_rejects_fails() -> Result<()> {
    let context = TestContext::new("doctor-psa").await?;
    let values = context.values(json!({ "webhook": { "hostNetwork": true } }));
    context.release.install(&values, &[]).await?;
    context.doctor().await?.shows("pod-security", "passed", "accepted")?;
    let home = context.home.name();
    context.cluster.kubectl(&["label", "namespace", home, "pod-security.kubernetes.io/enforce=restricted"])?;
    context.doctor_shows("pod-security", "failed", "violates PodSecurity").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_not_renewed_fails() -> Result<()> {
    let context = TestContext::new("doctor-lease").await?;
    let replica = context.install(json!({})).await?;
    context.doctor_shows("leader", "passed", "renews the Lease").await?;
    drop(replica);
    context.doctor_shows("leader", "failed", "has not renewed the Lease for 10 s").await?;
    let lease = context.kubectl(&["get", "leases", "--output=name"])?;
    context.kubectl(&["delete", lease.trim()])?;
    context.doctor_shows("leader", "failed", "does not exist").await?;

    let without = json!({ "env": [{ "name": "CODER_LOGSTREAM_LEASE_NAME", "value": "" }] });
    context.release.upgrade(&context.values(without), &[]).await?;
    context.doctor_shows("leader", "failed", "2 replicas without an election").await?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_gone_or_unreadable_fails() -> Result<()> {
    let context = TestContext::new("doctor-checkpoint").await?;
    let replica = context.install(json!({})).await?;
    context.doctor_shows("checkpoint", "passed", "generation 1, 7 scopes").await?;
    drop(replica);
    let name = format!("{}-progress", context.release.full_name());
    let broken = json!({ "data": { "checkpoint.json": "{" } }).to_string();
    context.kubectl(&["patch", "configmap", &name, "--type=merge", "--patch", &broken])?;
    context.doctor_shows("checkpoint", "failed", "cannot be read").await?;
    context.kubectl(&["delete", "configmap", &name])?;
    context.doctor_shows("checkpoint", "failed", "does not exist").await?;
    context.release.uninstall().await
}
