//! The chart's dashboard and alerts, against a real Prometheus that scraped a real run.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use logstream_testing::coder::{Endpoint, Fault};
use logstream_testing::{
    FaultProxy, Prometheus, Replica, Scenario, Scrape, Workspace, poll, webhook_probe::wait_called,
};
use serde_json::{Value, json};

use crate::context::{PATIENCE, TestContext};

const DASHBOARD: &str = include_str!("../../helm/files/dashboard.json");

/// Path of the alert rules.
pub(crate) fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/files/alerts.yaml")
}

/// A query of the dashboard, with its variables replaced.
struct Query {
    panel: String,
    expression: String,
    /// Thresholds of its panel, in ascending order; the first has no value.
    thresholds: Vec<Value>,
}

/// The queries of all panels.
fn queries() -> Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().context("panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().context("a query")?;
            queries.push(Query {
                panel: panel["title"].as_str().context("a title")?.to_owned(),
                expression: expression
                    .replace("$__rate_interval", "5m")
                    .replace("$__range", "5m")
                    .replace("$job", ".*")
                    .replace("$namespace", ".*"),
                thresholds: panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default(),
            });
        }
    }
    Ok(queries)
}

impl Query {
    /// Fails if the query has no numeric result.
    async fn check(&self, prometheus: &Prometheus) -> Result<()> {
        let data = prometheus.query(&self.expression).await.with_context(|| self.panel.clone())?;
        let values = data["result"].as_array().context("a result")?;
        let numbers = values.iter().filter(|sample| sample["value"][1].as_str().is_some_and(|value| value != "NaN"));
        ensure!(numbers.count() > 0, "{} shows nothing: {}: {data}", self.panel, self.expression);
        Ok(())
    }

    /// Fails if the panel's thresholds give another colour.
    async fn has_colour(&self, prometheus: &Prometheus, colour: &str) -> Result<()> {
        let data = prometheus.query(&self.expression).await?;
        let value: f64 = data["result"][0]["value"][1].as_str().context("a number")?.parse()?;
        let reached = self.thresholds.iter().rfind(|step| step["value"].as_f64().is_none_or(|least| value >= least));
        let shown = &reached.context("a threshold")?["color"];
        ensure!(shown == colour, "{} is {shown} with {value}", self.panel);
        Ok(())
    }
}

/// A query that has a result after the first scrape of the program.
fn first_scrape() -> Query {
    let (panel, expression) = ("the first scrape".to_owned(), "coder_logstream_build_info".to_owned());
    Query { panel, expression, thresholds: Vec::new() }
}

/// Path of Prometheus. Without it, prints that the test is skipped.
fn program() -> Result<Option<PathBuf>> {
    let program = Prometheus::program();
    if program.is_none() {
        // Not with a print macro: its output is shown only if the test fails.
        writeln!(io::stderr(), "skipped: no prometheus (Debian's package has it)")?;
    }
    Ok(program)
}

/// Starts a Prometheus that scrapes the replica, and waits for the first scrape: rates need a sample from before
/// anything happens.
async fn scraping(program: &Path, replica: &Replica) -> Result<Prometheus> {
    let targets = [replica.authority().to_owned()];
    let prometheus = Prometheus::start(program, Scrape { targets: &targets, rules: &rules(), data: None }).await?;
    let scraped = first_scrape();
    poll::eventually(&scraped.panel, PATIENCE, || scraped.check(&prometheus)).await?;
    Ok(prometheus)
}

/// The queries of panels that can become red.
fn coloured() -> Result<Vec<Query>> {
    let mut queries = queries()?;
    queries.retain(|query| query.thresholds.iter().any(|step| step["color"] == "red"));
    ensure!(queries.len() == 3, "{} panels can become red", queries.len());
    Ok(queries)
}

#[tokio::test]
async fn every_panel_shows_data_and_every_alert_is_evaluated() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let context = TestContext::new("monitoring").await?;
    let replica = context.install(json!({})).await?;
    let prometheus = scraping(&program, &replica).await?;

    let home = context.home.name();
    context.workspace_is_streamed(home, true).await?;
    let agent = context.agent();
    let failing = Workspace::new(home, "bob", "broken", &agent).scenario(Scenario::WrongImage);
    context.create(&failing.deployment()).await?;
    context
        .coder
        .wait_for_lines(&agent, PATIENCE, |lines| lines.iter().any(|line| line.plain().contains("Failed to pull")))
        .await?;

    let queries = queries()?;
    ensure!(queries.len() > 40, "{} queries", queries.len());
    for query in &queries {
        poll::eventually(&query.panel, PATIENCE, || query.check(&prometheus)).await?;
    }
    let coloured = coloured()?;
    for query in &coloured {
        query.has_colour(&prometheus, "green").await?;
    }
    let missing = Query { expression: "coder_logstream_no_such_metric".to_owned(), ..first_scrape() };
    ensure!(missing.check(&prometheus).await.is_err(), "a metric that does not exist has data");
    let rules = poll::eventually("each alert is evaluated", PATIENCE, || async {
        let rules = prometheus.rules().await?;
        let ok = rules.iter().all(|rule| rule["health"] == "ok");
        ensure!(ok && !rules.is_empty(), "{rules:?}");
        anyhow::Ok(rules)
    })
    .await?;
    let firing: Vec<_> = rules.iter().filter(|rule| rule["state"] == "firing").collect();
    ensure!(firing.is_empty(), "{firing:?}");
    Ok(())
}

#[tokio::test]
async fn panels_with_a_threshold_become_red() -> Result<()> {
    let Some(program) = program()? else { return Ok(()) };
    let mut context = TestContext::new("monitoring-red").await?;
    let proxy = FaultProxy::start(context.loopback.webhook().context("a webhook")?)?;
    context.loopback = context.loopback.behind(proxy.address());
    let replica = context.install(json!({ "certs": { "duration": "24h" } })).await?;
    let prometheus = scraping(&program, &replica).await?;

    let home = context.home.name();
    context.workspace_is_streamed(home, true).await?;
    proxy.refuse(true);
    proxy.cut();
    wait_called(context.cluster, home, false).await?;
    context.coder.fault(Fault::Html(403).at(Endpoint::Logs).containing("Failed to pull"));
    let failing = Workspace::new(home, "bob", "broken", &context.agent()).scenario(Scenario::WrongImage);
    context.create(&failing.deployment()).await?;
    for query in &coloured()? {
        poll::eventually(&query.panel, PATIENCE, || query.has_colour(&prometheus, "red")).await?;
    }
    Ok(())
}
