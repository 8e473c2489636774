//! A release without the webhook, for users with permissions in their own namespaces only.

use anyhow::{Result, ensure};
use logstream_testing::{Access, Admin, Release, TestNamespace, Tool, poll};
use serde_json::json;

use crate::context::{NAME, PATIENCE, TestContext};
use crate::exercise::Modes;

const OWNER: &str = "owner";

/// A user with Kubernetes' role `admin` in these namespaces only.
async fn owner_of(context: &TestContext, namespaces: &[&str]) -> Result<Admin> {
    let home = context.home.name();
    context.cluster.kubectl(&["create", "serviceaccount", OWNER, "-n", home])?;
    let account = format!("--serviceaccount={home}:{OWNER}");
    for namespace in namespaces {
        context.cluster.kubectl(&["create", "rolebinding", OWNER, "--clusterrole=admin", &account, "-n", namespace])?;
    }
    let access = Access::token_of(context.cluster, home, OWNER).await?;
    let owner = Admin::new(access.kubeconfig, context.cluster.tool(Tool::Kubectl), context.cluster.directory());
    // A controller aggregates the role soon after the cluster's start.
    poll::eventually("the role admin is complete", PATIENCE, || async {
        owner.kubectl(&["auth", "can-i", "create", "rolebindings", "-n", home]).map_err(|error| error.to_string())
    })
    .await?;
    Ok(owner)
}

#[tokio::test]
async fn an_owner_of_namespaces_alone_can_install_a_watcher() -> Result<()> {
    let mut context = TestContext::new("watcher").await?;
    let second = TestNamespace::create(context.cluster, "watcher-second").await?;
    let home = context.home.name().to_owned();
    let namespaces = [&*home, second.name()];
    let owner = owner_of(&context, &namespaces).await?;
    context.loopback = context.loopback.without_webhook();
    context.release = Release::new(&owner, NAME, &home)?;

    let refused =
        Release::new(&owner, "with-webhook", &home)?.install(&json!({ "url": context.coder.url() }), &[]).await;
    let refused = refused.err().map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("cluster scope"), "with its webhook it needs more: {refused}");

    // Events of nodes are in a namespace that the user does not own.
    let values = json!({ "namespaces": namespaces, "rbac": { "nodeEvents": false } });
    let _replica = context.install(values).await?;
    context.notes_are_true(&["Webhook:      off"]).await?;
    // The user has no permission to read bindings, so the test reads them as administrator.
    context.release = Release::new(context.cluster, NAME, &home)?;
    context.exercise(&namespaces, Modes { webhook: false, self_managed: false, read_secrets: false }).await?;
    context.release = Release::new(&owner, NAME, &home)?;
    context.uninstall_leaves_nothing(&[second.name()]).await
}
