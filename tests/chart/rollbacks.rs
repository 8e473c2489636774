//! `helm upgrade` from one replica to two, `helm rollback`, and a rollback of a rollout that is stuck: no line is lost
//! or repeated.

use std::collections::{BTreeMap, btree_map::Entry};
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{DeleteParams, PostParams};
use kube::{Api, ResourceExt};
use logstream_testing::coder::Line;
use logstream_testing::facts::{assert_once_in_order, event, fact};
use logstream_testing::scenarios::{ANNOTATION, Scenario};
use logstream_testing::{Loopback, Replica, Workspace, poll, ports};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::interval;

use crate::context::{PATIENCE, PROGRAM, TestContext};

/// Interval between two Events, which keeps them below Coder's rate limit.
const PACE: Duration = Duration::from_millis(200);

/// Writes Events about a pod, one after the other.
struct EventWriter {
    written: Arc<AtomicUsize>,
    task: JoinSet<Result<()>>,
    abort: AbortHandle,
}

impl EventWriter {
    fn start(events: Api<Event>, pod: Pod) -> Self {
        let written = Arc::new(AtomicUsize::new(0));
        let mut task = JoinSet::new();
        let count = Arc::clone(&written);
        let abort = task.spawn(async move {
            let mut pace = interval(PACE);
            loop {
                pace.tick().await;
                let n = count.load(Ordering::Relaxed);
                events.create(&PostParams::default(), &event(&pod, "Normal", n, &fact(n))?).await?;
                count.store(n + 1, Ordering::Relaxed);
            }
        });
        Self { written, task, abort }
    }

    /// Waits until the lines of all Events so far, and of some more, have arrived.
    async fn arrive(&mut self, context: &TestContext, agent: &str) -> Result<()> {
        let last = self.written.load(Ordering::Relaxed) + 3;
        let come = |lines: &[Line]| lines.iter().any(|line| line.output.contains(&fact(last)));
        let arrived = context.coder.wait_for_lines(agent, PATIENCE, come).await;
        if let Some(ended) = self.task.try_join_next() {
            ended??;
        }
        arrived.map(drop).with_context(|| fact(last))
    }

    /// Stops. Returns the number of written Events; the API server may have received one more.
    async fn end(mut self) -> usize {
        self.abort.abort();
        while self.task.join_next().await.is_some() {}
        self.written.load(Ordering::Relaxed)
    }
}

/// Replaces the node: runs a process for each pod of the release.
struct Node<'a> {
    context: &'a TestContext,
    processes: Mutex<BTreeMap<String, Replica>>,
}

impl Node<'_> {
    async fn pods(&self) -> Result<Vec<Pod>> {
        let labels = format!("app.kubernetes.io/instance={}", self.context.release.name());
        self.context.pods(self.context.home.name(), &labels).await
    }

    /// Starts a process for each running pod, waits until it is ready, then ends those whose pods are gone.
    async fn catch_up(&self) -> Result<()> {
        let pods = self.pods().await?;
        let mut processes = self.processes.lock().await;
        for pod in pods.iter().filter(|pod| runs(pod)) {
            if let Entry::Vacant(place) = processes.entry(pod.name_any()) {
                let mut process = self.context.release.start_pod(pod, PROGRAM.as_ref(), ports::free()).await?;
                process.wait_ready().await?;
                place.insert(process);
            }
        }
        let is_gone = |name: &String| !pods.iter().any(|pod| runs(pod) && pod.name_any() == *name);
        let gone: Vec<String> = processes.keys().filter(|name| is_gone(name)).cloned().collect();
        for process in gone.iter().filter_map(|name| processes.remove(name)).collect::<Vec<_>>() {
            tokio::task::spawn_blocking(move || process.end()).await??;
        }
        Ok(())
    }

    /// Names of the pods that have a process.
    async fn running(&self) -> Vec<String> {
        self.processes.lock().await.keys().cloned().collect()
    }

    /// Follows the Deployment's controller until this many pods run, all of the current template.
    async fn rolled_out(&self, replicas: usize) -> Result<()> {
        let wanted = i32::try_from(replicas)?;
        poll::eventually(&format!("{replicas} pods run"), PATIENCE, || async {
            self.catch_up().await.map_err(|error| format!("{error:?}"))?;
            let deployment = self.context.release.deployment().await.map_err(|error| error.to_string())?;
            let pods = self.pods().await.map_err(|error| error.to_string())?;
            let (status, running) = (deployment.status.unwrap_or_default(), self.running().await);
            let is_done = status.observed_generation == deployment.metadata.generation
                && [status.replicas, status.updated_replicas, status.available_replicas] == [Some(wanted); 3]
                && pods.len() == replicas
                && running.len() == replicas
                && pods.iter().all(|pod| running.contains(&pod.name_any()));
            if is_done { Ok(()) } else { Err(format!("{status:?} and the processes {running:?}")) }
        })
        .await
    }

    /// Name of the pod that delivers.
    async fn leader(&self) -> Result<String> {
        poll::eventually("one replica leads", PATIENCE, || async {
            let mut leaders = Vec::new();
            for (name, process) in &*self.processes.lock().await {
                let metrics = process.metrics().await.map_err(|error| error.to_string())?;
                if metrics.sum("coder_logstream_leader") > 0.5 {
                    leaders.push(name.clone());
                }
            }
            match &leaders[..] {
                [leader] => Ok(leader.clone()),
                others => Err(format!("{others:?} lead")),
            }
        })
        .await
    }
}

/// True if the pod's container has started and the pod is not being deleted.
fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// True if the pod's image cannot be pulled.
fn is_stuck(pod: &Pod) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.as_ref()?.reason.as_deref());
    waiting.any(|reason| reason.starts_with("ErrImage") || reason.starts_with("ImagePull"))
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_rollback_loses_and_repeats_no_line() -> Result<()> {
    let mut context = TestContext::new("rollback").await?;
    context.loopback = Loopback::new().without_webhook();
    let values = |replicas: usize, more: Value| context.values(json!({ "replicas": replicas, "podAnnotations": more }));
    let node = Node { context: &context, processes: Mutex::default() };
    let release = &context.release;
    release.install(&values(1, json!({})), &[]).await?;
    node.rolled_out(1).await?;

    let agent = context.agent();
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), context.home.name());
    let manifest = serde_json::from_value(Workspace::new(context.home.name(), "alice", "dev", &agent).pod())?;
    let pod = pods.create(&PostParams::default(), &manifest).await?;
    let events = Api::namespaced(context.client.clone(), context.home.name());
    let mut happenings = EventWriter::start(events, pod);
    happenings.arrive(&context, &agent).await?;

    release.upgrade(&values(2, json!({})), &[]).await?;
    node.rolled_out(2).await?;
    happenings.arrive(&context, &agent).await.context("after the upgrade to two")?;
    release.rollback(1).await?;
    node.rolled_out(1).await?;
    happenings.arrive(&context, &agent).await.context("after the rollback to one")?;
    // This becomes the fourth revision.
    release.rollback(2).await?;
    node.rolled_out(2).await?;
    happenings.arrive(&context, &agent).await.context("after the rollback to two")?;

    release.upgrade(&values(2, json!({ ANNOTATION: Scenario::WrongImage.name() })), &[]).await?;
    poll::eventually("the rollout is stuck", PATIENCE, || async {
        let pods = node.pods().await.map_err(|error| error.to_string())?;
        if pods.iter().any(is_stuck) { Ok(()) } else { Err(format!("{} pods", pods.len())) }
    })
    .await?;
    happenings.arrive(&context, &agent).await.context("while the rollout is stuck")?;
    // The leader's node is drained. The old ReplicaSet replaces the pod.
    let leader = node.leader().await?;
    pods.delete(&leader, &DeleteParams::default()).await?;
    poll::eventually("the drained pod is replaced", PATIENCE, || async {
        node.catch_up().await.map_err(|error| format!("{error:?}"))?;
        let names = node.running().await;
        if names.len() == 2 && !names.contains(&leader) { Ok(()) } else { Err(format!("{names:?}")) }
    })
    .await?;
    happenings.arrive(&context, &agent).await.context("after a drain during the stuck rollout")?;
    let before = node.running().await;
    release.rollback(4).await?;
    node.rolled_out(2).await?;
    happenings.arrive(&context, &agent).await.context("after the rollback of the stuck rollout")?;
    let after = node.running().await;
    ensure!(before == after, "a rollback of a stuck rollout restarts nothing: {before:?} became {after:?}");

    let written = happenings.end().await;
    let come = |lines: &[Line]| lines.iter().any(|line| line.output.contains(&fact(written - 1)));
    let lines = context.coder.wait_for_lines(&agent, PATIENCE, come).await?;
    assert_once_in_order(&lines, once("Created pod".to_owned()).chain((0..written).map(fact)));
    assert_eq!(context.coder.violations(), []);
    node.leader().await.map(drop)
}
