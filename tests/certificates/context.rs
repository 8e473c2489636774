//! The context of a test: the shared cluster, its own namespace and webhook configuration, and replicas of the product.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::MutatingWebhookConfiguration,
        core::v1::{Pod, Secret, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding},
    },
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use logstream_testing::{
    Access, Admin, Balancer, Cluster, ClusterOptions, CoderOptions, CoderStandIn, FailurePolicy, FaultProxy, Metrics,
    Product, Scope, TestNamespace, WebhookConfig, Workspace, access::rule, coder::Valid, poll, ports,
    webhook_config::AppliedWebhook, webhook_probe::wait_called,
};
use serde_json::json;

use crate::stream::{Connections, Stream};

/// Agent token of every pod.
pub(crate) const TOKEN: &str = "6f1a4c1e-7d8e-4a1f-9c58-2f6d1c0b7e55";

/// Deadline of waits. Most take milliseconds, but the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const ACCOUNT: &str = "logstream";
pub(crate) const SECRET: &str = "webhook-cert";

/// The shared cluster, without controllers: pods are only created.
pub(crate) async fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    let start = || Cluster::start(ClusterOptions::new().control_plane_only());
    tokio::task::spawn_blocking(move || SHARED.get_or_init(|| start().expect("the cluster starts")))
        .await
        .expect("the cluster starts")
}

/// The API server uses the machine's clock, so certificates must be issued with it.
#[expect(clippy::disallowed_methods, reason = "a test's own clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) struct TestContext {
    admin: Admin,
    pub(crate) client: Client,
    pub(crate) balancer: Arc<Balancer>,
    namespace: TestNamespace,
    webhook: AppliedWebhook,
    access: Access,
    pub(crate) coder: CoderStandIn,
    pub(crate) addresses: Vec<SocketAddr>,
}

/// One process of the product.
pub(crate) struct Replica {
    pub(crate) product: Product,
    health: SocketAddr,
}

impl TestContext {
    /// Creates a webhook configuration without a caBundle, for a load balancer in front of this number of replicas.
    pub(crate) async fn new(test: &str, replicas: usize) -> Result<Self> {
        Self::with(test, replicas, &["get", "watch"]).await
    }

    /// The same, with these verbs for reading the product's own objects.
    pub(crate) async fn with(test: &str, replicas: usize, reading: &[&str]) -> Result<Self> {
        Self::on(cluster().await, test, replicas, reading).await
    }

    /// The same, on the test's own cluster.
    pub(crate) async fn on(cluster: &Cluster, test: &str, replicas: usize, reading: &[&str]) -> Result<Self> {
        let client = cluster.admin_client().await?;
        let namespace = TestNamespace::create(cluster, test).await?;
        let account: ServiceAccount = serde_json::from_value(json!({ "metadata": { "name": "default" } }))?;
        Api::namespaced(client.clone(), namespace.name()).create(&PostParams::default(), &account).await?;
        let addresses: Vec<_> = (0..replicas).map(|_| ports::free()).collect();
        let balancer = Arc::new(Balancer::start(addresses.clone()).await?);
        let url = format!("https://{}/mutate", balancer.address());
        let webhook = WebhookConfig::new(&url, "", &[namespace.name()]);
        let webhook = webhook.failure_policy(FailurePolicy::Fail).timeout_seconds(10).apply(cluster).await?;
        let access = access(cluster, &client, namespace.name(), webhook.name(), reading).await?;
        let coder = CoderStandIn::start(CoderOptions::new())?;
        coder.add_agent(TOKEN, Valid::Now);
        let admin = cluster.as_ref().clone();
        Ok(Self { admin, client, balancer, namespace, webhook, access, coder, addresses })
    }

    /// Makes later replicas reach the API server through a proxy.
    pub(crate) async fn through(&mut self, proxy: &FaultProxy) -> Result<()> {
        let server = format!("https://{}", proxy.address());
        self.access.kubeconfig = cluster().await.kubeconfig_via(&server, self.namespace(), &self.access.token)?;
        Ok(())
    }

    pub(crate) fn namespace(&self) -> &str {
        self.namespace.name()
    }

    pub(crate) fn configuration(&self) -> &str {
        self.webhook.name()
    }

    /// Starts a replica without waiting.
    pub(crate) fn start(&self, index: usize, certificate: &[String]) -> Result<Replica> {
        let health = ports::free();
        let product = Product::builder(env!("CARGO_BIN_EXE_coder-logstream-kube"))
            .arg(format!("--coder-url={}", self.coder.url()))
            .arg(format!("--kubeconfig={}", self.access.kubeconfig.display()))
            .arg(format!("--namespaces={}", self.namespace()))
            .arg(format!("--health-addr={health}"))
            .arg(format!("--metrics-addr={health}"))
            .arg(format!("--webhook-addr={}", self.addresses[index]))
            .arg(format!("--webhook-config-name={}", self.configuration()))
            .arg("--webhook-names=127.0.0.1")
            .arg("--webhook-service=logstream.coder")
            .args(certificate.to_vec())
            .env("POD_NAMESPACE", self.namespace())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .start()?;
        Ok(Replica { product, health })
    }

    /// As [`TestContext::start`], with a self-managed certificate.
    pub(crate) fn start_self_managed(&self, index: usize, ca: Duration, leaf: Duration) -> Result<Replica> {
        let lifetimes = [
            format!("--webhook-cert-secret={SECRET}"),
            format!("--webhook-ca-lifetime={}s", ca.as_secs()),
            format!("--webhook-cert-lifetime={}s", leaf.as_secs()),
        ];
        self.start(index, &lifetimes)
    }

    /// Waits until the API server trusts the caBundle and calls the webhook.
    pub(crate) async fn wait_admitted(&self) -> Result<()> {
        wait_called(&self.admin, self.namespace(), true).await?;
        self.balancer.cut().await
    }

    /// Creates pods continuously, each with its own handshake.
    pub(crate) fn stream(&self) -> Stream {
        self.stream_by(Connections::Cut)
    }

    /// Creates pods continuously.
    pub(crate) fn stream_by(&self, connections: Connections) -> Stream {
        Stream::start(self.client.clone(), self.namespace(), self.balancer.clone(), connections)
    }

    /// Creates a pod by dry run. Returns the API server's error, if any.
    pub(crate) async fn refusal(&self) -> Option<String> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.namespace());
        let pod = serde_json::from_value(Workspace::new(self.namespace(), "probe", "probe", TOKEN).pod());
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        pods.create(&dry, &pod.expect("a pod is one")).await.err().map(|error| error.to_string())
    }

    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), self.namespace())
    }

    /// The caBundles.
    pub(crate) async fn bundles(&self) -> Result<Vec<Vec<u8>>> {
        bundles(&Api::all(self.client.clone()), self.configuration()).await
    }

    /// Deletes the webhook configuration.
    pub(crate) async fn take_configuration(&self) -> Result<MutatingWebhookConfiguration> {
        let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let mut saved = api.get(self.configuration()).await?;
        api.delete(self.configuration(), &DeleteParams::default()).await?;
        saved.metadata = ObjectMeta { name: saved.metadata.name, ..ObjectMeta::default() };
        Ok(saved)
    }

    /// Creates it again.
    pub(crate) async fn put_configuration(&self, saved: MutatingWebhookConfiguration) -> Result<()> {
        Api::all(self.client.clone()).create(&PostParams::default(), &saved).await?;
        Ok(())
    }

    /// Overwrites every caBundle.
    pub(crate) async fn set_bundles(&self, pem: &str) -> Result<()> {
        let webhooks: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let mut configuration = webhooks.get(self.configuration()).await?;
        for webhook in configuration.webhooks.iter_mut().flatten() {
            webhook.client_config.ca_bundle = Some(ByteString(pem.as_bytes().to_vec()));
        }
        let webhooks = json!({ "webhooks": configuration.webhooks });
        let api: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        api.patch(self.configuration(), &PatchParams::default(), &Patch::Merge(webhooks)).await?;
        Ok(())
    }
}

/// The caBundles of a webhook configuration.
pub(crate) async fn bundles(webhooks: &Api<MutatingWebhookConfiguration>, name: &str) -> Result<Vec<Vec<u8>>> {
    let webhooks = webhooks.get(name).await?.webhooks.unwrap_or_default();
    let bundle = |bundle: Option<ByteString>| bundle.map(|bundle| bundle.0).unwrap_or_default();
    Ok(webhooks.into_iter().map(|webhook| bundle(webhook.client_config.ca_bundle)).collect())
}

impl Replica {
    pub(crate) async fn wait_ready(&mut self) -> Result<()> {
        self.product.wait_ready(&format!("http://{}/readyz?verbose", self.health), PATIENCE).await
    }

    /// Waits until readiness fails with `expected` in the response.
    pub(crate) async fn wait_unready(&self, expected: &str) -> Result<()> {
        self.product.wait_unready(&format!("http://{}/readyz?verbose", self.health), expected, PATIENCE).await
    }

    /// Status and body of `/readyz`.
    pub(crate) async fn readiness(&self) -> Result<(u16, String)> {
        self.product.get(&format!("http://{}/readyz?verbose", self.health)).await
    }

    pub(crate) async fn metrics(&self) -> Result<Metrics> {
        self.product.metrics(&format!("http://{}/metrics", self.health)).await
    }

    /// Reads a metric, the sum of its series; names are without the prefix.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        Ok(self.metrics().await?.sum(&format!("coder_logstream_{name}")))
    }

    /// Waits until a metric, the sum of its series, is at least this.
    pub(crate) async fn wait_metric(&self, name: &str, at_least: f64) -> Result<()> {
        poll::eventually(name, PATIENCE, || async {
            match self.metric(name).await {
                Ok(value) if value >= at_least => Ok(()),
                other => Err(other),
            }
        })
        .await
    }

    /// Reads one sample, such as `certificate_issued_total{kind="ca"}`.
    pub(crate) async fn sample(&self, sample: &str) -> Result<f64> {
        Ok(self.metrics().await?.get(&format!("coder_logstream_{sample}")).unwrap_or_default())
    }

    /// Waits until a sample is at least this.
    pub(crate) async fn wait_sample(&self, sample: &str, at_least: f64) -> Result<()> {
        poll::eventually(sample, PATIENCE, || async {
            match self.sample(sample).await {
                Ok(value) if value >= at_least => Ok(()),
                other => Err(other),
            }
        })
        .await
    }

    /// Sends SIGTERM and asserts a successful exit.
    pub(crate) fn end(mut self) -> Result<()> {
        let (status, _) = self.product.sigterm_and_wait(PATIENCE)?;
        ensure!(status.success(), "it ended with {status}: {}", self.product.output());
        Ok(())
    }
}

/// Grants the chart's permissions: only its own Secret and webhook configuration, each by name.
async fn access(
    cluster: &Cluster,
    client: &Client,
    namespace: &str,
    configuration: &str,
    reading: &[&str],
) -> Result<Access> {
    let watch = ["get", "list", "watch"];
    let rules = [
        rule("", &["pods", "events"], &watch),
        rule("apps", &["deployments", "replicasets", "statefulsets"], &watch),
        rule("batch", &["jobs"], &watch),
    ];
    Access::grant(cluster, namespace, ACCOUNT, &Scope::Namespaces(Vec::new()), &rules).await?;
    let mut secret = rule("", &["secrets"], &[reading, &["create", "patch"]].concat());
    secret.resource_names = Some(vec![SECRET.to_owned()]);
    let own = [rule("", &["configmaps"], &["get", "create", "patch"]), secret];
    Access::grant_more(cluster, namespace, ACCOUNT, "own", &own).await?;

    let name = format!("{namespace}:webhook");
    let mut webhook =
        rule("admissionregistration.k8s.io", &["mutatingwebhookconfigurations"], &[reading, &["patch"]].concat());
    webhook.resource_names = Some(vec![configuration.to_owned()]);
    let role: ClusterRole = serde_json::from_value(json!({ "metadata": { "name": name }, "rules": [webhook] }))?;
    Api::all(client.clone()).create(&PostParams::default(), &role).await?;
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace }],
    }))?;
    Api::all(client.clone()).create(&PostParams::default(), &binding).await?;
    Access::token_of(cluster, namespace, ACCOUNT).await
}
