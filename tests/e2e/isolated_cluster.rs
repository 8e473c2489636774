//! A control plane for one test, which may restart it or lose its history without affecting other tests.

use std::sync::Arc;

use anyhow::{Context, Result};
use kube::Client;
use logstream_testing::{
    Cluster, ClusterOptions, CoderOptions, CoderStandIn, Plan, TestNamespace, Workspace, coder::Valid,
};
use serde_json::json;

use crate::{
    facts::Facts,
    support::{PROGRAM, create, token},
};

/// etcd and an API server, without controllers.
pub(crate) struct IsolatedCluster {
    pub(crate) coder: CoderStandIn,
    pub(crate) client: Client,
    pub(crate) namespace: TestNamespace,
    // Last, so that the namespace is deleted first.
    pub(crate) cluster: Arc<Cluster>,
}

impl IsolatedCluster {
    pub(crate) async fn new(test: &str, options: ClusterOptions) -> Result<Self> {
        let start = move || Cluster::start(options.control_plane_only());
        let cluster = Arc::new(tokio::task::spawn_blocking(start).await??);
        let namespace = TestNamespace::create(&cluster, test).await?;
        let client = cluster.admin_client().await?;
        // No controller creates it, and pods are not admitted without it.
        let account = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": { "name": "default", "namespace": namespace.name() },
        });
        create(&client, &account).await.context("the namespace's ServiceAccount")?;
        Ok(Self { coder: CoderStandIn::start(CoderOptions::new())?, client, namespace, cluster })
    }

    pub(crate) fn plan(&self) -> Plan {
        Plan::new(PROGRAM, &self.coder.url(), self.namespace.name())
    }

    /// Creates a workspace's agent and pod. Returns its token and facts.
    pub(crate) async fn workspace(&self, name: &str) -> Result<(String, Facts)> {
        let agent = token();
        self.coder.add_agent(&agent, Valid::Now);
        let workspace = Workspace::new(self.namespace.name(), "alice", name, &agent);
        Ok((agent, Facts::of(&self.client, &workspace).await?))
    }

    /// Runs a blocking operation on the cluster.
    pub(crate) async fn with_cluster(&self, act: impl FnOnce(&Cluster) -> Result<()> + Send + 'static) -> Result<()> {
        let cluster = Arc::clone(&self.cluster);
        tokio::task::spawn_blocking(move || act(&cluster)).await?
    }
}
