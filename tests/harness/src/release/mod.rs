//! The product as the chart installs it: helm is the real one, so are the API server and what it keeps of the chart.
//!
//! No node here runs containers, so the container of the Deployment's pod is played by a child process (see
//! [`Replica`]), beside the pod that kwok only says to run. A Service leads nowhere without kube-proxy: `webhook.url`
//! makes the API server call the process on loopback instead ([`Loopback`] has the values). What the chart renders for
//! a Service can be compared with what the program serves, but not called.

mod container;
mod grants;
mod helm;
mod loopback;
mod mounts;
mod replica;
mod requests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
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

/// Its name.
const CHART_NAME: &str = "coder-logstream-kube";

/// A release of the chart, by name and namespace. Nothing is uninstalled when this is dropped.
#[derive(Debug)]
pub struct Release {
    admin: Admin,
    helm: Helm,
    name: String,
    namespace: String,
    files: Scratch,
}

impl Release {
    /// One that is to be installed, by `admin`.
    pub fn new(admin: &impl AsRef<Admin>, name: &str, namespace: &str) -> Result<Self> {
        let tools = Tools::ensure(&[Tool::Helm])?;
        Self::with_helm(admin, tools.path(Tool::Helm), name, namespace)
    }

    /// The same, with a helm that is there.
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

    /// What the names of its objects begin with: its own name where that contains the chart's, otherwise both.
    pub fn full_name(&self) -> String {
        if self.name.contains(CHART_NAME) { self.name.clone() } else { format!("{}-{CHART_NAME}", self.name) }
    }

    /// `FULL_NAME.NAMESPACE`, the name of its webhook configuration.
    pub fn cluster_name(&self) -> String {
        format!("{}.{}", self.full_name(), self.namespace)
    }

    /// `helm install`, by these values and flags.
    pub async fn install(&self, values: &Value, flags: &[&str]) -> Result<()> {
        self.write("install", values, flags).await
    }

    /// `helm install` of another chart, such as the one that this one replaces.
    pub async fn install_chart(&self, chart: &Path, values: &Path) -> Result<()> {
        let values = text(values)?;
        self.helm(&["install", &self.name, text(chart)?, "--values", values]).await.map(drop)
    }

    /// `helm upgrade`, by these values on top of those that `flags` name.
    pub async fn upgrade(&self, values: &Value, flags: &[&str]) -> Result<()> {
        self.write("upgrade", values, flags).await
    }

    /// `helm uninstall`.
    pub async fn uninstall(&self) -> Result<()> {
        self.helm(&["uninstall", &self.name]).await.map(drop)
    }

    /// The same, for where nothing can be awaited.
    pub fn uninstall_blocking(&self) -> Result<()> {
        self.helm.run_blocking(&["uninstall", &self.name, "--namespace", &self.namespace]).map(drop)
    }

    /// What NOTES.txt said.
    pub async fn notes(&self) -> Result<String> {
        self.helm(&["get", "notes", &self.name]).await
    }

    /// The manifests of its hooks: they are no part of the release.
    pub async fn hooks(&self) -> Result<String> {
        self.helm(&["get", "hooks", &self.name]).await
    }

    /// Its Deployment, as the API server has it.
    pub async fn deployment(&self) -> Result<Deployment> {
        let deployments: Api<Deployment> = Api::namespaced(self.admin.client().await?, &self.namespace);
        deployments.get(&self.full_name()).await.with_context(|| format!("the Deployment of {}", self.cluster_name()))
    }

    /// Starts `program` as the container of its Deployment's pod.
    pub async fn start(&self, program: &Path) -> Result<Replica> {
        container::start(&self.admin, &self.deployment().await?, program).await
    }

    /// What its ServiceAccount may do.
    pub async fn grants(&self) -> Result<Grants> {
        let deployment = self.deployment().await?;
        let account = container::account(&deployment)?;
        Grants::of(&self.admin.client().await?, &self.namespace, &account).await
    }

    /// Its user, as the API server calls it.
    pub async fn user(&self) -> Result<String> {
        let account = container::account(&self.deployment().await?)?;
        Ok(format!("system:serviceaccount:{}:{account}", self.namespace))
    }

    /// `helm template` without hooks, as `kubectl apply` and tools such as Argo CD take it.
    pub async fn template(&self, values: &Value, flags: &[&str]) -> Result<String> {
        let file = self.values_file(values)?;
        self.helm(&[&["template", &self.name, CHART, "--no-hooks"], flags, &["--values", text(&file)?]].concat()).await
    }

    async fn write(&self, verb: &str, values: &Value, flags: &[&str]) -> Result<()> {
        let file = self.values_file(values)?;
        // Last, as later values win.
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
    path.to_str().with_context(|| format!("{} is no text", path.display()))
}
