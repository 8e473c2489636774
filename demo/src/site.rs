//! The demo's cluster: its own, or an existing one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use kube::Client;
use logstream_testing::scratch::Scratch;
use logstream_testing::tools::{Progress, print};
use logstream_testing::{Admin, Cluster, ClusterOptions, Tool, Tools};

use crate::blocking::blocking;
use crate::namespaces::Namespaces;
use crate::steps::{clear, step};
use crate::style::Style;

/// A cluster with the demo's two namespaces. Everything created is removed on drop.
pub(crate) struct Site {
    // First, because fields are dropped in order: the namespaces go before the cluster.
    pub(crate) namespaces: Namespaces,
    pub(crate) client: Client,
    pub(crate) admin: Admin,
    /// Path of helm.
    pub(crate) helm: PathBuf,
    own: Option<Cluster>,
    _directory: Option<Scratch>,
}

impl Site {
    /// Starts a control plane with a node simulated by kwok.
    pub(crate) async fn start(style: Style, tools: Tools) -> Result<Self> {
        let helm = tools.path(Tool::Helm).to_owned();
        let start = async {
            let cluster = blocking(move || Cluster::start_with(tools, ClusterOptions::new())).await?;
            let client = cluster.admin_client().await?;
            let version = client.apiserver_version().await?.git_version;
            Ok(((cluster, client), format!("started Kubernetes {version}: {COMPONENTS}")))
        };
        let (cluster, client) = step(style, "starting Kubernetes", start).await?;
        let admin = AsRef::<Admin>::as_ref(&cluster).clone();
        let namespaces = Namespaces::in_own_cluster(style, &client, &admin).await?;
        Ok(Self { namespaces, client, admin, helm, own: Some(cluster), _directory: None })
    }

    /// Uses the cluster of a kubeconfig's current context.
    pub(crate) async fn existing(style: Style, tools: Tools, kubeconfig: &Path) -> Result<Self> {
        let path = fs::canonicalize(kubeconfig).with_context(|| format!("--kubeconfig {}", kubeconfig.display()))?;
        let directory = Scratch::create("demo")?;
        let admin = Admin::new(path, tools.path(Tool::Kubectl), directory.path());
        let reach = async {
            let client = admin.client().await?;
            let server = admin.server()?;
            let version = client.apiserver_version().await.with_context(|| format!("{server} does not answer"))?;
            Ok((client, format!("reached Kubernetes {} at {server}", version.git_version)))
        };
        let client = step(style, "reaching the cluster", reach).await?;
        let namespaces = Namespaces::in_existing_cluster(style, &client, &admin).await?;
        Ok(Self {
            namespaces,
            client,
            admin,
            helm: tools.path(Tool::Helm).to_owned(),
            own: None,
            _directory: Some(directory),
        })
    }

    /// Returns true if the cluster has the simulated node that plays the scenarios.
    pub(crate) const fn has_simulated_node(&self) -> bool {
        self.own.is_some()
    }

    /// Returns true if the API server may be on this machine, and so may reach a webhook on loopback.
    pub(crate) fn may_be_local(&self) -> bool {
        self.own.is_some() || self.admin.server().is_ok_and(|server| is_loopback(&server))
    }

    /// Runs kubectl as admin and returns its output.
    pub(crate) async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let admin = self.admin.clone();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        blocking(move || admin.kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>())).await
    }
}

const COMPONENTS: &str = "etcd, kube-apiserver, controllers, scheduler, and a node simulated by kwok";

/// Finds the tools for an existing or a new cluster. Installs missing ones and prints the progress on stderr.
pub(crate) async fn tools(style: Style, existing: bool) -> Result<Tools> {
    let wanted = if existing { &[Tool::Kubectl, Tool::Helm][..] } else { &Tool::DEMO };
    let look = async {
        let (tools, installed) = blocking(move || {
            let (mut show, mut installed) = (print(), false);
            let mut report = |progress: &Progress<'_>| {
                if !installed {
                    clear(style);
                }
                installed = true;
                show(progress);
            };
            let tools = Tools::ensure_with(wanted, &mut report).map_err(|error| anyhow!(error))?;
            Ok((tools, installed))
        })
        .await?;
        let names: Vec<&str> = wanted.iter().map(|tool| tool.name()).collect();
        let done =
            format!("{} the cluster's tools: {}", if installed { "installed" } else { "found" }, names.join(", "));
        Ok((tools, done))
    };
    // No running clock: the installation's own progress is on the same terminal.
    step(style.without_terminal(), "", look).await
}

/// Returns true if the URL's host is a loopback address.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn loopback_hosts_are_recognized() {
        for url in ["https://127.0.0.1:6443", "https://localhost:6443/x", "https://[::1]:6443", "https://127.1.2.3"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["https://10.0.0.1:6443", "https://kubernetes.example.com", "https://localhost.example.com", ""] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
