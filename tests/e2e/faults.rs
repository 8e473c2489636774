//! Failures between the API server and the program.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::{
    core::v1::{Event, Pod},
    rbac::v1::Role,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, VersionMatch},
};
use logstream_testing::{ClusterOptions, FaultProxy, Installation, Scenario, Workspace, access::rule, poll};
use serde_json::json;
use tokio::time::interval;

use crate::{
    facts::{Facts, assert_once_in_order, fact, have_come},
    isolated_cluster::IsolatedCluster,
    metrics::{metric_count, wait_for_count},
    support::{PATIENCE, TestContext, count, only, texts},
};

/// Number of streams of one namespace.
const STREAMS: usize = 6;

#[tokio::test]
async fn a_pod_created_during_the_first_list_misses_no_line() -> Result<()> {
    let context = TestContext::new("first-list").await?;
    let proxy = FaultProxy::start(context.cluster.server_address())?;
    // The webhook is called before any list is possible.
    proxy.stall(true);
    let mut installation = context.plan().via_proxy(proxy.address()).begin(context.cluster).await?;
    installation.register(context.cluster).await?;
    // Slow enough to observe lists in progress.
    proxy.delay(Duration::from_millis(400));
    proxy.stall(false);
    poll::eventually("the lists have begun", PATIENCE, || readiness(&installation, "pods in")).await?;
    proxy.stall(true);

    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).scenario(Scenario::Normal);
    context.create(&workspace.deployment()).await?;
    let events: Api<Event> = context.api();
    poll::eventually("the pod has started", PATIENCE, || async {
        let found = events.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let started = found.iter().any(|event| event.reason.as_deref() == Some("Started"));
        if started { Ok(()) } else { Err(format!("{} Events", found.items.len())) }
    })
    .await?;
    readiness(&installation, "pods in").await.map_err(anyhow::Error::msg)?;
    assert_eq!(texts(&context.coder.lines(&agent)), [""; 0], "nothing can be known before the list");

    proxy.delay(Duration::ZERO);
    proxy.stall(false);
    let (replicaset, pod) = (context.only("apps/v1", "ReplicaSet").await?, context.only("v1", "Pod").await?);
    let queued = format!("🐳 Queued pod from ReplicaSet: {}", replicaset.name_any());
    let created = format!("🐳 Created pod: {}", pod.name_any());
    let expected =
        [&queued, &created, "Successfully assigned", "Pulling image", "Container created", "Container started"];
    let lines = context.wait_for(&agent, &expected).await?;
    for text in expected {
        only(&lines, text);
    }
    assert!(pod.annotations().contains_key(logstream_testing::installation::SEEN_BY_WEBHOOK));
    assert_eq!(context.coder.violations(), []);
    Ok(())
}

/// Returns `Ok` if it is unready with `wanted` in the response.
async fn readiness(installation: &Installation, wanted: &str) -> Result<(), String> {
    let answer = installation.product.get(&installation.health_url("/readyz?verbose")).await;
    match answer.map_err(|error| error.to_string())? {
        (503, body) if body.contains(wanted) => Ok(()),
        (status, body) => Err(format!("{status} {body}")),
    }
}

/// An installation whose watch permissions can be changed, so that one stream can be delayed behind another.
struct RestrictedWatches {
    context: TestContext,
    proxy: FaultProxy,
    installation: Installation,
}

impl RestrictedWatches {
    async fn new(test: &str) -> Result<Self> {
        let context = TestContext::new(test).await?;
        let proxy = FaultProxy::start(context.cluster.server_address())?;
        let installation = context.plan().via_proxy(proxy.address()).install(context.cluster).await?;
        Ok(Self { context, proxy, installation })
    }

    /// Allows only these resources of the core group.
    async fn allow(&self, core: &[&str]) -> Result<()> {
        let verbs = ["get", "list", "watch"];
        let rules = [
            rule("", core, &verbs),
            rule("apps", &["deployments", "replicasets", "statefulsets"], &verbs),
            rule("batch", &["jobs"], &verbs),
        ];
        let api: Api<Role> = self.context.api();
        let patch = Patch::Merge(json!({ "rules": rules }));
        api.patch("coder-logstream-kube", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// Forbids one stream, and waits until the program has noticed.
    async fn without(&self, stream: &str, allowed: &str) -> Result<()> {
        self.allow(&[allowed]).await?;
        let errors = format!("watch_errors_total{{stream=\"{stream}\",reason=\"forbidden\"}}");
        poll::eventually("the stream is forbidden", PATIENCE, || async {
            // The authorizer may lag behind and allow a watch, which then has to be cut as well.
            self.proxy.cut();
            let look = wait_for_count(&self.installation, &errors, |count| count > 0);
            tokio::time::timeout(Duration::from_secs(3), look).await
        })
        .await??;
        Ok(())
    }

    async fn pod(&self) -> Result<(String, Facts)> {
        let agent = self.context.agent();
        let workspace = Workspace::new(self.context.namespace.name(), "alice", "dev", &agent);
        Ok((agent, Facts::of(&self.context.client, &workspace).await?))
    }
}

#[tokio::test]
async fn events_received_before_their_pod_wait_for_it() -> Result<()> {
    let restricted = RestrictedWatches::new("event-first").await?;
    restricted.without("pods", "events").await?;
    let (agent, facts) = restricted.pod().await?;
    facts.all_happen(0..3).await?;
    wait_for_count(&restricted.installation, "events_waiting", |count| count >= 3).await?;
    assert_eq!(texts(&restricted.context.coder.lines(&agent)), [""; 0], "the pod is not known yet");
    restricted.allow(&["pods", "events"]).await?;
    let lines = restricted.context.wait_for(&agent, &[&fact(2)]).await?;
    assert_once_in_order(&lines, 0..3);
    assert_eq!(texts(&lines)[0], format!("🐳 Created pod: {}", facts.pod.name_any()));
    Ok(())
}

#[tokio::test]
async fn a_pod_received_before_its_events_is_reported_at_once() -> Result<()> {
    let restricted = RestrictedWatches::new("pod-first").await?;
    restricted.without("events", "pods").await?;
    let (agent, facts) = restricted.pod().await?;
    facts.all_happen(0..3).await?;
    let lines = restricted.context.wait_for(&agent, &["Created pod"]).await?;
    assert!((0..3).all(|n| count(&lines, &fact(n)) == 0), "{:#?}", texts(&lines));
    restricted.allow(&["pods", "events"]).await?;
    let lines = restricted.context.wait_for(&agent, &[&fact(2)]).await?;
    assert_once_in_order(&lines, 0..3);
    assert_eq!(texts(&lines)[0], format!("🐳 Created pod: {}", facts.pod.name_any()));
    Ok(())
}

#[tokio::test]
async fn an_api_server_restart_loses_and_repeats_no_line() -> Result<()> {
    let isolated = IsolatedCluster::new("api-server-killed", ClusterOptions::new()).await?;
    let mut installation = isolated.plan().without_webhook().install(&*isolated.cluster).await?;
    let (agent, facts) = isolated.workspace("dev").await?;

    let (restarted, mut over) = tokio::sync::watch::channel(false);
    let write = async {
        let mut pace = interval(Duration::from_millis(50));
        let mut after = 0;
        for n in 0.. {
            pace.tick().await;
            facts.happen_eventually(n).await?;
            after += usize::from(*over.borrow_and_update());
            if after > 10 {
                return anyhow::Ok(n + 1);
            }
        }
        unreachable!("the facts have no end");
    };
    let restart = async {
        isolated.coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..5)).await?;
        isolated.with_cluster(logstream_testing::Cluster::restart_apiserver).await?;
        restarted.send_replace(true);
        anyhow::Ok(())
    };
    let (written, ()) = tokio::try_join!(write, restart)?;

    wait_for_count(&installation, "watch_synced", |sum| sum == STREAMS).await?;
    facts.happen(written).await?;
    let lines = isolated.coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..written + 1)).await?;
    assert_once_in_order(&lines, 0..written + 1);
    only(&lines, "Created pod");
    // Pods are seen as before.
    let (another, _) = isolated.workspace("another").await?;
    isolated.coder.wait_for_lines(&another, PATIENCE, |lines| count(lines, "Created pod") == 1).await?;
    assert_eq!(installation.product.ended(), None);
    Ok(())
}

#[tokio::test]
async fn an_expired_watch_reports_only_new_events_and_deletions() -> Result<()> {
    /// More than are remembered per pod: only the watch's last revision shows what is new.
    const BEFORE: usize = 60;
    const ALL: usize = BEFORE + 5;

    // Without its cache the API server has no more history than etcd, which is compacted soon.
    let options = ClusterOptions::new()
        .apiserver_argument("--watch-cache=false")
        .apiserver_argument("--etcd-compaction-interval=1s");
    let isolated = IsolatedCluster::new("expired", options).await?;
    let proxy = FaultProxy::start(isolated.cluster.server_address())?;
    let mut installation =
        isolated.plan().without_webhook().via_proxy(proxy.address()).install(&*isolated.cluster).await?;
    let (kept, facts) = isolated.workspace("kept").await?;
    let (gone, gone_facts) = isolated.workspace("gone").await?;
    facts.all_happen(0..BEFORE).await?;
    gone_facts.all_happen(0..BEFORE).await?;
    for agent in [&kept, &gone] {
        isolated.coder.wait_for_lines(agent, PATIENCE, |lines| have_come(lines, 0..BEFORE)).await?;
    }

    proxy.refuse(true);
    proxy.cut();
    wait_for_count(&installation, "watch_synced", |sum| sum == 0).await?;
    let events: Api<Event> = Api::namespaced(isolated.client.clone(), isolated.namespace.name());
    let known = events.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(isolated.client.clone(), isolated.namespace.name());
    pods.delete(&gone_facts.pod.name_any(), &DeleteParams::default()).await?;
    facts.all_happen(BEFORE..ALL).await?;
    let (new, new_facts) = isolated.workspace("new").await?;
    new_facts.all_happen(0..3).await?;
    // The history after the program's last revision has been compacted.
    let then = ListParams::default().matching(VersionMatch::Exact).at(&known);
    poll::eventually("etcd forgets", PATIENCE, || async {
        match events.list(&then).await {
            Err(kube::Error::Api(status)) if status.code == 410 => Ok(()),
            other => Err(other.map(|list| list.items.len())),
        }
    })
    .await?;
    let relists = metric_count(&installation, "watch_relists_total").await?;
    proxy.refuse(false);

    wait_for_count(&installation, "watch_synced", |sum| sum == STREAMS).await?;
    assert_eq!(metric_count(&installation, "watch_relists_total").await? - relists, STREAMS, "each watch had expired");
    facts.happen(ALL).await?;
    new_facts.happen(3).await?;
    let lines = isolated.coder.wait_for_lines(&kept, PATIENCE, |lines| have_come(lines, 0..ALL + 1)).await?;
    assert_once_in_order(&lines, 0..ALL + 1);
    only(&lines, "Created pod");
    let lines = isolated.coder.wait_for_lines(&new, PATIENCE, |lines| have_come(lines, 0..4)).await?;
    assert_once_in_order(&lines, 0..4);
    only(&lines, "Created pod");
    // Reported only after a request for the pod itself has shown that the list was not stale.
    let deleted = format!("🗑️ Deleted pod: {}", gone_facts.pod.name_any());
    let lines = isolated.coder.wait_for_lines(&gone, PATIENCE, |lines| count(lines, &deleted) > 0).await?;
    assert_once_in_order(&lines, 0..BEFORE);
    only(&lines, &deleted);
    ensure!(installation.product.ended().is_none(), "{}", installation.product.output());
    Ok(())
}
