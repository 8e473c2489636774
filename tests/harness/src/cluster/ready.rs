//! Readiness checks of a cluster.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::Api;
use kube::api::ListParams;

use super::{kubeconfig, layout::Layout};
use crate::{blocking, poll};

/// Timeout of one check, so that a hanging server does not use up the whole deadline.
const LOOK: Duration = Duration::from_secs(5);

/// Waits until `/readyz` succeeds. An error of `alive` ends the wait early.
pub(super) fn apiserver(
    layout: &Layout,
    server: SocketAddr,
    deadline: Duration,
    alive: &mut (dyn FnMut() -> Result<()> + Send),
) -> Result<()> {
    blocking::run(wait(layout, server, deadline, alive, async |client: &kube::Client| {
        let request = http::Request::get("/readyz").body(Vec::new())?;
        let answer = client.request_text(request).await?;
        if answer == "ok" { Ok(()) } else { Err(anyhow!("readyz: {answer}")) }
    }))
}

/// Waits until pods can be created, scheduled and run.
pub(super) fn workloads(
    layout: &Layout,
    deadline: Duration,
    alive: &mut (dyn FnMut() -> Result<()> + Send),
) -> Result<()> {
    blocking::run(wait(layout, layout.apiserver, deadline, alive, async |client: &kube::Client| {
        // Created by the controller manager; without it the API server rejects every pod.
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        accounts.get("default").await.context("the default ServiceAccount")?;
        // Made ready by kwok; the controller manager then removes the taint of a new node.
        let nodes = Api::<Node>::all(client.clone()).list(&ListParams::default()).await?;
        let usable = |node: &Node| {
            let ready = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let ready = ready.filter(|one| one.type_ == "Ready").any(|one| one.status == "True");
            ready && node.spec.iter().flat_map(|spec| spec.taints.iter().flatten()).next().is_none()
        };
        if nodes.items.iter().any(usable) { Ok(()) } else { Err(anyhow!("no node is ready")) }
    }))
}

async fn wait(
    layout: &Layout,
    server: SocketAddr,
    deadline: Duration,
    alive: &mut (dyn FnMut() -> Result<()> + Send),
    look: impl AsyncFn(&kube::Client) -> Result<()>,
) -> Result<()> {
    let server = format!("https://{server}");
    let client = kubeconfig::client(&server, layout.ca_pem(), &layout.admin_token).await?;
    let mut dead = None;
    let waited = poll::eventually("the cluster", deadline, || {
        let died = alive().err();
        let ended = died.is_some();
        dead = dead.take().or(died);
        let (client, look) = (&client, &look);
        async move {
            if ended {
                return Ok(());
            }
            match tokio::time::timeout(LOOK, look(client)).await {
                Ok(answer) => answer,
                Err(elapsed) => Err(anyhow!(elapsed)),
            }
        }
    })
    .await;
    match dead {
        Some(error) => Err(error),
        None => waited,
    }
}
