//! The chart's dashboard and alerts, against a real Prometheus that scraped a real run.

use std::{
    io::{self, Write as _},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use logstream_testing::{Prometheus, Scenario, Workspace, poll};
use serde_json::{Value, json};

use crate::context::{PATIENCE, TestContext};

const DASHBOARD: &str = include_str!("../../helm/files/dashboard.json");
const ALERTS: &str = "helm/files/alerts.yaml";

/// A query of the dashboard, with its variables replaced.
struct Query {
    panel: String,
    expression: String,
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
            });
        }
    }
    Ok(queries)
}

impl Query {
    /// Fails if it has no result, or none that is a number.
    async fn check(&self, prometheus: &Prometheus) -> Result<()> {
        let data = prometheus.query(&self.expression).await.with_context(|| self.panel.clone())?;
        let values = data["result"].as_array().context("a result")?;
        let numbers = values.iter().filter(|sample| sample["value"][1].as_str().is_some_and(|value| value != "NaN"));
        ensure!(numbers.count() > 0, "{} shows nothing: {}: {data}", self.panel, self.expression);
        Ok(())
    }
}

#[tokio::test]
async fn every_panel_shows_data_and_every_alert_is_evaluated() -> Result<()> {
    let Some(program) = Prometheus::program() else {
        // Not by a macro, whose output is shown of failed tests only.
        writeln!(io::stderr(), "skipped: no prometheus (Debian's package has it)")?;
        return Ok(());
    };
    let context = TestContext::new("monitoring").await?;
    let replica = context.install(json!({})).await?;
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join(ALERTS);
    let target = replica.url("");
    let prometheus = Prometheus::start(&program, target.trim_start_matches("http://"), &rules).await?;
    // The rates need a sample from before anything happens.
    let scraped = Query { panel: "the first scrape".to_owned(), expression: "coder_logstream_build_info".to_owned() };
    poll::eventually(&scraped.panel, PATIENCE, || scraped.check(&prometheus)).await?;

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
