//! The product, installed: a process with a ServiceAccount's token, and a webhook that the API server asks.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use logstream_testing::{Installation, Plan};

use crate::site::Site;

/// An API server on this machine asks a new webhook within about a second.
const ASKED_WITHIN: Duration = Duration::from_secs(15);

/// How far it went.
pub(crate) struct Installed {
    pub(crate) installation: Installation,
    /// Why the API server does not ask the webhook, where it does not.
    pub(crate) unasked: Option<String>,
}

/// Installs the product into the namespace of the workspaces, with rights in the demo's namespaces alone.
pub(crate) async fn install(site: &Site, program: &Path, coder_url: &str) -> Result<Installed> {
    let plan = Plan::new(program, coder_url, &site.namespaces.workspaces).namespaces(&site.namespaces.all());
    if site.has_simulated_node() {
        return Ok(Installed { installation: plan.install(&site.admin).await?, unasked: None });
    }
    if !site.may_be_local() {
        let installation = plan.without_webhook().install(&site.admin).await?;
        let unasked = "the API server is not on this machine, and the webhook listens on 127.0.0.1 only";
        return Ok(Installed { installation, unasked: Some(unasked.to_owned()) });
    }
    let mut installation = plan.unregistered().install(&site.admin).await?;
    let asked = tokio::time::timeout(ASKED_WITHIN, installation.register(&site.admin)).await;
    let mut unasked = None;
    if !matches!(asked, Ok(Ok(()))) {
        installation.unregister(&site.admin).await?;
        unasked = Some("the API server cannot reach 127.0.0.1 of this machine (it may be in a container)".to_owned());
    }
    Ok(Installed { installation, unasked })
}
