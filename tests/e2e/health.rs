//! The health and metrics endpoints.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use kube::ResourceExt;
use logstream_testing::{FaultProxy, Installation, Metrics, Scenario, Workspace, poll};

use crate::support::{PATIENCE, TestContext, token};

/// Files that name metrics. The first one is the documentation, which lists all.
const MENTIONED: [(&str, &str); 3] = [
    ("docs/operations.md", include_str!("../../docs/operations.md")),
    ("helm/files/alerts.yaml", include_str!("../../helm/files/alerts.yaml")),
    ("helm/files/dashboard.json", include_str!("../../helm/files/dashboard.json")),
];

const PREFIX: &str = "coder_logstream_";

async fn get(installation: &Installation, path: &str) -> Result<(u16, String)> {
    installation.product.get(&installation.health_url(path)).await
}

#[tokio::test]
async fn it_is_live_without_servers_and_ready_after_the_first_lists() -> Result<()> {
    let context = TestContext::new("health").await?;
    let proxy = FaultProxy::start(context.cluster.server_address())?;
    proxy.refuse(true);
    context.coder.refuse(true)?;
    let mut installation = context.plan().via_proxy(proxy.address()).begin(context.cluster).await?;
    poll::eventually("the health port answers", PATIENCE, || get(&installation, "/livez")).await?;
    assert_eq!(get(&installation, "/livez").await?, (200, "ok\n".to_owned()));
    assert_eq!(get(&installation, "/readyz").await?.0, 503);
    let (_, body) = get(&installation, "/readyz?verbose").await?;
    assert!(body.contains("[-]watch failed: the API server was not reached yet\n"), "{body}");

    // Readiness does not depend on Coder.
    proxy.refuse(false);
    installation.wait_ready().await?;
    let (status, body) = get(&installation, "/readyz?verbose").await?;
    assert_eq!(status, 200);
    assert!(body.contains("[+]watch ok\n") && body.ends_with("readyz check passed\n"), "{body}");

    // It stays ready while the API server is away. Otherwise the Service would have no endpoint when the API server is
    // back.
    proxy.refuse(true);
    proxy.cut();
    poll::eventually("the watch has noticed it", PATIENCE, || async {
        let synced = installation.metrics().await?.sum("coder_logstream_watch_synced");
        ensure!(synced == 0.0, "{synced}");
        anyhow::Ok(())
    })
    .await?;
    assert_eq!(get(&installation, "/livez").await?.0, 200);
    assert_eq!(get(&installation, "/readyz").await?.0, 200);
    Ok(())
}

#[tokio::test]
async fn readiness_names_the_missing_permission() -> Result<()> {
    let context = TestContext::new("not-allowed").await?;
    let elsewhere = TestContext::new("elsewhere").await?;
    // It has permission for its own namespace only, but is configured to watch another one too.
    let other = elsewhere.namespace.name();
    let namespaces = format!("--namespaces={},{other}", context.namespace.name());
    let installation = context.plan().arg(namespaces).begin(context.cluster).await?;
    poll::eventually("the missing permission is reported", PATIENCE, || async {
        let (status, body) = get(&installation, "/readyz?verbose").await?;
        let parts = ["[-]watch failed: ", &format!("pods in {other}: forbidden: "), "the verbs list and watch on pods"];
        ensure!(status == 503 && parts.iter().all(|text| body.contains(text)), "{status} {body}");
        ensure!(!body.contains(&format!("pods in {}", context.namespace.name())), "{body}");
        anyhow::Ok(())
    })
    .await?;
    assert_eq!(get(&installation, "/livez").await?.0, 200);
    Ok(())
}

/// Names of the program's own metrics. A histogram is included by its buckets only.
fn names(metrics: &Metrics) -> BTreeSet<String> {
    let all: BTreeSet<_> = metrics.iter().filter_map(|(sample, _)| sample.split('{').next()).collect();
    let of_histogram = |name: &str| {
        let base = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
        base.is_some_and(|base| all.contains(format!("{base}_bucket").as_str()))
    };
    all.iter().filter(|name| name.starts_with(PREFIX) && !of_histogram(name)).map(ToString::to_string).collect()
}

/// The names of the program's metrics in a text. The prefix alone is not one.
fn mentioned(text: &str) -> BTreeSet<String> {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| word.len() > PREFIX.len() && word.starts_with(PREFIX)).map(str::to_owned).collect()
}

/// Every series by name and labels.
fn series(metrics: &Metrics) -> BTreeSet<String> {
    metrics.iter().map(|(sample, _)| sample.to_owned()).collect()
}

#[tokio::test]
async fn metrics_are_complete_at_first_scrape_without_user_names() -> Result<()> {
    let context = TestContext::new("metrics").await?;
    let proxy = FaultProxy::start(context.cluster.server_address())?;
    proxy.refuse(true);
    let mut installation = context.plan().via_proxy(proxy.address()).begin(context.cluster).await?;
    let first = poll::eventually("the first scrape", PATIENCE, || installation.metrics()).await?;
    let exported = names(&first);
    for (file, text) in MENTIONED {
        let unknown: Vec<_> = mentioned(text).difference(&exported).cloned().collect();
        assert_eq!(unknown, [""; 0], "{file} names metrics that do not exist");
    }
    let (documentation, text) = MENTIONED[0];
    let documented = mentioned(text);
    let undocumented: Vec<_> = exported.difference(&documented).collect();
    assert_eq!(undocumented, [""; 0], "{documentation} lacks metrics");

    // Everything happens at least once: starts, failures, an invalid agent, an unavailable Coder and API server.
    proxy.refuse(false);
    installation.wait_ready().await?;
    installation.register(context.cluster).await?;
    let namespace = context.namespace.name();
    let agents = [context.agent(), context.agent(), token()];
    for (agent, scenario) in agents.iter().zip([Scenario::Normal, Scenario::WrongImage, Scenario::OomKilled]) {
        let workspace = Workspace::new(namespace, "alice", scenario.name(), agent).scenario(scenario);
        context.create(&workspace.deployment()).await?;
    }
    context.wait_for(&agents[0], &["Container started"]).await?;
    context.wait_for(&agents[1], &["Failed to pull image"]).await?;
    context.coder.refuse(true)?;
    let pod = Workspace::new(namespace, "bob", "away", &agents[0]).pod();
    let pod = context.create(&pod).await?;
    poll::eventually("Coder is missed", PATIENCE, || async {
        let missed = installation.metrics().await?;
        let network = missed.get("coder_logstream_coder_requests_total{endpoint=\"logs\",outcome=\"network\"}");
        ensure!(network > Some(0.0), "{network:?}");
        anyhow::Ok(())
    })
    .await?;
    context.coder.refuse(false)?;
    context.wait_for(&agents[0], &[&format!("Created pod: {}", pod.name_any())]).await?;

    let last = installation.metrics().await?;
    let (first, last) = (series(&first), series(&last));
    let new: Vec<_> = last.difference(&first).collect();
    assert_eq!(new, [""; 0], "these came later");
    let gone: Vec<_> = first.difference(&last).collect();
    assert_eq!(gone, [""; 0], "these went");
    for name in [namespace, "alice", "bob", "coder-", "normal", "node-1", "\"dev\""]
        .into_iter()
        .chain(agents.iter().map(String::as_str))
    {
        let named: Vec<_> = last.iter().filter(|sample| labels(sample).contains(name)).collect();
        assert_eq!(named, [""; 0], "{name}");
    }
    Ok(())
}

/// The part of a series in braces.
fn labels(sample: &str) -> &str {
    sample.split_once('{').map_or("", |(_, labels)| labels)
}
