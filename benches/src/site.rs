//! The control plane of a scenario: etcd and kube-apiserver alone, so that only the driver writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use logstream_testing::release::AUDIT_POLICY;
use logstream_testing::{Admin, Cluster, ClusterOptions, CoderOptions, CoderStandIn, Installation, Plan};
use serde_json::json;

use crate::load::Driver;
use crate::programs::Programs;

/// A control plane and a driver of load.
pub(crate) struct Site {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) driver: Driver,
    pub(crate) version: String,
    pub(crate) programs: Programs,
    namespaces: AtomicU32,
}

impl Site {
    pub(crate) async fn start(programs: &Programs) -> Result<Self> {
        Self::with(ClusterOptions::new(), programs).await
    }

    /// A control plane whose audit log has each request of a ServiceAccount once, at its end.
    pub(crate) async fn audited(programs: &Programs) -> Result<Self> {
        let policy = AUDIT_POLICY.replace("[RequestReceived]", "[RequestReceived, ResponseStarted]");
        Self::with(ClusterOptions::new().audit_policy(policy), programs).await
    }

    async fn with(options: ClusterOptions, programs: &Programs) -> Result<Self> {
        // The limits on requests in flight exist for fairness between clients; there is only one here.
        let options = options
            .control_plane_only()
            .apiserver_argument("--max-requests-inflight=2000")
            .apiserver_argument("--max-mutating-requests-inflight=1000");
        let cluster = tokio::task::spawn_blocking(|| Cluster::start(options)).await.context("the start")??;
        let driver = Driver::new(cluster.admin_client().await?);
        let version = cluster.admin_client().await?.apiserver_version().await?.git_version;
        Ok(Self {
            cluster: Arc::new(cluster),
            driver,
            version,
            programs: programs.clone(),
            namespaces: AtomicU32::new(1),
        })
    }

    /// Creates a namespace in which pods can be created.
    pub(crate) async fn namespace(&self, what: &str) -> Result<String> {
        let name = format!("{what}-{}", self.namespaces.fetch_add(1, Ordering::Relaxed));
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.driver.post("/api/v1/namespaces", &object).await?;
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
        self.driver.post(&format!("/api/v1/namespaces/{name}/serviceaccounts"), &account).await?;
        Ok(name)
    }

    /// The installation plan of the product for a namespace.
    pub(crate) fn plan(&self, coder: &CoderStandIn, namespace: &str) -> Plan {
        Plan::new(&self.programs.product, &coder.url(), namespace).arg("--log-level=warn")
    }

    /// Installs the product with its webhook registered.
    pub(crate) async fn install(&self, coder: &CoderStandIn, namespace: &str) -> Result<Installation> {
        self.plan(coder, namespace).install(self).await
    }
}

impl AsRef<Admin> for Site {
    fn as_ref(&self) -> &Admin {
        (*self.cluster).as_ref()
    }
}

/// A stand-in for Coder that records its requests.
pub(crate) fn coder(options: CoderOptions) -> Result<CoderStandIn> {
    CoderStandIn::start(options.journal())
}
