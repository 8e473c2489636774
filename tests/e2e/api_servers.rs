//! Two API servers on one etcd, one of which lags behind.

use std::time::Duration;

use anyhow::Result;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::DeleteParams};
use logstream_testing::{AnotherApiServer, ClusterOptions, Installation, installation::Replica, poll};

use crate::{
    facts::{Facts, assert_once_in_order, have_come},
    isolated_cluster::IsolatedCluster,
    replicas::wait_for_leader,
    restarts::saved_in,
    support::{PATIENCE, count, only, texts},
};

const LEASE: Duration = Duration::from_secs(6);

/// Resources that lag at the second API server: all that are watched. Leases and ConfigMaps do not lag.
const WATCHED: [&str; 6] =
    ["/pods", "/events", "apps/deployments", "apps/replicasets", "apps/statefulsets", "batch/jobs"];

/// The leader at one API server, a follower at the other.
struct TwoApiServers {
    leader: Installation,
    follower: Replica,
    other: AnotherApiServer,
    // Last, because the others end before it.
    isolated: IsolatedCluster,
}

impl TwoApiServers {
    async fn new(test: &str) -> Result<Self> {
        let isolated = IsolatedCluster::new(test, ClusterOptions::new()).await?;
        let cluster = isolated.cluster.clone();
        let other = tokio::task::spawn_blocking(move || cluster.another_apiserver(&WATCHED)).await??;
        let leader = isolated.plan().elects(LEASE).install(&*isolated.cluster).await?;
        wait_for_leader(|| leader.metrics(), true).await?;
        let mut follower = leader.replica_via(&*isolated.cluster, other.address())?;
        follower.wait_ready().await?;
        Ok(Self { leader, follower, other, isolated })
    }

    async fn delivered(&self, agent: &str, facts: usize) -> Result<()> {
        self.isolated.coder.wait_for_lines(agent, PATIENCE, |lines| have_come(lines, 0..facts)).await?;
        Ok(())
    }

    /// Waits until the new leader has requested its lists from the API server that lags.
    async fn leads(&self) -> Result<()> {
        wait_for_leader(|| self.follower.metrics(), true).await?;
        self.follower.product.wait_output("resuming from checkpoint", PATIENCE).await
    }

    /// Waits until every list of the new leader is complete.
    async fn synced(&self) -> Result<()> {
        poll::eventually("the new leader has listed everything", PATIENCE, || async {
            let metrics = self.follower.metrics().await.map_err(|error| error.to_string())?;
            let synced = metrics.sum("coder_logstream_watch_synced");
            if synced > 5.5 { Ok(()) } else { Err(synced.to_string()) }
        })
        .await
    }
}

#[tokio::test]
async fn a_handover_to_a_lagging_api_server_loses_and_repeats_nothing() -> Result<()> {
    let mut servers = TwoApiServers::new("lagging").await?;
    let (old, old_facts) = servers.isolated.workspace("old").await?;
    let (gone, gone_facts) = servers.isolated.workspace("gone").await?;
    old_facts.all_happen(0..5).await?;
    gone_facts.all_happen(0..2).await?;
    servers.delivered(&old, 5).await?;
    servers.delivered(&gone, 2).await?;

    servers.other.lag(true);
    // The API server of the next leader sees none of this.
    let (new, new_facts) = servers.isolated.workspace("new").await?;
    new_facts.all_happen(0..5).await?;
    old_facts.all_happen(5..10).await?;
    let pods: Api<Pod> = Api::namespaced(servers.isolated.client.clone(), servers.isolated.namespace.name());
    pods.delete(&gone_facts.pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
    servers.delivered(&new, 5).await?;
    servers.delivered(&old, 10).await?;
    let is_deleted = |lines: &[_]| count(lines, "Deleted pod") > 0;
    servers.isolated.coder.wait_for_lines(&gone, PATIENCE, is_deleted).await?;

    servers.leader.product.sigterm_and_wait(PATIENCE)?;
    servers.leads().await?;
    old_facts.all_happen(10..12).await?;
    new_facts.all_happen(5..7).await?;
    servers.other.lag(false);
    servers.synced().await?;
    servers.delivered(&old, 12).await?;
    servers.delivered(&new, 7).await?;
    for (agent, facts, deleted) in [(&old, 12, 0), (&new, 7, 0), (&gone, 2, 1)] {
        let lines = servers.isolated.coder.lines(agent);
        assert_once_in_order(&lines, 0..facts);
        only(&lines, "Created pod");
        assert_eq!(count(&lines, "Deleted pod"), deleted, "{:#?}", texts(&lines));
    }
    assert_eq!(servers.isolated.coder.violations(), []);
    Ok(())
}

#[tokio::test]
async fn a_stale_list_of_a_lagging_api_server_counts_as_no_deletion() -> Result<()> {
    let mut servers = TwoApiServers::new("stale-list").await?;
    let (first, first_facts) = servers.isolated.workspace("first").await?;
    first_facts.all_happen(0..3).await?;
    servers.delivered(&first, 3).await?;
    // The follower becomes leader, and knows a pod from its API server's cache.
    servers.leader.product.sigterm_and_wait(PATIENCE)?;
    servers.leads().await?;
    servers.synced().await?;
    let (second, second_facts): (String, Facts) = servers.isolated.workspace("second").await?;
    second_facts.all_happen(0..3).await?;
    servers.delivered(&second, 3).await?;
    // A kill repeats what was not saved.
    saved_in(&servers.isolated.client, servers.isolated.namespace.name()).await?;

    // It continues to lead with an API server that lags, and keeps losing its watches there.
    servers.other.lag(true);
    second_facts.all_happen(3..6).await?;
    servers.leader.start_again()?;
    servers.leader.wait_ready().await?;
    servers.follower.product.kill9();
    servers.delivered(&second, 6).await?;
    servers.follower.start_again()?;
    servers.leader.product.sigterm_and_wait(PATIENCE)?;
    servers.leads().await?;
    first_facts.all_happen(3..5).await?;
    servers.other.lag(false);
    servers.synced().await?;
    servers.delivered(&first, 5).await?;
    for (agent, facts) in [(&first, 5), (&second, 6)] {
        let lines = servers.isolated.coder.lines(agent);
        assert_once_in_order(&lines, 0..facts);
        only(&lines, "Created pod");
        assert_eq!(count(&lines, "Deleted pod"), 0, "{:#?}", texts(&lines));
    }
    Ok(())
}
