//! Watched namespaces and their roles.

use anyhow::{Result, ensure};
use logstream_testing::TestNamespace;
use serde_json::json;

use crate::context::{TestContext, watching};
use crate::exercise::Modes;

#[tokio::test]
async fn by_default_the_releases_own_namespace_is_watched() -> Result<()> {
    let context = TestContext::new("defaults").await?;
    let home = context.home.name();
    let _replica = context.install(json!({})).await?;
    context
        .notes_are_true(&[&format!("Watched:      {home}\n"), "Certificate:  self-managed", "Tokens:       plain"])
        .await?;
    context.exercise(&[home], Modes::DEFAULT).await?;
    context.uninstall_leaves_nothing(&[]).await
}

#[tokio::test]
async fn each_named_namespace_has_a_role_and_psa_restricted_works() -> Result<()> {
    let context = TestContext::restricted("named").await?;
    let first = TestNamespace::create(context.cluster, "named-first").await?;
    let second = TestNamespace::create(context.cluster, "named-second").await?;
    let namespaces = [first.name(), second.name()];
    let _replica = context.install(watching(&namespaces)).await?;
    context.notes_are_true(&[&format!("Watched:      {}, {}\n", first.name(), second.name())]).await?;
    // PodSecurity is enforced on pods, which the Deployment creates: the rollout command of the notes has completed.
    let label = format!("app.kubernetes.io/instance={}", context.release.name());
    ensure!(context.pods(context.home.name(), &label).await?.len() == 2, "the Deployment's pods are admitted");
    context.the_pod_of_helm_test_is_admitted().await?;
    context.exercise(&namespaces, Modes::DEFAULT).await?;
    let clusterwide = context.release.grants().await?.0.into_iter().filter(|grant| grant.namespace.is_none());
    let other: Vec<_> =
        clusterwide.filter(|grant| grant.name.as_ref() != Some(&context.release.cluster_name())).collect();
    ensure!(other.is_empty(), "cluster-wide is only its own webhook configuration: {other:?}");
    context.uninstall_leaves_nothing(&namespaces).await
}

#[tokio::test]
async fn all_namespaces_are_watched_by_a_cluster_role() -> Result<()> {
    let context = TestContext::alone("everywhere").await?;
    let second = TestNamespace::create(context.cluster, "everywhere-second").await?;
    let _replica = context.install(json!({ "namespaces": "" })).await?;
    context.notes_are_true(&["Watched:      all namespaces\n"]).await?;
    context.exercise(&[context.home.name(), second.name()], Modes::DEFAULT).await?;
    context.uninstall_leaves_nothing(&[second.name()]).await
}

#[tokio::test]
async fn one_cluster_role_serves_named_namespaces_when_asked_for() -> Result<()> {
    let context = TestContext::new("cluster-scope").await?;
    let first = TestNamespace::create(context.cluster, "cluster-scope-first").await?;
    let second = TestNamespace::create(context.cluster, "cluster-scope-second").await?;
    // As one string, which the chart also accepts.
    let namespaces = format!("{}, {}", first.name(), second.name());
    let _replica = context.install(json!({ "namespaces": namespaces, "rbac": { "scope": "cluster" } })).await?;
    context.exercise(&[first.name(), second.name()], Modes::DEFAULT).await?;
    context.uninstall_leaves_nothing(&[first.name(), second.name()]).await
}

#[tokio::test]
async fn secrets_are_read_only_if_enabled() -> Result<()> {
    let context = TestContext::new("read-secrets").await?;
    let second = TestNamespace::create(context.cluster, "read-secrets-second").await?;
    let namespaces = [context.home.name(), second.name()];
    let values = json!({ "namespaces": namespaces, "rbac": { "readSecrets": true } });
    let _replica = context.install(values).await?;
    context.notes_are_true(&["Tokens:       also those in Secrets and ConfigMaps"]).await?;
    context.exercise(&namespaces, Modes { read_secrets: true, ..Modes::DEFAULT }).await?;
    context.uninstall_leaves_nothing(&[second.name()]).await
}

impl TestContext {
    /// Asserts by dry run that the namespace admits the pod of `helm test`. No node here has its image.
    async fn the_pod_of_helm_test_is_admitted(&self) -> Result<()> {
        let hooks = self.create_hooks().await?;
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let applied = self.cluster.kubectl_with(&arguments, &hooks.pod)?;
        self.delete_hooks(&hooks)?;
        ensure!(applied.contains("created"), "{applied}");
        Ok(())
    }
}
