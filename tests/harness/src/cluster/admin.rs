//! Admin access to a cluster, started here or existing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedContext};

use super::kubectl;
use crate::pki;

/// A kubeconfig whose current context has admin rights, and a kubectl to use it with.
#[derive(Debug, Clone)]
pub struct Admin {
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    directory: PathBuf,
}

impl Admin {
    /// Uses an existing kubeconfig and kubectl. Kubeconfigs of other users are written into `directory`.
    pub fn new(kubeconfig: impl Into<PathBuf>, kubectl: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> Self {
        Self { kubeconfig: kubeconfig.into(), kubectl: kubectl.into(), directory: directory.into() }
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Path of kubectl.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// Runs kubectl and returns its output. Blocks.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        kubectl(&self.kubectl, &self.kubeconfig, arguments, None)
    }

    /// Runs kubectl with input on stdin, as for `["apply", "-f", "-"]`. Blocks.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        kubectl(&self.kubectl, &self.kubeconfig, arguments, Some(input))
    }

    /// Creates a client, bound to the current runtime.
    pub async fn client(&self) -> Result<kube::Client> {
        pki::install_crypto_provider();
        let config = kube::Config::from_custom_kubeconfig(self.read()?, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    /// The API server's URL.
    pub fn server(&self) -> Result<String> {
        let server = self.only_current()?.clusters.remove(0).cluster.and_then(|cluster| cluster.server);
        server.with_context(|| format!("{}: the current context's cluster has no server", self.kubeconfig.display()))
    }

    /// Writes a kubeconfig for a token, as `NAME.kubeconfig`.
    pub fn kubeconfig_for_token(&self, name: &str, token: &str) -> Result<PathBuf> {
        self.kubeconfig_via(&self.server()?, name, token)
    }

    /// As [`Admin::kubeconfig_for_token`], with another server URL, such as a proxy's.
    pub fn kubeconfig_via(&self, server: &str, name: &str, token: &str) -> Result<PathBuf> {
        let mut written = self.only_current()?;
        if let Some(cluster) = &mut written.clusters[0].cluster {
            cluster.server = Some(server.to_owned());
        }
        let auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        written.auth_infos =
            vec![NamedAuthInfo { name: name.to_owned(), auth_info: Some(auth_info), ..NamedAuthInfo::default() }];
        if let Some(context) = &mut written.contexts[0].context {
            context.user = Some(name.to_owned());
        }
        let path = self.directory.join(format!("{name}.kubeconfig"));
        fs::write(&path, serde_json::to_string(&written)?)?;
        Ok(path)
    }

    fn read(&self) -> Result<Kubeconfig> {
        Kubeconfig::read_from(&self.kubeconfig).with_context(|| format!("{}", self.kubeconfig.display()))
    }

    /// A copy with only the current context and its cluster, and no user.
    fn only_current(&self) -> Result<Kubeconfig> {
        let mut kubeconfig = self.read()?;
        let path = self.kubeconfig.display();
        let current = kubeconfig.current_context.clone().unwrap_or_default();
        let is_current = |context: &NamedContext| context.name == current;
        let context = kubeconfig.contexts.iter().find(|&context| is_current(context)).cloned();
        let context = context.with_context(|| format!("{path}: no context named {current:?}, which is the current"))?;
        let of = context.context.as_ref().map(|context| context.cluster.clone()).unwrap_or_default();
        kubeconfig.clusters.retain(|cluster| cluster.name == of);
        kubeconfig.clusters.truncate(1);
        anyhow::ensure!(!kubeconfig.clusters.is_empty(), "{path}: no cluster named {of:?}, which {current:?} names");
        kubeconfig.contexts = vec![context];
        kubeconfig.auth_infos.clear();
        Ok(kubeconfig)
    }
}

impl AsRef<Admin> for Admin {
    fn as_ref(&self) -> &Admin {
        self
    }
}
