//! Objects that the program creates belong to the release however it is installed and removed.

use anyhow::{Result, ensure};
use logstream_testing::{Loopback, poll, webhook_probe::wait_called};
use serde_json::{Value, json};

use crate::world::{PATIENCE, World};

impl World {
    /// The Secret and the ConfigMap exist, carry the release's labels and have an owner.
    async fn created_objects_are_owned(&self) -> Result<()> {
        let selector = format!("app.kubernetes.io/instance={}", self.release.name());
        let full_name = self.release.full_name();
        let expected = [
            format!("ConfigMap/{full_name}-progress Deployment/{full_name}"),
            format!("Secret/{full_name}-self-managed Deployment/{full_name}"),
        ];
        let columns = "jsonpath={range .items[*]}{.kind}/{.metadata.name} {range .metadata.ownerReferences[*]}{.kind}/{.name}{end}{\"\\n\"}{end}";
        poll::eventually("both are owned by the Deployment", PATIENCE, || async {
            let home = self.release.namespace();
            let listed = self
                .cluster
                .kubectl(&["get", "configmaps,secrets", "-n", home, "-l", &selector, "-o", columns])
                .map_err(|error| error.to_string())?;
            if expected.iter().all(|line| listed.lines().any(|listed| listed == line)) { Ok(()) } else { Err(listed) }
        })
        .await
    }

    fn ca_bundles(&self) -> Result<String> {
        let name = self.release.cluster_name();
        let path = "jsonpath={.webhooks[*].clientConfig.caBundle}";
        self.cluster.kubectl(&["get", "mutatingwebhookconfiguration", &name, "-o", path])
    }
}

/// Applies the output of `helm template` twice, then deletes what it names: as `kubectl delete` and Argo CD do.
async fn applied(test: &str, flags: &[&str], unchanged: &str) -> Result<()> {
    let mut world = World::new(test).await?;
    world.loopback = Loopback::new();
    let home = world.home.name().to_owned();
    let manifest = world.release.template(&world.values(json!({})), &[]).await?;
    let apply = [&["apply", "-f", "-"], flags].concat();
    world.cluster.kubectl_with(&apply, &manifest)?;
    let replica = world.start().await?;
    wait_called(world.cluster, &home, true).await?;
    world.workspace_is_streamed(&home, true).await?;
    world.created_objects_are_owned().await?;
    let bundles = world.ca_bundles()?;
    ensure!(!bundles.trim().is_empty(), "there is no caBundle");

    let again = world.cluster.kubectl_with(&apply, &manifest)?;
    ensure!(again.lines().all(|line| line.ends_with(unchanged)), "applied again, it changes something:\n{again}");
    ensure!(world.ca_bundles()? == bundles, "the caBundle is another");

    world.cluster.kubectl_with(&["delete", "--wait=false", "-f", "-"], &manifest)?;
    // Its last save comes after the Deployment is gone.
    tokio::task::spawn_blocking(move || replica.end()).await??;
    world.left_are(&[], &[]).await
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
    let world = World::new("adopted").await?;
    let home = world.home.name().to_owned();
    let replica = world.install(json!({})).await?;
    world.workspace_is_streamed(&home, true).await?;
    world.created_objects_are_owned().await?;
    drop(replica);
    let orphaned: Value = json!({ "metadata": { "ownerReferences": null } });
    let secret = format!("{}-self-managed", world.release.full_name());
    world.cluster.kubectl(&["patch", "secret", &secret, "-n", &home, "--type=merge", "-p", &orphaned.to_string()])?;
    let _replica = world.start().await?;
    world.created_objects_are_owned().await?;
    world.uninstall_leaves_nothing(&[]).await
}

/// With its own ServiceAccount and roles, a cluster's administrator keeps what the chart would create.
#[tokio::test(flavor = "multi_thread")]
async fn account_and_roles_may_be_made_by_others() -> Result<()> {
    let world = World::new("own-account").await?;
    let home = world.home.name().to_owned();
    let values = world.values(json!({ "serviceAccount": { "name": "of-the-team" } }));
    let roles = world
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
    world.cluster.kubectl_with(&["apply", "-f", "-"], &roles)?;
    let _replica = world
        .install(json!({
            "serviceAccount": { "create": false, "name": "of-the-team" },
            "rbac": { "create": false },
        }))
        .await?;
    world.workspace_is_streamed(&home, true).await?;
    world.release.uninstall().await?;
    let left = world.cluster.kubectl(&["get", "serviceaccount", "of-the-team", "-n", &home, "-o", "name"])?;
    ensure!(left.contains("of-the-team"), "{left}");
    world.cluster.kubectl_with(&["delete", "-f", "-"], &roles)?;
    world.left_are(&[], &[]).await
}
