//! Checks of permissions, and permissions of `doctor` itself.

use anyhow::{Result, ensure};
use logstream_testing::{Access, Scope, access::rule};
use serde_json::json;

use super::report::report;
use crate::context::TestContext;

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_unneeded_permissions_are_named() -> Result<()> {
    let context = TestContext::new("doctor-rbac").await?;
    let _replica = context.install(json!({})).await?;
    let home = context.home.name();
    let report = context.doctor().await?;
    report.shows("permissions-needed", "passed", "are granted")?;
    report.shows("permissions-unneeded", "passed", "are needed")?;

    let account = format!("{home}:{}", context.release.full_name());
    context.kubectl(&["create", "role", "more", "--verb=get,delete", "--resource=secrets"])?;
    context.kubectl(&["create", "rolebinding", "more", "--role=more", &format!("--serviceaccount={account}")])?;
    let report = context.doctor_shows("permissions-unneeded", "warning", "").await?;
    for grant in [format!("get secrets in {home}"), format!("delete secrets in {home}")] {
        ensure!(report.found("permissions-unneeded").contains(&grant), "{report:?}");
    }
    ensure!(report.code == Some(0), "a warning does not fail: {report:?}");

    context.kubectl(&["delete", "rolebinding", "more", &format!("{}:watch", context.release.cluster_name())])?;
    let report = context.doctor_shows("permissions-needed", "failed", "").await?;
    for need in ["list events", "watch pods", "get replicasets.apps", "list jobs.batch"] {
        ensure!(report.found("permissions-needed").contains(&format!("{need} in {home}")), "{need}: {report:?}");
    }
    ensure!(report.code == Some(1), "{report:?}");
    context.release.uninstall().await
}

/// In the program's own pod, `doctor` reviews its own account.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_programs_account_it_reviews_itself() -> Result<()> {
    let context = TestContext::new("doctor-self").await?;
    let _replica = context.install(json!({})).await?;
    let (home, name) = (context.home.name(), context.release.full_name());
    let access = Access::token_of(context.cluster, home, &name).await?;
    let url = context.coder.url();
    let (owner, state) = (format!("--owner-deployment={name}"), format!("--state-name={name}-progress"));
    let own = ["--", "--coder-url", &url, "--namespaces", home, "--state-namespace", home, &owner, &state];
    let webhook = format!("--webhook-config-name={}", context.release.cluster_name());
    let webhook = ["--webhook-addr=:10250", "--webhook-cert-secret", &format!("{name}-self-managed"), &webhook]
        .map(str::to_owned)
        .to_vec();
    let lease = format!("--lease-name={name}");
    let more = ["--resolve-references=false".to_owned(), format!("--webhook-service={name}.{home}"), lease];
    let all: Vec<&str> = own.into_iter().chain(webhook.iter().chain(&more).map(String::as_str)).collect();
    let found = report(&access.kubeconfig, &all, &[]).await?;
    found.shows("api-server", "passed", &format!("system:serviceaccount:{home}:{name}"))?;
    found.shows("permissions-needed", "passed", "are granted")?;
    found.shows("permissions-unneeded", "passed", "are needed")?;
    found.shows("webhook-call", "skipped", &format!("create pods in {home}"))?;

    let fewer = ["--namespaces", home, "--webhook-addr="];
    let found = report(&access.kubeconfig, &[&all[..], &fewer].concat(), &[]).await?;
    found.shows("permissions-unneeded", "warning", "secrets")?;
    let other = ["--namespaces", "default"];
    let found = report(&access.kubeconfig, &[&all[..], &other].concat(), &[]).await?;
    found.shows("permissions-needed", "failed", "list pods in default")?;
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_doctor_lacks_is_named_and_skips_the_check() -> Result<()> {
    let context = TestContext::new("doctor-few").await?;
    let _replica = context.install(json!({})).await?;
    let home = context.home.name();
    let rules = [rule("apps", &["deployments"], &["get", "list"])];
    let access = Access::grant(context.cluster, home, "operator", &Scope::Namespaces(Vec::new()), &rules).await?;
    let arguments = ["--namespace", home, "--release", context.release.name()];
    let report = report(&access.kubeconfig, &arguments, &[]).await?;
    for (id, missing) in [
        ("namespaces", format!("get namespaces/{home}")),
        ("permissions-needed", format!("create localsubjectaccessreviews.authorization.k8s.io in {home}")),
        ("permissions-unneeded", "list clusterrolebindings.rbac.authorization.k8s.io".to_owned()),
        ("pod-security", format!("create pods in {home}")),
        ("checkpoint", format!("get configmaps/{}-progress in {home}", context.release.full_name())),
        ("webhook-call", "get mutatingwebhookconfigurations.admissionregistration.k8s.io".to_owned()),
        ("network-policies", format!("list networkpolicies.networking.k8s.io in {home}")),
        ("workspaces-missed", format!("list pods in {home}")),
    ] {
        report.shows(id, "skipped", &format!("no permission to {missing}"))?;
    }
    report.shows("deployment", "passed", "")?;
    ensure!(report.code == Some(0), "skipped checks do not fail: {report:?}");
    context.release.uninstall().await
}
