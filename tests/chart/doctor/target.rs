//! Selection of the checked installation, and exit codes.

use anyhow::{Result, ensure};
use logstream_testing::{poll, ports};
use serde_json::json;

use super::report::{report, run};
use crate::context::{PATIENCE, TestContext};

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_without_problems_passes_all_checks() -> Result<()> {
    let context = TestContext::new("doctor-fine").await?;
    let _replica = context.install(json!({})).await?;
    let home = context.home.name();
    context.workspace_is_streamed(home, true).await?;
    // A busy machine may be slow at first. The webhook is called by URL here, and Coder without TLS.
    let report = poll::eventually("all checks pass", PATIENCE, || async {
        let report = context.doctor().await.map_err(|error| format!("{error:#}"))?;
        let others = report.with_status(&["failed", "warning", "skipped"]);
        if others.len() == 2 { Ok(report) } else { Err(format!("{others:#?}")) }
    })
    .await?;
    ensure!(report.code == Some(0), "{report:?}");
    report.shows("service-endpoints", "skipped", "by its URL")?;
    report.shows("coder-certificate", "skipped", "not encrypted")?;
    report.shows("workspaces-missed", "passed", "1 workspace pod, none was missed")?;
    report.shows("webhook-certificate", "passed", "127.0.0.1")?;
    report.shows("coder-version", "passed", "v2.")?;

    // The only release in the namespace needs no name.
    let text = run(context.cluster.as_ref().kubeconfig(), &["--namespace", home], &[]).await?;
    ensure!(text.code == Some(0) && text.stdout.contains("\nWebhook\n  ✓ "), "{text:?}");
    ensure!(text.stdout.contains("26 checks: 24 passed, 2 skipped"), "{text:?}");
    ensure!(!text.stdout.contains('\u{1b}'), "no colours in a pipe: {text:?}");
    context.release.uninstall().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_begin_exits_with_2() -> Result<()> {
    let context = TestContext::new("doctor-begin").await?;
    let kubeconfig = context.cluster.as_ref().kubeconfig();
    for (arguments, expected) in [
        (&["--namespace", context.home.name(), "--release", "none"][..], "no release none in the namespace"),
        (&["--namespace", context.home.name()], "no release of this program"),
        (&["--release", "none"], "no release none in any namespace"),
        (&["--release", "one", "--", "--coder-url=http://x"], "cannot be used with"),
    ] {
        let ended = run(kubeconfig, arguments, &[]).await?;
        ensure!(ended.code == Some(2) && ended.stdout.is_empty(), "{arguments:?}: {ended:?}");
        ensure!(ended.stderr.contains(expected), "{arguments:?}: {ended:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_api_server_all_else_is_skipped() -> Result<()> {
    let context = TestContext::new("doctor-away").await?;
    let server = format!("https://{}", ports::free());
    let kubeconfig = context.cluster.as_ref().kubeconfig_via(&server, "doctor-away", "no-token")?;
    let report = report(&kubeconfig, &["--", "--coder-url", &context.coder.url()], &[]).await?;
    report.shows("api-server", "failed", "")?;
    report.shows("coder-reachable", "skipped", "api-server did not pass")?;
    ensure!(report.code == Some(1), "{report:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_does_not_exist_fails() -> Result<()> {
    let context = TestContext::new("doctor-namespaces").await?;
    let url = context.coder.url();
    let home = context.home.name();
    let report = context.doctor_with(&["--coder-url", &url, "--namespaces", &format!("{home},not-there")]).await?;
    report.shows("namespaces", "failed", "not-there does not exist")?;
    let report = context.doctor_with(&["--coder-url", &url, "--namespaces", home]).await?;
    report.shows("namespaces", "passed", home)?;
    report.shows("webhook-configuration", "skipped", "the webhook is off")
}
