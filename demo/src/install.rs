//! Installation of the chart by helm, with a local process in place of the Deployment's pod.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use logstream_testing::{Loopback, Release, Replica, webhook_probe};
use serde_json::{Value, json};

use crate::site::Site;

/// The release's name.
pub(crate) const NAME: &str = "coder-logstream-kube";

/// Deadline for the first call of the webhook. An API server on this machine calls a new one within about a second.
const CALLED_WITHIN: Duration = Duration::from_secs(15);

/// Node label that no node has. In a cluster with real nodes the Deployment's pod must not run beside the process.
const NOWHERE: &str = "logstream.coder.com/played-by-cargo-demo";

/// An installed release. In an existing cluster it is uninstalled on drop.
pub(crate) struct Installed {
    release: Release,
    loopback: Loopback,
    uninstall: bool,
    flags: Vec<String>,
    more: Value,
    /// Reason why the webhook is off, if it is.
    pub(crate) webhook_off: Option<String>,
}

impl Installed {
    /// Prepares a release in the workspaces' namespace, with permissions in the demo's namespaces only, or in all.
    pub(crate) fn new(site: &Site, coder_url: &str, all_namespaces: bool) -> Result<Self> {
        let names = site.namespaces.all().join(",");
        let namespaces = if all_namespaces { String::new() } else { format!("{{{names}}}") };
        let mut installed = Self {
            release: Release::with_helm(&site.admin, &site.helm, NAME, &site.namespaces.workspaces)?,
            loopback: Loopback::new(),
            uninstall: !site.has_simulated_node(),
            flags: ["--set", &format!("url={coder_url}"), "--set", &format!("namespaces={namespaces}")]
                .map(str::to_owned)
                .to_vec(),
            more: json!({}),
            webhook_off: None,
        };
        if !site.has_simulated_node() {
            installed.more = json!({ "nodeSelector": { NOWHERE: "true" } });
        }
        if !site.may_be_local() {
            installed
                .without_webhook("the API server is not on this machine, and the webhook listens on 127.0.0.1 only");
        }
        Ok(installed)
    }

    /// The equivalent helm command. `loopback.json` holds the values that make the process listen on 127.0.0.1 only.
    pub(crate) fn command(&self) -> String {
        let set: Vec<String> = self.flags.iter().map(|flag| quoted(flag)).collect();
        let (name, namespace) = (self.release.name(), self.release.namespace());
        format!(
            "helm install {name} ./helm --namespace {namespace} \\\n    {} \\\n    --values loopback.json",
            set.join(" ")
        )
    }

    /// Runs `helm install`.
    pub(crate) async fn install(&self) -> Result<()> {
        self.release.install(&self.values(), &self.flags()).await
    }

    /// Starts the program with the Deployment's arguments and environment, and waits until it is ready and the API
    /// server calls its webhook. If the API server cannot reach it, the release is upgraded to run without the webhook.
    pub(crate) async fn start(&mut self, site: &Site, program: &Path) -> Result<Replica> {
        let replica = self.ready(program).await?;
        if self.webhook_off.is_some() {
            return Ok(replica);
        }
        let called = webhook_probe::wait_called(&site.admin, &site.namespaces.workspaces, true);
        if site.has_simulated_node() {
            called.await?;
            return Ok(replica);
        }
        if let Ok(Ok(())) = tokio::time::timeout(CALLED_WITHIN, called).await {
            return Ok(replica);
        }
        drop(replica);
        self.without_webhook("the API server cannot reach 127.0.0.1 of this machine (it may be in a container)");
        self.release.upgrade(&self.values(), &self.flags()).await?;
        self.ready(program).await
    }

    async fn ready(&self, program: &Path) -> Result<Replica> {
        let mut replica = self.release.start(program).await?;
        replica.wait_ready().await?;
        Ok(replica)
    }

    fn without_webhook(&mut self, why: &str) {
        self.loopback = self.loopback.without_webhook();
        self.webhook_off = Some(why.to_owned());
    }

    fn values(&self) -> Value {
        self.loopback.values(self.more.clone())
    }

    fn flags(&self) -> Vec<&str> {
        self.flags.iter().map(String::as_str).collect()
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if self.uninstall {
            let _ = self.release.uninstall_blocking();
        }
    }
}

/// Quotes an argument for the shell where needed.
fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,".contains(character);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{argument}'") }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn braces_are_quoted() {
        assert_eq!(quoted("url=http://127.0.0.1:1"), "url=http://127.0.0.1:1");
        assert_eq!(quoted("namespaces={a,b}"), "'namespaces={a,b}'");
    }
}
