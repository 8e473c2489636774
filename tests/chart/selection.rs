//! Pods that the API server does not send to the webhook.

use anyhow::{Context, Result, ensure};
use logstream_testing::installation::SEEN_BY_WEBHOOK;
use logstream_testing::{Replica, poll};
use serde_json::{Value, json};

use crate::context::{PATIENCE, TestContext};

/// Number of reviews that the program received.
async fn reviews(replica: &Replica) -> Result<f64> {
    Ok(replica.metrics().await?.sum("coder_logstream_admission_reviews_total"))
}

impl TestContext {
    /// Creates a pod with these labels and this container by dry run, and returns the result.
    fn dry_run(&self, labels: &Value, container: &Value) -> Result<String> {
        let mut container = container.clone();
        container["name"] = "dev".into();
        container["image"] = "dev".into();
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "selected", "namespace": self.home.name(), "labels": labels },
            "spec": { "containers": [container] },
        });
        self.cluster.kubectl_with(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &pod.to_string())
    }

    /// Waits until a pod with these labels and this container is annotated by the webhook.
    async fn is_sent(&self, labels: &Value, container: &Value) -> Result<()> {
        poll::eventually("the webhook sees the pod", PATIENCE, || async {
            let pod = self.dry_run(labels, container).map_err(|error| error.to_string())?;
            if pod.contains(SEEN_BY_WEBHOOK) { Ok(()) } else { Err(pod) }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_pods_of_the_label_selector_are_sent() -> Result<()> {
    let context = TestContext::new("selection").await?;
    let selector = "example.com/coder in (one, two),tier!=test,!example.com/hidden,team";
    let replica = context.install(json!({ "labelSelector": selector })).await?;
    let container = json!({ "env": [{ "name": "CODER_AGENT_TOKEN", "value": context.agent() }] });
    let selected = json!({ "example.com/coder": "two", "team": "a" });
    context.is_sent(&selected, &container).await?;
    let before = reviews(&replica).await?;
    for others in [
        json!({}),
        json!({ "example.com/coder": "three", "team": "a" }),
        json!({ "example.com/coder": "one" }),
        json!({ "example.com/coder": "one", "team": "a", "tier": "test" }),
        json!({ "example.com/coder": "one", "team": "a", "example.com/hidden": "" }),
    ] {
        let pod = context.dry_run(&others, &container)?;
        ensure!(!pod.contains(SEEN_BY_WEBHOOK), "not selected, but seen: {others}");
    }
    ensure!(reviews(&replica).await? <= before, "a pod that is not selected was sent");
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn env_from_is_sent_only_where_it_may_be_read() -> Result<()> {
    let context = TestContext::new("env-from").await?;
    let replica = context.install(json!({})).await?;
    let plain = json!({ "env": [{ "name": "CODER_AGENT_TOKEN", "value": context.agent() }] });
    let by_reference = json!({ "envFrom": [{ "secretRef": { "name": "token", "optional": true } }] });
    context.is_sent(&json!({}), &plain).await?;
    let before = reviews(&replica).await?;
    context.dry_run(&json!({}), &by_reference)?;
    ensure!(reviews(&replica).await? <= before, "a pod with envFrom was sent");
    let deployment = serde_json::to_value(context.release.deployment().await?)?;
    let env = deployment.pointer("/spec/template/spec/containers/0/env").context("a container has env")?;
    let off = json!({ "name": "CODER_LOGSTREAM_RESOLVE_REFERENCES", "value": "false" });
    ensure!(env.as_array().is_some_and(|env| env.contains(&off)), "{env}");

    context.release.upgrade(&context.values(json!({ "rbac": { "readSecrets": true } })), &[]).await?;
    poll::eventually("a pod with envFrom is sent", PATIENCE, || async {
        context.dry_run(&json!({}), &by_reference).map_err(|error| error.to_string())?;
        let now = reviews(&replica).await.map_err(|error| error.to_string())?;
        if now > before { Ok(()) } else { Err(now.to_string()) }
    })
    .await?;
    context.release.uninstall().await
}
