//! Installation of the product in a cluster: its ServiceAccount, certificate, webhook configuration and process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::PolicyRule;

use crate::access::rule;
use crate::pki::{self, ServingFiles};
use crate::scratch::Scratch;
use crate::webhook_config::AppliedWebhook;
use crate::{Access, Admin, FailurePolicy, Metrics, Product, Scope, WebhookConfig, ports, webhook_probe};

/// Deadline of the start: a debug build on a busy machine is slow.
const PATIENCE: Duration = Duration::from_mins(1);

/// Name of the Lease of [`Plan::elects`].
pub const LEASE: &str = "coder-logstream-kube";

/// The annotation that the webhook sets on each workspace pod.
pub const SEEN_BY_WEBHOOK: &str = "logstream.coder.com/registration";

/// Plan of an installation. By default: one namespace, a webhook with `failurePolicy: Ignore`, no access to Secrets.
#[derive(Debug, Clone)]
pub struct Plan {
    program: PathBuf,
    coder_url: String,
    home: String,
    namespaces: Option<Vec<String>>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    server: Option<SocketAddr>,
    webhook: bool,
    register: bool,
    failure_policy: FailurePolicy,
    reads_secrets: bool,
    /// Rules in namespaces that are not watched.
    elsewhere: Vec<(&'static str, PolicyRule)>,
}

impl Plan {
    /// Plans to install the binary `program` in the namespace `home`, watching only that namespace.
    pub fn new(program: impl AsRef<Path>, coder_url: &str, home: &str) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            coder_url: coder_url.to_owned(),
            home: home.to_owned(),
            namespaces: Some(vec![home.to_owned()]),
            arguments: Vec::new(),
            environment: Vec::new(),
            server: None,
            webhook: true,
            register: true,
            failure_policy: FailurePolicy::default(),
            reads_secrets: false,
            elsewhere: Vec::new(),
        }
    }

    /// Watches these namespaces.
    #[must_use]
    pub fn namespaces(mut self, namespaces: &[&str]) -> Self {
        self.namespaces = Some(namespaces.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Watches all namespaces. The webhook, if any, is registered for `home` only.
    #[must_use]
    pub fn all_namespaces(mut self) -> Self {
        self.namespaces = None;
        self
    }

    /// Adds an environment variable of the program.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Adds an argument of the program.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Reaches the API server through this address of a proxy.
    #[must_use]
    pub fn via_proxy(mut self, server: SocketAddr) -> Self {
        self.server = Some(server);
        self
    }

    /// Runs without the webhook.
    #[must_use]
    pub fn without_webhook(mut self) -> Self {
        self.webhook = false;
        self
    }

    /// Serves the webhook without a webhook configuration in the API server.
    #[must_use]
    pub fn unregistered(mut self) -> Self {
        self.register = false;
        self
    }

    /// Sets the webhook's failure policy.
    #[must_use]
    pub fn failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.failure_policy = policy;
        self
    }

    /// Grants access to Secrets and ConfigMaps in the watched namespaces.
    #[must_use]
    pub fn reads_secrets(mut self) -> Self {
        self.reads_secrets = true;
        self
    }

    /// Grants access to the Events of nodes, which are in the namespace default.
    #[must_use]
    pub fn reads_node_events(mut self) -> Self {
        self.elsewhere.push(("default", rule("", &["events"], &["list", "watch"])));
        self
    }

    /// Elects one of several replicas by a Lease of this duration.
    #[must_use]
    pub fn elects(self, lease: Duration) -> Self {
        self.arg(format!("--lease-name={LEASE}")).arg(format!("--lease-duration={}ms", lease.as_millis()))
    }

    /// Installs it, and waits until it is ready and the API server calls its webhook.
    pub async fn install(self, cluster: &impl AsRef<Admin>) -> Result<Installation> {
        let mut installation = self.begin(cluster).await?;
        installation.wait_ready().await?;
        if installation.plan.webhook && installation.plan.register {
            installation.register(cluster).await?;
        }
        Ok(installation)
    }

    /// Starts it without waiting for readiness and without registering its webhook.
    pub async fn begin(self, cluster: &impl AsRef<Admin>) -> Result<Installation> {
        let access = self.access(cluster).await?;
        let files = Scratch::create("installation")?;
        let serving = pki::serving_cert(files.path())?;
        let (health, webhook) = (ports::free(), ports::free());
        let product = self.start(&access.kubeconfig, &serving, health, webhook)?;
        Ok(Installation { plan: self, access, serving, health, webhook, product, registered: None, _files: files })
    }

    /// The minimum permissions that it needs.
    fn rules(&self) -> Vec<PolicyRule> {
        let watch = ["get", "list", "watch"];
        let mut rules = vec![
            rule("", &["pods", "events"], &watch),
            rule("apps", &["deployments", "replicasets", "statefulsets"], &watch),
            rule("batch", &["jobs"], &watch),
        ];
        if self.reads_secrets {
            rules.push(rule("", &["secrets", "configmaps"], &["get"]));
        }
        rules
    }

    async fn access(&self, cluster: &impl AsRef<Admin>) -> Result<Access> {
        let scope = self.namespaces.clone().map_or(Scope::Cluster, Scope::Namespaces);
        let name = "coder-logstream-kube";
        Access::grant(cluster, &self.home, name, &scope, &self.rules()).await?;
        let verbs = ["get", "watch", "create", "patch"];
        let progress =
            [rule("", &["configmaps"], &["get", "create", "patch"]), rule("coordination.k8s.io", &["leases"], &verbs)];
        let account = format!("{name}-progress");
        // A second role in its own namespace, for the progress ConfigMap and the Lease.
        Access::grant_more(cluster, &self.home, name, &account, &progress).await?;
        for (namespace, rule) in &self.elsewhere {
            let role = format!("{}-{name}", self.home);
            Access::grant_in(cluster, namespace, (&self.home, name), &role, std::slice::from_ref(rule)).await?;
        }
        let mut access = Access::token_of(cluster, &self.home, name).await?;
        if let Some(server) = self.server {
            let kubeconfig = format!("{}-{}-by-way", self.home, server.port());
            access.kubeconfig =
                cluster.as_ref().kubeconfig_via(&format!("https://{server}"), &kubeconfig, &access.token)?;
        }
        Ok(access)
    }

    fn start(
        &self,
        kubeconfig: &Path,
        serving: &ServingFiles,
        health: SocketAddr,
        webhook: SocketAddr,
    ) -> Result<Product> {
        let namespaces = self.namespaces.as_ref().map(|names| names.join(",")).unwrap_or_default();
        let directory = serving.certificate.parent().context("a file is in a directory")?;
        let mut product = Product::builder(&self.program)
            .arg(format!("--coder-url={}", self.coder_url))
            .arg(format!("--kubeconfig={}", kubeconfig.display()))
            .arg(format!("--namespaces={namespaces}"))
            .arg(format!("--health-addr={health}"))
            .arg(format!("--metrics-addr={health}"))
            .env("POD_NAMESPACE", &self.home)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .args(self.arguments.clone());
        for (name, value) in &self.environment {
            product = product.env(name, value);
        }
        if self.webhook {
            product = product
                .arg(format!("--webhook-addr={webhook}"))
                .arg(format!("--webhook-cert-dir={}", directory.display()));
        }
        product.start()
    }
}

/// The installed product. Its process ends and its webhook configuration is deleted on drop.
#[derive(Debug)]
pub struct Installation {
    plan: Plan,
    access: Access,
    serving: ServingFiles,
    health: SocketAddr,
    webhook: SocketAddr,
    /// The process.
    pub product: Product,
    registered: Option<AppliedWebhook>,
    _files: Scratch,
}

impl Installation {
    /// `https://127.0.0.1:PORT/mutate`
    pub fn webhook_url(&self) -> String {
        format!("https://{}/mutate", self.webhook)
    }

    /// The CA of the webhook's serving certificate.
    pub fn ca_pem(&self) -> Result<String> {
        Ok(std::fs::read_to_string(&self.serving.ca)?)
    }

    /// The URL of a path on the health port, such as `/readyz`.
    pub fn health_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.health)
    }

    /// Scrapes its metrics.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.product.metrics(&self.health_url("/metrics")).await
    }

    /// Waits until it is ready.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let url = self.health_url("/readyz?verbose");
        self.product.wait_ready(&url, PATIENCE).await
    }

    /// Starts the process again with the same settings, after it ended.
    pub fn start_again(&mut self) -> Result<()> {
        self.product = self.plan.start(&self.access.kubeconfig, &self.serving, self.health, self.webhook)?;
        Ok(())
    }

    /// Starts another replica with the same settings.
    pub fn replica(&self) -> Result<Replica> {
        self.replica_with(&self.access.kubeconfig)
    }

    /// The same with these environment variables.
    pub fn replica_in(&self, environment: &[(&str, String)]) -> Result<Replica> {
        let mut plan = self.plan.clone();
        for (name, value) in environment {
            plan.environment.retain(|(set, _)| set != name);
            plan = plan.env(name, value);
        }
        self.replica_of(plan, &self.access.kubeconfig)
    }

    /// The same, which reaches the API server through this address of a proxy.
    pub fn replica_via(&self, cluster: &impl AsRef<Admin>, server: SocketAddr) -> Result<Replica> {
        let name = format!("{}-{}-replica", self.plan.home, server.port());
        let token = &self.access.token;
        let kubeconfig = cluster.as_ref().kubeconfig_via(&format!("https://{server}"), &name, token)?;
        self.replica_with(&kubeconfig)
    }

    fn replica_with(&self, kubeconfig: &Path) -> Result<Replica> {
        self.replica_of(self.plan.clone(), kubeconfig)
    }

    fn replica_of(&self, plan: Plan, kubeconfig: &Path) -> Result<Replica> {
        let (health, webhook) = (ports::free(), ports::free());
        let product = plan.start(kubeconfig, &self.serving, health, webhook)?;
        let start = Start { plan, serving: self.serving.clone(), kubeconfig: kubeconfig.to_owned() };
        Ok(Replica { start, health, webhook, product })
    }

    /// Address of its webhook.
    pub fn webhook_address(&self) -> SocketAddr {
        self.webhook
    }

    /// Registers the webhook under the address of a load balancer, without waiting for a call.
    pub async fn register_at(&mut self, cluster: &impl AsRef<Admin>, balancer: SocketAddr) -> Result<()> {
        let home = self.plan.home.clone();
        let names = self.plan.namespaces.clone().unwrap_or_else(|| vec![home]);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let config = WebhookConfig::new(&format!("https://{balancer}/mutate"), &self.ca_pem()?, &names);
        self.registered = Some(config.failure_policy(self.plan.failure_policy).apply(cluster).await?);
        webhook_probe::wait_called(cluster, &self.plan.home, true).await
    }

    /// Registers the webhook with the API server and waits until it is called.
    pub async fn register(&mut self, cluster: &impl AsRef<Admin>) -> Result<()> {
        let home = self.plan.home.clone();
        let names = self.plan.namespaces.clone().unwrap_or_else(|| vec![home]);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let config = WebhookConfig::new(&self.webhook_url(), &self.ca_pem()?, &names);
        self.registered = Some(config.failure_policy(self.plan.failure_policy).apply(cluster).await?);
        let reviews = async || Ok(self.metrics().await?.sum("coder_logstream_admission_reviews_total"));
        webhook_probe::wait_reviewed(cluster, &self.plan.home, reviews).await
    }

    /// Removes the webhook's registration and waits until it is no longer called.
    pub async fn unregister(&mut self, cluster: &impl AsRef<Admin>) -> Result<()> {
        self.registered = None;
        webhook_probe::wait_called(cluster, &self.plan.home, false).await
    }
}

/// Another replica of an installation. Its process ends on drop.
#[derive(Debug)]
pub struct Replica {
    start: Start,
    health: SocketAddr,
    webhook: SocketAddr,
    /// The process.
    pub product: Product,
}

/// Settings for starting a replica.
#[derive(Debug)]
struct Start {
    plan: Plan,
    serving: ServingFiles,
    kubeconfig: PathBuf,
}

impl Replica {
    /// Starts the process again with the same settings, after it ended.
    pub fn start_again(&mut self) -> Result<()> {
        let Start { plan, serving, kubeconfig } = &self.start;
        self.product = plan.start(kubeconfig, serving, self.health, self.webhook)?;
        Ok(())
    }

    /// The URL of a path on the health port, such as `/readyz`.
    pub fn health_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.health)
    }

    /// Address of its webhook.
    pub fn webhook_address(&self) -> SocketAddr {
        self.webhook
    }

    /// Scrapes its metrics.
    pub async fn metrics(&self) -> Result<Metrics> {
        self.product.metrics(&self.health_url("/metrics")).await
    }

    /// Waits until it is ready.
    pub async fn wait_ready(&mut self) -> Result<()> {
        let url = self.health_url("/readyz?verbose");
        self.product.wait_ready(&url, PATIENCE).await
    }
}
