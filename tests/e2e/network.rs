//! Proxies, redirects and certificates between the program and its two servers.

use std::{fs, io::Write as _};

use anyhow::{Result, ensure};
use logstream_testing::{CoderOptions, CoderStandIn, Scenario, Workspace, coder::Valid, forward_proxy::ForwardProxy};

use crate::{
    facts::{Facts, assert_once_in_order, have_come},
    support::{PATIENCE, PROGRAM, TestContext, token, wait_for_metric},
};

/// Address of a proxy that does not exist.
const UNREACHABLE_PROXY: &str = "http://127.0.0.1:9";

/// Creates a workspace and waits for its lines.
async fn lines_arrive(context: &TestContext) -> Result<()> {
    let agent = context.agent();
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).scenario(Scenario::Normal);
    context.create(&workspace.deployment()).await?;
    context.wait_for(&agent, &["🐳 Created pod", "Container started"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_servers_are_reached_through_the_http_proxy() -> Result<()> {
    let context = TestContext::new("proxy").await?;
    let proxy = tokio::task::spawn_blocking(ForwardProxy::start).await??;
    let plan = context.plan().env("HTTP_PROXY", proxy.url()).env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", "");
    let _installation = plan.install(context.cluster).await?;
    lines_arrive(&context).await?;
    let log = proxy.log();
    let api_server = format!("CONNECT {}", context.cluster.server_address());
    ensure!(log.contains(&api_server), "{api_server} is not in\n{log}");
    let coder = context.coder.url().replace("http://", "");
    ensure!(log.contains(&coder), "{coder} is not in\n{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_bypasses_the_proxy() -> Result<()> {
    for no_proxy in ["127.0.0.0/8", "localhost, 127.0.0.1,", "*", ".svc,*.example.com,127.0.0.1"] {
        let context = TestContext::new("no-proxy").await?;
        let plan = context.plan().env("HTTPS_PROXY", UNREACHABLE_PROXY).env("HTTP_PROXY", UNREACHABLE_PROXY);
        let _installation = plan.env("NO_PROXY", no_proxy).install(context.cluster).await?;
        lines_arrive(&context).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_wait_while_the_certificate_of_coder_is_expired() -> Result<()> {
    let context = TestContext::new("expired-certificate").await?;
    let coder = CoderStandIn::start(CoderOptions::new().tls())?;
    let mut roots = tempfile::NamedTempFile::new()?;
    roots.write_all(coder.ca_pem().unwrap_or_default().as_bytes())?;
    let agent = token();
    coder.add_agent(&agent, Valid::Now);
    let plan = logstream_testing::Plan::new(PROGRAM, &coder.url(), context.namespace.name());
    let installation = plan.env("SSL_CERT_FILE", roots.path().display().to_string()).install(context.cluster).await?;
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent);
    let facts = Facts::of(&context.client, &workspace).await?;
    facts.all_happen(0..3).await?;
    coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..3)).await?;
    wait_for_metric(&installation, "lines_waiting", |lines| lines < 0.5).await?;

    coder.expired(true);
    facts.all_happen(3..6).await?;
    let failed = "coder_requests_total{endpoint=\"logs\",outcome=\"network\"}";
    wait_for_metric(&installation, failed, |failures| failures >= 3.0).await?;
    let output = installation.product.output();
    ensure!(output.contains("Coder unavailable, holding lines") && output.contains("xpired"), "{output}");
    coder.expired(false);
    let lines = coder.wait_for_lines(&agent, PATIENCE, |lines| have_come(lines, 0..6)).await?;
    assert_once_in_order(&lines, 0..6);
    ensure!(coder.violations().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_self_signed_coder_certificate_is_trusted_as_root() -> Result<()> {
    let context = TestContext::new("own-ca").await?;
    let coder = CoderStandIn::start(CoderOptions::new().own_ca())?;
    let mut roots = tempfile::NamedTempFile::new()?;
    roots.write_all(coder.ca_pem().unwrap_or_default().as_bytes())?;
    let agent = token();
    coder.add_agent(&agent, Valid::Now);
    let plan = logstream_testing::Plan::new(PROGRAM, &coder.url(), context.namespace.name());
    let _installation = plan.env("SSL_CERT_FILE", roots.path().display().to_string()).install(context.cluster).await?;
    let workspace = Workspace::new(context.namespace.name(), "alice", "dev", &agent).scenario(Scenario::Normal);
    context.create(&workspace.deployment()).await?;
    coder
        .wait_for_lines(&agent, crate::support::PATIENCE, |lines| {
            lines.iter().any(|line| line.output.contains("Container started"))
        })
        .await?;
    ensure!(fs::metadata(roots.path())?.len() > 0);
    Ok(())
}
