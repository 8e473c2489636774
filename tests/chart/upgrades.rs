//! An upgrade in place: the new pod is ready before the old one ends, and no admission is missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use logstream_testing::installation::SEEN_BY_WEBHOOK;
use logstream_testing::{Balancer, Loopback, Workspace, poll, webhook_probe::wait_called};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::context::{PATIENCE, TestContext};

/// Continuous admissions by dry run, in sequence.
struct Admissions {
    admitted: Arc<AtomicU32>,
    ended: Arc<AtomicBool>,
    task: JoinSet<Result<()>>,
}

impl Admissions {
    fn start(pods: Api<Pod>, pod: Pod) -> Self {
        let (admitted, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let mut task = JoinSet::new();
        let (count, end) = (Arc::clone(&admitted), Arc::clone(&ended));
        task.spawn(async move {
            let dry = PostParams { dry_run: true, ..PostParams::default() };
            while !end.load(Ordering::Relaxed) {
                // The failure policy is Fail: a failing webhook is an error here.
                let pod = pods.create(&dry, &pod).await?;
                let seen = pod.metadata.annotations.unwrap_or_default().contains_key(SEEN_BY_WEBHOOK);
                ensure!(seen, "a pod was admitted without the webhook");
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { admitted, ended, task }
    }

    /// Waits until `more` more pods were admitted. Fails if one was not.
    async fn more(&mut self, more: u32) -> Result<()> {
        let wanted = self.admitted.load(Ordering::Relaxed) + more;
        poll::eventually("more are admitted", PATIENCE, || {
            let admitted = self.admitted.load(Ordering::Relaxed);
            let failed = self.task.try_join_next();
            async move {
                match failed {
                    Some(ended) => Ok(ended.context("the admissions end").and_then(|ended| ended)),
                    None if admitted >= wanted => Ok(Ok(())),
                    None => Err(admitted),
                }
            }
        })
        .await?
    }

    async fn end(mut self) -> Result<u32> {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(ended) = self.task.join_next().await {
            ended??;
        }
        Ok(self.admitted.load(Ordering::Relaxed))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_drops_no_admission() -> Result<()> {
    let mut context = TestContext::new("upgrade").await?;
    // Like a Service: one address in front of changing pods.
    let service = Balancer::start(Vec::new()).await?;
    let failing = |more: Value| -> Value {
        let mut values = json!({ "webhook": { "failurePolicy": "Fail", "timeoutSeconds": 10 } });
        values["podAnnotations"] = more;
        values
    };
    let mut loopback = context.loopback;
    context.loopback = loopback.behind(service.address());
    service.set_servers(&[loopback.webhook().context("a webhook")?]);
    let mut replica = context.install(failing(json!({}))).await?;
    let home = context.home.name().to_owned();
    wait_called(context.cluster, &home, true).await?;

    let pod = Workspace::new(&home, "probe", "probe", &context.agent()).pod();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), &home);
    let mut admissions = Admissions::start(pods, serde_json::from_value(pod)?);
    // helm uses server-side apply, or merges on the client as it did before: neither may change the caBundle.
    for (revision, flags) in [("server", &["--server-side=true"][..]), ("client", &["--server-side=false"])] {
        admissions.more(20).await?;
        loopback = Loopback::new();
        context.loopback = loopback.behind(service.address());
        context.release.upgrade(&context.values(failing(json!({ "revision": revision }))), flags).await?;
        admissions.more(20).await?;
        let next = context.start().await?;
        service.set_servers(&[loopback.webhook().context("a webhook")?]);
        let old = std::mem::replace(&mut replica, next);
        tokio::task::spawn_blocking(move || old.end()).await??;
        admissions.more(20).await.with_context(|| format!("after the upgrade by {revision}"))?;
    }
    let admitted = admissions.end().await?;
    ensure!(admitted >= 120, "only {admitted} were admitted");
    Ok(())
}
