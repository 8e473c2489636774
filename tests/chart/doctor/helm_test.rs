//! `helm test`: its pod and its permissions.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use logstream_testing::Access;
use serde_json::{Value, json};

use super::report::{Report, report};
use crate::context::TestContext;

/// Settings of the pod of `helm test`.
struct TestPod {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    kubeconfig: PathBuf,
}

/// The hooks of a release, as manifests.
pub(crate) struct Hooks {
    pub(crate) pod: String,
    others: String,
}

impl TestContext {
    /// Creates the account and the roles of the hooks, as `helm test` does, but not the pod.
    pub(crate) async fn create_hooks(&self) -> Result<Hooks> {
        let hooks = self.release.hooks().await?;
        let (pod, others): (Vec<_>, Vec<_>) = hooks.split("\n---").partition(|hook| hook.contains("\nkind: Pod\n"));
        let others = others.join("\n---\n");
        self.cluster.kubectl_with(&["apply", "-f", "-"], &others)?;
        Ok(Hooks { pod: pod.first().context("a pod of helm test")?.to_string(), others })
    }

    /// Deletes what [`TestContext::create_hooks`] created, as `helm test` does.
    pub(crate) fn delete_hooks(&self, hooks: &Hooks) -> Result<()> {
        self.cluster.kubectl_with(&["delete", "-f", "-"], &hooks.others).map(drop)
    }

    /// Runs the command of the test's pod here, with the pod's account.
    async fn helm_test(&self) -> Result<Report> {
        let hooks = self.create_hooks().await?;
        let report = self.test_pod(&hooks).await?.run().await;
        self.delete_hooks(&hooks)?;
        report
    }

    async fn test_pod(&self, hooks: &Hooks) -> Result<TestPod> {
        let pod = self.cluster.kubectl_with(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &hooks.pod)?;
        let pod: Value = serde_json::from_str(&pod)?;
        let account = pod["spec"]["serviceAccountName"].as_str().context("an account")?;
        let container = &pod["spec"]["containers"][0];
        let texts = |value: &Value| {
            value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let variable = |variable: &Value| {
            let value = variable["value"].as_str().map_or_else(|| self.home.name().to_owned(), str::to_owned);
            let empty = variable.get("valueFrom").is_none() && variable.get("value").is_none();
            (variable["name"].as_str().unwrap_or_default().to_owned(), if empty { String::new() } else { value })
        };
        Ok(TestPod {
            arguments: texts(&container["args"]),
            environment: container["env"].as_array().into_iter().flatten().map(variable).collect(),
            kubeconfig: Access::token_of(self.cluster, self.home.name(), account).await?.kubeconfig,
        })
    }
}

impl TestPod {
    /// Runs the pod's command here.
    async fn run(&self) -> Result<Report> {
        ensure!(self.arguments.first().is_some_and(|first| first == "doctor"), "{:?}", self.arguments);
        let arguments: Vec<_> =
            self.arguments.iter().skip(1).filter(|one| !one.starts_with("--wait")).map(String::as_str).collect();
        let environment: Vec<_> = self.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        report(&self.kubeconfig, &arguments, &environment).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_role_has_all_that_doctor_needs() -> Result<()> {
    let context = TestContext::new("doctor-helm").await?;
    let _replica = context.install(json!({})).await?;
    context.workspace_is_streamed(context.home.name(), true).await?;
    context.doctor_shows("checkpoint", "passed", "").await?;
    let report = context.helm_test().await?;
    ensure!(report.code == Some(0), "{report:?}");
    let others = report.with_status(&["failed", "warning", "skipped"]);
    ensure!(others.len() == 2, "only what is skipped for an administrator too: {others:#?}");
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn for_all_namespaces_and_without_dry_runs_it_has_less() -> Result<()> {
    let context = TestContext::alone("doctor-helm-all").await?;
    let _replica = context.install(json!({ "namespaces": "", "tests": { "dryRun": false } })).await?;
    let report = context.helm_test().await?;
    ensure!(report.code == Some(0), "{report:?}");
    for id in ["permissions-needed", "permissions-unneeded", "webhook-selectors", "workspaces-missed"] {
        report.shows(id, "passed", "")?;
    }
    report.shows("webhook-call", "skipped", "create pods")?;
    report.shows("pod-security", "skipped", "create pods")?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_webhook_it_needs_no_cluster_role() -> Result<()> {
    let mut context = TestContext::new("doctor-helm-watch").await?;
    context.loopback = context.loopback.without_webhook();
    let _replica = context.install(json!({})).await?;
    let hooks = context.release.hooks().await?;
    ensure!(!hooks.contains("kind: Cluster"), "{hooks}");
    let report = context.helm_test().await?;
    ensure!(report.code == Some(0), "{report:?}");
    report.shows("permissions-needed", "passed", "are granted")?;
    report.shows("namespaces", "passed", context.home.name())?;
    context.release.uninstall().await
}
