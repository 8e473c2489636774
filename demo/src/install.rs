//! The product, installed by the chart: by helm, and a process of this machine in the place of its pod.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use logstream_testing::{Loopback, Release, Replica, webhook_probe};
use serde_json::{Value, json};

use crate::site::Site;

/// The release's name.
pub(crate) const NAME: &str = "coder-logstream-kube";

/// An API server on this machine asks a new webhook within about a second.
const ASKED_WITHIN: Duration = Duration::from_secs(15);

/// A node that does not exist. In a cluster with real nodes the Deployment's pod must not run beside the process.
const NOWHERE: &str = "logstream.coder.com/played-by-cargo-demo";

/// A release. In a cluster that was there before, it is uninstalled when this is dropped.
pub(crate) struct Installed {
    release: Release,
    loopback: Loopback,
    uninstall: bool,
    flags: Vec<String>,
    more: Value,
    /// Why the API server does not ask the webhook, where it does not.
    pub(crate) unasked: Option<String>,
}

impl Installed {
    /// A release in the namespace of the workspaces, with rights in the demo's namespaces alone.
    pub(crate) fn new(site: &Site, coder_url: &str) -> Result<Self> {
        let namespaces = site.namespaces.all().join(",");
        let mut installed = Self {
            release: Release::by(&site.admin, &site.helm, NAME, &site.namespaces.workspaces)?,
            loopback: Loopback::new(),
            uninstall: !site.has_simulated_node(),
            flags: ["--set", &format!("url={coder_url}"), "--set", &format!("namespaces={{{namespaces}}}")]
                .map(str::to_owned)
                .to_vec(),
            more: json!({}),
            unasked: None,
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

    /// What a user would type, on lines of their own. The values of that file make the process listen on this machine
    /// alone.
    pub(crate) fn command(&self) -> String {
        let set: Vec<String> = self.flags.iter().map(|flag| quoted(flag)).collect();
        let (name, namespace) = (self.release.name(), self.release.namespace());
        format!(
            "helm install {name} ./helm --namespace {namespace} \\\n    {} \\\n    --values loopback.json",
            set.join(" ")
        )
    }

    /// `helm install`.
    pub(crate) async fn install(&self) -> Result<()> {
        self.release.install(&self.values(), &self.flags()).await
    }

    /// Starts the program as the Deployment says, and waits until it is ready and the API server asks it. Where the API
    /// server cannot, the release goes on without the webhook.
    pub(crate) async fn start(&mut self, site: &Site, program: &Path) -> Result<Replica> {
        let replica = self.ready(program).await?;
        if self.unasked.is_some() {
            return Ok(replica);
        }
        let asked = webhook_probe::wait_called(&site.admin, &site.namespaces.workspaces, true);
        if site.has_simulated_node() {
            asked.await?;
            return Ok(replica);
        }
        if let Ok(Ok(())) = tokio::time::timeout(ASKED_WITHIN, asked).await {
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
        self.unasked = Some(why.to_owned());
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

/// As a shell needs it.
fn quoted(argument: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,".contains(character);
    if argument.chars().all(plain) { argument.to_owned() } else { format!("'{argument}'") }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn braces_are_kept_from_the_shell() {
        assert_eq!(quoted("url=http://127.0.0.1:1"), "url=http://127.0.0.1:1");
        assert_eq!(quoted("namespaces={a,b}"), "'namespaces={a,b}'");
    }
}
