//! The context of a test: the shared cluster with an audit log, a namespace for a release, and a Coder.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, TypeMeta};
use kube::{Api, Client};
use logstream_testing::coder::Valid;
use logstream_testing::pki::ServingCertificate;
use logstream_testing::release::AUDIT_POLICY;
use logstream_testing::{
    CertManager, Cluster, ClusterOptions, CoderOptions, CoderStandIn, Loopback, Release, Replica, TestNamespace,
};
use serde_json::{Value, json};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The binary under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_coder-logstream-kube");

/// Deadline of waits. Most take milliseconds, but the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The name of most releases, which no other object's name contains.
pub(crate) const NAME: &str = "logs-by-chart";

/// A release whose webhook is called for all namespaces would affect other tests, so such a test runs alone.
static TURN: RwLock<()> = RwLock::const_new(());

/// Permission to run, with other tests or alone.
pub(crate) enum Turn {
    Shared(#[expect(dead_code, reason = "held")] RwLockReadGuard<'static, ()>),
    Alone(#[expect(dead_code, reason = "held")] RwLockWriteGuard<'static, ()>),
}

/// The context of a test.
pub(crate) struct TestContext {
    pub(crate) cluster: &'static Cluster,
    pub(crate) client: Client,
    pub(crate) coder: CoderStandIn,
    pub(crate) home: TestNamespace,
    pub(crate) release: Release,
    pub(crate) loopback: Loopback,
    _turn: Turn,
}

/// The cluster shared by all tests.
async fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    let start = || Cluster::start(ClusterOptions::new().audit_policy(AUDIT_POLICY)).expect("the cluster starts");
    tokio::task::spawn_blocking(move || SHARED.get_or_init(start)).await.expect("the cluster starts")
}

/// The cert-manager shared by all tests: two would issue the same certificates.
pub(crate) async fn cert_manager() -> &'static CertManager {
    static SHARED: OnceLock<CertManager> = OnceLock::new();
    let cluster = cluster().await;
    let start = move || CertManager::start(cluster).expect("cert-manager starts");
    tokio::task::spawn_blocking(move || SHARED.get_or_init(start)).await.expect("cert-manager starts")
}

impl TestContext {
    pub(crate) async fn new(test: &str) -> Result<Self> {
        Self::with(test, &[], Turn::Shared(TURN.read().await)).await
    }

    /// A context for a test that runs alone.
    pub(crate) async fn alone(test: &str) -> Result<Self> {
        Self::with(test, &[], Turn::Alone(TURN.write().await)).await
    }

    /// A context with the PodSecurity level restricted in its namespace.
    pub(crate) async fn restricted(test: &str) -> Result<Self> {
        let restricted = [("pod-security.kubernetes.io/enforce", "restricted")];
        Self::with(test, &restricted, Turn::Shared(TURN.read().await)).await
    }

    async fn with(test: &str, labels: &[(&str, &str)], turn: Turn) -> Result<Self> {
        let cluster = cluster().await;
        let home = TestNamespace::create_labelled(cluster, test, labels).await?;
        Ok(Self {
            cluster,
            client: cluster.admin_client().await?,
            coder: CoderStandIn::start(CoderOptions::new())?,
            release: Release::new(cluster, NAME, home.name())?,
            home,
            loopback: Loopback::new(),
            _turn: turn,
        })
    }

    /// Values for a local process, merged with `more`.
    pub(crate) fn values(&self, more: Value) -> Value {
        let mut values = self.loopback.values(more);
        values["url"] = self.coder.url().into();
        values
    }

    /// Installs the chart with values for a local process, merged with `more`, starts its program and waits until it is
    /// ready.
    pub(crate) async fn install(&self, more: Value) -> Result<Replica> {
        self.release.install(&self.values(more), &[]).await?;
        self.start().await
    }

    /// Starts the program in place of the current Deployment's pod, and waits until it is ready.
    pub(crate) async fn start(&self) -> Result<Replica> {
        let mut replica = self.release.start(PROGRAM.as_ref()).await?;
        replica.wait_ready().await?;
        Ok(replica)
    }

    /// Adds an agent with a valid token to Coder and returns the token.
    pub(crate) fn agent(&self) -> String {
        let token = uuid::Uuid::new_v4().to_string();
        self.coder.add_agent(&token, Valid::Now);
        token
    }

    /// Creates an object in the namespace that its manifest names.
    pub(crate) async fn create(&self, manifest: &Value) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(manifest.clone())?;
        let types: TypeMeta = object.types.clone().context("a manifest has a kind")?;
        let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types)?);
        let namespace = object.metadata.namespace.clone().context("a manifest has a namespace")?;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &namespace, &resource);
        api.create(&PostParams::default(), &object).await?;
        Ok(())
    }

    /// Creates a provided certificate in a Secret of this name. Returns the `certs` values for it.
    pub(crate) async fn provide(&self, secret: &str) -> Result<Value> {
        let certificate = ServingCertificate::generate(&[])?;
        self.create(&json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": secret, "namespace": self.home.name() },
            "stringData": { "tls.crt": certificate.certificate, "tls.key": certificate.key },
        }))
        .await?;
        Ok(json!({ "mode": "provided", "existingSecret": secret, "caBundle": certificate.ca }))
    }

    /// The pods of a namespace with these labels.
    pub(crate) async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        Ok(pods.list(&ListParams::default().labels(labels)).await?.items)
    }
}

/// A values file of the chart's own tests.
pub(crate) fn values_file(name: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/tests/values");
    directory.join(name).display().to_string()
}

/// `namespaces: [...]`
pub(crate) fn watching(namespaces: &[&str]) -> Value {
    json!({ "namespaces": namespaces })
}
