//! The main feature: Events and states of a workspace reach its startup log.

use std::time::Duration;

use anyhow::Result;
use jiff::SignedDuration;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ContainerState, Pod},
};
use kube::{
    ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use logstream_testing::{
    Installation, Scenario, Workspace,
    coder::{Endpoint, KUBERNETES_LOG_SOURCE, Level, Line},
    poll,
};
use serde_json::json;

use crate::{
    events::{NewEvent, marker, raise, raise_series},
    support::{PATIENCE, TestContext, count, once_and_then_counted, only, texts, wait_for_metric},
};

/// A workspace whose Deployment plays a scenario.
struct ScenarioRun {
    context: TestContext,
    installation: Installation,
    agent: String,
    deployment: DynamicObject,
}

impl ScenarioRun {
    async fn start(test: &str, configure: impl FnOnce(Workspace) -> Workspace) -> Result<Self> {
        let context = TestContext::new(test).await?;
        let installation = context.install().await?;
        let agent = context.agent();
        let workspace = configure(Workspace::new(context.namespace.name(), "alice", "dev", &agent));
        let deployment = context.create(&workspace.deployment()).await?;
        Ok(Self { context, installation, agent, deployment })
    }

    async fn wait_for(&self, texts: &[&str]) -> Result<Vec<Line>> {
        self.context.wait_for(&self.agent, texts).await
    }

    /// Deletes the workspace and returns all lines of its pod.
    async fn end(&self) -> Result<Vec<Line>> {
        let pod = self.context.only("v1", "Pod").await?;
        marker(&self.context, &self.agent, &pod).await?;
        self.context.delete(&self.deployment).await?;
        self.wait_for(&["🗑️ Deleted pod"]).await
    }
}

/// Index of the only line that begins with this text.
#[track_caller]
fn place(texts: &[String], beginning: &str) -> usize {
    let places: Vec<_> = (0..texts.len()).filter(|&at| texts[at].starts_with(beginning)).collect();
    let [place] = places[..] else { panic!("{beginning:?} at {places:?} of {texts:#?}") };
    place
}

#[tokio::test]
async fn a_normal_start_is_reported_completely_and_in_order() -> Result<()> {
    let run = ScenarioRun::start("normal", |workspace| workspace.scenario(Scenario::Normal)).await?;
    let lines = run.wait_for(&["Container started"]).await?;
    let shown = texts(&lines);
    let (replicaset, pod) = (run.context.only("apps/v1", "ReplicaSet").await?, run.context.only("v1", "Pod").await?);
    let expected = [
        format!("🐳 Queued pod from ReplicaSet: {}", replicaset.name_any()),
        format!("🐳 Created pod: {}", pod.name_any()),
        "Successfully assigned".to_owned(),
        "Pulling image \"ghcr.io/example/workspace:2026.11\"".to_owned(),
        "Successfully pulled image".to_owned(),
        "Container created".to_owned(),
        "Container started".to_owned(),
    ];
    let places: Vec<_> = expected.iter().map(|beginning| place(&shown, beginning)).collect();
    assert!(places.is_sorted(), "{shown:#?}");
    // The ReplicaSet's Event about the creation has no line of its own.
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    Ok(())
}

#[tokio::test]
async fn the_log_source_is_posted_once_and_before_the_first_line() -> Result<()> {
    let run = ScenarioRun::start("source", |workspace| workspace.scenario(Scenario::Normal)).await?;
    let lines = run.wait_for(&["Container started"]).await?;
    let ScenarioRun { context, agent, .. } = &run;
    assert_eq!(context.coder.requests_of(agent, Endpoint::LogSource), 1);
    assert_eq!(context.coder.violations(), []);
    for line in lines {
        assert!(line.source_known && line.source.to_string() == KUBERNETES_LOG_SOURCE, "{line:?}");
        assert_eq!(line.level, Level::Debug, "{line:?}");
    }
    Ok(())
}

#[tokio::test]
async fn steps_of_an_init_container_are_reported() -> Result<()> {
    let configure = |workspace: Workspace| workspace.scenario(Scenario::Normal).init_container("busybox:1.37");
    let run = ScenarioRun::start("init", configure).await?;
    // The kubelet's message does not name the container, so there is one line for each.
    let started = |lines: &[Line]| count(lines, "Container started") == 2;
    let lines = run.context.coder.wait_for_lines(&run.agent, PATIENCE, started).await?;
    let shown = texts(&lines);
    assert!(place(&shown, "Pulling image \"busybox:1.37\"") < place(&shown, "Pulling image \"ghcr.io"), "{shown:#?}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_image_is_reported_once_with_advice() -> Result<()> {
    let configure = |workspace: Workspace| workspace.scenario(Scenario::WrongImage).image("ghcr.io/example/missing:1");
    let run = ScenarioRun::start("wrong-image", configure).await?;
    run.wait_for(&["Failed to pull image"]).await?;
    // The kubelet reports it four more times: in two Events, and twice in the status.
    let collapsed = "facts_skipped_total{reason=\"collapsed\"}";
    wait_for_metric(&run.installation, collapsed, |collapsed| collapsed >= 3.0).await?;
    let lines = run.end().await?;
    let stuck = only(&lines, "Container dev cannot start: Failed to pull image \"ghcr.io/example/missing:1\": ");
    assert!(stuck.output.contains(" → ") && stuck.output.contains("(ErrImagePull)"), "{stuck:?}");
    assert_eq!(stuck.level, Level::Error, "{stuck:?}");
    for other in ["Back-off pulling", "Error: ", "cannot be pulled"] {
        assert_eq!(count(&lines, other), 0, "{:#?}", texts(&lines));
    }
    Ok(())
}

#[tokio::test]
async fn a_crash_loop_is_reported_once_with_its_exit_code() -> Result<()> {
    let run = ScenarioRun::start("crash-loop", |workspace| workspace.scenario(Scenario::CrashLoop)).await?;
    run.wait_for(&["(CrashLoopBackOff)"]).await?;
    let pod = run.context.only("v1", "Pod").await?;
    // The scenario ends with the fourth crash.
    poll::eventually("four crashes", PATIENCE, || async {
        let pod = run.context.api::<Pod>().get(&pod.name_any()).await.map_err(|error| error.to_string())?;
        let dev = pod.status.and_then(|status| status.container_statuses?.into_iter().next());
        let ended = |state: ContainerState| state.waiting.is_some() || state.terminated.is_some();
        match dev {
            Some(dev) if dev.restart_count == 3 && dev.state.clone().is_some_and(ended) => Ok(()),
            dev => Err(format!("{dev:?}")),
        }
    })
    .await?;
    wait_for_metric(&run.installation, "facts_skipped_total{reason=\"collapsed\"}", |collapsed| collapsed >= 3.0)
        .await?;
    let lines = run.end().await?;
    let ended = once_and_then_counted(&lines, "Container dev ended with exit code 1");
    let counts: Vec<_> = texts(&lines).into_iter().filter(|text| text.contains("ended with exit code 1")).collect();
    assert!(counts.last().is_some_and(|last| last.contains("(x4 over ")), "four ends: {counts:#?}");
    assert!(ended.level == Level::Error && ended.output.contains("The container's own log may say why"), "{ended:?}");
    let looping = only(&lines, "Container dev keeps crashing (CrashLoopBackOff)");
    assert_eq!(looping.level, Level::Warn, "{looping:?}");
    Ok(())
}

#[tokio::test]
async fn an_oom_kill_names_the_limit() -> Result<()> {
    let configure = |workspace: Workspace| workspace.scenario(Scenario::OomKilled).memory("768Mi");
    let run = ScenarioRun::start("oom", configure).await?;
    run.wait_for(&["already present on machine"]).await?;
    let lines = run.end().await?;
    let killed = only(&lines, "Container dev was killed: out of memory (OOMKilled, exit code 137)");
    assert!(killed.level == Level::Error && killed.output.contains("its limit of 768Mi"), "{killed:?}");
    Ok(())
}

#[tokio::test]
async fn an_eviction_is_reported_once_and_then_the_new_pod() -> Result<()> {
    let configure = |workspace: Workspace| workspace.scenario(Scenario::Evicted).evicted_after(Duration::from_secs(4));
    let run = ScenarioRun::start("evicted", configure).await?;
    let created = |lines: &[Line]| count(lines, "🐳 Created pod") == 2 && count(lines, "Container started") == 1;
    run.context.coder.wait_for_lines(&run.agent, PATIENCE, created).await?;
    let replicaset = run.context.only("apps/v1", "ReplicaSet").await?;
    let lines = marker(&run.context, &run.agent, &replicaset).await?;
    let evicted = only(&lines, "The node was low on resource: memory");
    assert_eq!(evicted.level, Level::Error, "{evicted:?}");
    assert!(evicted.output.contains("The node ran out of memory"), "{evicted:?}");
    Ok(())
}

#[tokio::test]
async fn a_replicasets_events_are_reported() -> Result<()> {
    let run = ScenarioRun::start("replicaset", |workspace| workspace).await?;
    let pod = run.context.only("v1", "Pod").await?.name_any();
    run.wait_for(&["Successfully assigned"]).await?;
    let scale = Patch::Merge(json!({ "spec": { "replicas": 0 } }));
    let deployments = run.context.api::<Deployment>();
    deployments.patch(&run.deployment.name_any(), &PatchParams::default(), &scale).await?;
    let lines = run.wait_for(&["Deleted pod: ", "🗑️ Deleted pod: "]).await?;
    let shown = texts(&lines);
    assert_eq!(shown.iter().filter(|text| text.starts_with(&format!("Deleted pod: {pod}"))).count(), 1, "{shown:#?}");
    Ok(())
}

#[tokio::test]
async fn deletions_are_reported_once() -> Result<()> {
    let run = ScenarioRun::start("deleted", |workspace| workspace).await?;
    run.wait_for(&["Successfully assigned"]).await?;
    let (replicaset, pod) = (run.context.only("apps/v1", "ReplicaSet").await?, run.context.only("v1", "Pod").await?);
    run.context.delete(&run.deployment).await?;
    let (replicaset, pod) =
        (format!("Deleted ReplicaSet: {}", replicaset.name_any()), format!("Deleted pod: {}", pod.name_any()));
    let lines = run.wait_for(&[&replicaset, &pod]).await?;
    for text in [replicaset, pod] {
        assert_eq!(only(&lines, &format!("🗑️ {text}")).level, Level::Error);
    }
    Ok(())
}

#[tokio::test]
async fn a_repeated_event_is_reported_as_a_count() -> Result<()> {
    let run = ScenarioRun::start("repeated", |workspace| workspace).await?;
    let pod = run.context.only("v1", "Pod").await?;
    let message = "MountVolume.SetUp failed for volume \"home\"";
    let event = NewEvent::warning(&pod, "FailedMount", message).write(&run.context.client).await?;
    run.wait_for(&[message]).await?;
    // One repeat within the first seconds is not reported.
    raise(&run.context.client, &event, 2, SignedDuration::from_secs(1)).await?;
    raise(&run.context.client, &event, 9, SignedDuration::from_secs(125)).await?;
    let lines = run.wait_for(&["(x9 over 2m)"]).await?;
    assert_eq!(count(&lines, message), 2, "{:#?}", texts(&lines));
    assert!(lines.iter().filter(|line| line.output.contains(message)).all(|line| line.level == Level::Warn));
    Ok(())
}

#[tokio::test]
async fn a_schedulers_event_is_counted_by_its_series() -> Result<()> {
    let run = ScenarioRun::start("series", |workspace| workspace).await?;
    let pod = run.context.only("v1", "Pod").await?;
    let message = "skip schedule deleting pod";
    let event = NewEvent::warning(&pod, "Skipped", message).write_as_scheduler(&run.context.client).await?;
    run.wait_for(&[message]).await?;
    raise_series(&run.context.client, &event, 12, SignedDuration::from_mins(3)).await?;
    let lines = run.wait_for(&["(x12 over 3m)"]).await?;
    assert_eq!(count(&lines, message), 2, "{:#?}", texts(&lines));
    Ok(())
}
