//! The product as installed by the chart, with the real helm and API server.
//!
//! The node here is simulated, so a child process replaces the container of the Deployment's pod (see [`Replica`]).
//! Services do not work without kube-proxy: `webhook.url` makes the API server call the process on loopback instead
//! ([`Loopback`] has the values). The rendered Service can be compared with what the program serves, but not called.

mod container;
mod grants;
mod helm;
mod loopback;
mod mounts;
mod replica;
mod requests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde_json::Value;

pub use grants::{Grant, Grants, Review};
pub use helm::Helm;
pub use loopback::Loopback;
pub use replica::Replica;
pub use requests::{AUDIT_POLICY, Request, requests_of};

use crate::scratch::Scratch;
use crate::{Admin, Tool, Tools};

/// The chart of this repository.
pub const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../helm");

/// The chart's name.
const CHART_NAME: &str = "coder-logstream-kube";

/// A release of the chart, by name and namespace. It is not uninstalled on drop.
#[derive(Debug)]
pub struct Release {
    admin: Admin,
    helm: Helm,
    name: String,
    namespace: String,
    files: Scratch,
}

impl Release {
    /// A release to be installed by `admin`.
    pub fn new(admin: &impl AsRef<Admin>, name: &str, namespace: &str) -> Result<Self> {
        let tools = Tools::ensure(&[Tool::Helm])?;
        Self::with_helm(admin, tools.path(Tool::Helm), name, namespace)
    }

    /// The same, with an installed helm.
    pub fn with_helm(admin: &impl AsRef<Admin>, helm: &Path, name: &str, namespace: &str) -> Result<Self> {
        let admin = admin.as_ref().clone();
        Ok(Self {
            helm: Helm::new(helm, admin.kubeconfig())?,
            admin,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            files: Scratch::create("release")?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Prefix of its objects' names: its own name if that contains the chart's, otherwise both.
    pub fn full_name(&self) -> String {
        if self.name.contains(CHART_NAME) { self.name.clone() } else { format!("{}-{CHART_NAME}", self.name) }
    }

    /// `FULL_NAME.NAMESPACE`, the name of its webhook configuration.
    pub fn cluster_name(&self) -> String {
        format!("{}.{}", self.full_name(), self.namespace)
    }

    /// Runs `helm install` with these values and flags.
    pub async fn install(&self, values: &Value, flags: &[&str]) -> Result<()> {
        self.write("install", values, flags).await
    }

    /// Runs `helm install` with another chart, such as the predecessor's.
    pub async fn install_chart(&self, chart: &Path, values: &Path) -> Result<()> {
        let values = text(values)?;
        self.helm(&["install", &self.name, text(chart)?, "--values", values]).await.map(drop)
    }

    /// Runs `helm upgrade` with these values on top of those in `flags`.
    pub async fn upgrade(&self, values: &Value, flags: &[&str]) -> Result<()> {
        self.write("upgrade", values, flags).await
    }

    /// Runs `helm rollback` to this revision.
    pub async fn rollback(&self, revision: u32) -> Result<()> {
        self.helm(&["rollback", &self.name, &revision.to_string()]).await.map(drop)
    }

    /// Runs `helm uninstall`.
    pub async fn uninstall(&self) -> Result<()> {
        self.helm(&["uninstall", &self.name]).await.map(drop)
    }

    /// The same for blocking code.
    pub fn uninstall_blocking(&self) -> Result<()> {
        self.helm.run_blocking(&["uninstall", &self.name, "--namespace", &self.namespace]).map(drop)
    }

    /// The rendered NOTES.txt.
    pub async fn notes(&self) -> Result<String> {
        self.helm(&["get", "notes", &self.name]).await
    }

    /// The manifests of its hooks, which are not part of the release's manifest.
    pub async fn hooks(&self) -> Result<String> {
        self.helm(&["get", "hooks", &self.name]).await
    }

    /// Its Deployment in the cluster.
    pub async fn deployment(&self) -> Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(self.admin.client().await?, &self.namespace);
        deployments.get(&self.full_name()).await.with_context(|| format!("the Deployment of {}", self.cluster_name()))
    }

    /// Starts `program` in place of the container of its Deployment's pod.
    pub async fn start(&self, program: &Path) -> Result<Replica> {
        container::start(&self.admin, &self.deployment().await?, program).await
    }

    /// Starts `program` in place of the container of one of its pods, with its health endpoint at this address.
    pub async fn start_pod(&self, pod: &Pod, program: &Path, health: SocketAddr) -> Result<Replica> {
        container::start_pod(&self.admin, pod, program, health).await
    }

    /// Permissions of its ServiceAccount.
    pub async fn grants(&self) -> Result<Grants> {
        let deployment = self.deployment().await?;
        let account = container::account(&deployment)?;
        Grants::of(&self.admin.client().await?, &self.namespace, &account).await
    }

    /// User name of its ServiceAccount.
    pub async fn user(&self) -> Result<String> {
        let account = container::account(&self.deployment().await?)?;
        Ok(format!("system:serviceaccount:{}:{account}", self.namespace))
    }

    /// Runs `helm template` without hooks, as used with `kubectl apply` and Argo CD.
    pub async fn template(&self, values: &Value, flags: &[&str]) -> Result<String> {
        let file = self.values_file(values)?;
        self.helm(&[&["template", &self.name, CHART, "--no-hooks"], flags, &["--values", text(&file)?]].concat()).await
    }

    async fn write(&self, verb: &str, values: &Value, flags: &[&str]) -> Result<()> {
        let file = self.values_file(values)?;
        // Last, because later values take precedence.
        let arguments = [&[verb, &self.name, CHART], flags, &["--values", text(&file)?]].concat();
        self.helm(&arguments).await.map(drop)
    }

    fn values_file(&self, values: &Value) -> Result<PathBuf> {
        let file = self.files.path().join("values.json");
        std::fs::write(&file, serde_json::to_string_pretty(values)?)?;
        Ok(file)
    }

    async fn helm(&self, arguments: &[&str]) -> Result<String> {
        self.helm.run(&[arguments, &["--namespace", &self.namespace]].concat()).await
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
