//! Ownership of the objects that the program creates, for all ways to install and remove a release.

use anyhow::{Result, ensure};
use logstream_testing::{Loopback, poll, webhook_probe::wait_called};
use serde_json::{Value, json};

use crate::context::{PATIENCE, TestContext};

impl TestContext {
    /// Waits until the Secret, the ConfigMap and the Lease exist, with the release's labels and an owner.
    async fn created_objects_are_owned(&self) -> Result<()> {
        let selector = format!("app.kubernetes.io/instance={}", self.release.name());
        let full_name = self.release.full_name();
        let expected = [
            format!("ConfigMap/{full_name}-progress Deployment/{full_name}"),
            format!("Lease/{full_name} Deployment/{full_name}"),
            format!("Secret/{full_name}-self-managed Deployment/{full_name}"),
        ];
        let columns = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {range .metadata.ownerReferences[*]}{.kind}/{.name}{end}{\"\\n\"}{end}";
        poll::eventually("all are owned by the Deployment", PATIENCE, || async {
            let home = self.release.namespace();
            let listed = self
                .cluster
                .kubectl(&["get", "configmaps,leases,secrets", "-n", home, "-l", &selector, "-o", columns])
                .map_err(|error| error.to_string())?;
            if expected.iter().all(|line| listed.lines().any(|listed| listed == line)) { Ok(()) } else { Err(listed) }
        })
        .await
    }

    /// The generation of the `PodDisruptionBudget`, which grows with each change of its spec.
    fn budget_generation(&self) -> Result<String> {
        let namespace = self.release.namespace();
        let path = "jsonpath={.items[*].metadata.generation}";
        self.cluster.kubectl(&["get", "poddisruptionbudgets", "-n", namespace, "-o", path])
    }

    fn ca_bundles(&self) -> Result<String> {
        let name = self.release.cluster_name();
        let path = "jsonpath={.webhooks[*].clientConfig.caBundle}";
        self.cluster.kubectl(&["get", "mutatingwebhookconfiguration", &name, "-o", path])
    }
}

/// Applies the output of `helm template` twice, then deletes its objects, like `kubectl delete` and Argo CD.
async fn applied(test: &str, flags: &[&str], unchanged: &str) -> Result<()> {
    let mut context = TestContext::new(test).await?;
    context.loopback = Loopback::new();
    let home = context.home.name().to_owned();
    let manifest = context.release.template(&context.values(json!({})), &[]).await?;
    let apply = [&["apply", "-f", "-"], flags].concat();
    context.cluster.kubectl_with(&apply, &manifest)?;
    let replica = context.start().await?;
    wait_called(context.cluster, &home, true).await?;
    context.workspace_is_streamed(&home, true).await?;
    context.created_objects_are_owned().await?;
    let bundles = context.ca_bundles()?;
    ensure!(!bundles.trim().is_empty(), "there is no caBundle");

    let generation = context.budget_generation()?;
    let again = context.cluster.kubectl_with(&apply, &manifest)?;
    // kubectl always patches a PodDisruptionBudget, because its selector has the patch strategy replace.
    let patched = |line: &str| line.starts_with("poddisruptionbudget.policy/") && line.ends_with(" configured");
    let stable = again.lines().all(|line| line.ends_with(unchanged) || patched(line));
    ensure!(stable, "applied again, it changes something:\n{again}");
    ensure!(context.budget_generation()? == generation, "the PodDisruptionBudget has changed");
    ensure!(context.ca_bundles()? == bundles, "the caBundle has changed");

    context.cluster.kubectl_with(&["delete", "--wait=false", "-f", "-"], &manifest)?;
    // Its last save comes after the deletion of the Deployment.
    tokio::task::spawn_blocking(move || replica.end()).await??;
    context.left_are(&[], &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_by_the_client_it_is_unchanged_and_leaves_nothing() -> Result<()> {
    applied("applied-client", &[], " unchanged").await
}

#[tokio::test(flavor = "multi_thread")]
async fn applied_on_the_server_it_keeps_the_bundle_and_leaves_nothing() -> Result<()> {
    applied("applied-server", &["--server-side"], " serverside-applied").await
}

/// A Secret without an owner, as after `kubectl delete --cascade=orphan`, is adopted by the next Deployment.
#[tokio::test(flavor = "multi_thread")]
async fn objects_without_an_owner_are_adopted() -> Result<()> {
    let context = TestContext::new("adopted").await?;
    let home = context.home.name().to_owned();
    let replica = context.install(json!({})).await?;
    context.workspace_is_streamed(&home, true).await?;
    context.created_objects_are_owned().await?;
    drop(replica);
    let orphaned: Value = json!({ "metadata": { "ownerReferences": null } });
    let secret = format!("{}-self-managed", context.release.full_name());
    context.cluster.kubectl(&["patch", "secret", &secret, "-n", &home, "--type=merge", "-p", &orphaned.to_string()])?;
    let _replica = context.start().await?;
    context.created_objects_are_owned().await?;
    context.uninstall_leaves_nothing(&[]).await
}

/// A cluster's administrator creates the ServiceAccount and roles instead of the chart.
#[tokio::test(flavor = "multi_thread")]
async fn account_and_roles_may_be_created_separately() -> Result<()> {
    let context = TestContext::new("own-account").await?;
    let home = context.home.name().to_owned();
    let values = context.values(json!({ "serviceAccount": { "name": "of-the-team" } }));
    let roles = context
        .release
        .template(
            &values,
            &[
                "--show-only",
                "templates/serviceaccount.yaml",
                "--show-only",
                "templates/role.yaml",
                "--show-only",
                "templates/rolebinding.yaml",
                "--show-only",
                "templates/clusterrole.yaml",
                "--show-only",
                "templates/clusterrolebinding.yaml",
            ],
        )
        .await?;
    context.cluster.kubectl_with(&["apply", "-f", "-"], &roles)?;
    let _replica = context
        .install(json!({
            "serviceAccount": { "create": false, "name": "of-the-team" },
            "rbac": { "create": false },
        }))
        .await?;
    context.workspace_is_streamed(&home, true).await?;
    context.release.uninstall().await?;
    let left = context.cluster.kubectl(&["get", "serviceaccount", "of-the-team", "-n", &home, "-o", "name"])?;
    ensure!(left.contains("of-the-team"), "{left}");
    context.cluster.kubectl_with(&["delete", "-f", "-"], &roles)?;
    context.left_are(&[], &[]).await
}
