//! Runs the scenarios: starts all workspaces at once and collects their lines.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::PostParams;
use logstream_testing::CoderStandIn;
use logstream_testing::coder::{Line, Valid};
use uuid::Uuid;

use crate::scenario::Scenario;
use crate::site::Site;

/// Time from the Deployment until Coder accepts the agent's token. A real Coder accepts it when the provision job has
/// completed, a few seconds after the pod's first events.
pub(crate) const VALID_AFTER: Duration = Duration::from_secs(2);

/// The scenarios are complete after this time without a new line.
const QUIET: Duration = Duration::from_secs(1);

/// Upper bound of the wait for quiet: some scenarios never end, such as a rejected pod that is retried forever.
const LONGEST_END: Duration = Duration::from_secs(4);

/// A started workspace.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) scenario: Scenario,
    pub(crate) namespace: String,
    /// `coder-OWNER-NAME`, the prefix of its ReplicaSets' and pods' names.
    pub(crate) object: String,
    pub(crate) token: String,
    /// Time from which Coder accepts its agent's token.
    pub(crate) valid: Instant,
}

/// A workspace whose scenario is complete.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) started: Started,
    /// Its startup log.
    pub(crate) lines: Vec<Line>,
}

/// Starts the workspaces and waits until each scenario has its expected lines or `patience` has passed, then until no
/// more lines arrive.
pub(crate) async fn play(
    scenarios: &[Scenario],
    site: &Site,
    coder: &CoderStandIn,
    patience: Duration,
) -> Result<Vec<Played>> {
    let started = future::try_join_all(scenarios.iter().map(|&scenario| start(scenario, site, coder))).await?;
    future::join_all(started.iter().map(|started| {
        let complete = |lines: &[Line]| missing(started.scenario, lines).is_empty();
        coder.wait_for_lines(&started.token, patience, complete)
    }))
    .await;
    let end = Instant::now() + LONGEST_END.min(patience);
    let mut count = coder.line_count();
    while Instant::now() < end && coder.wait_until(QUIET, |coder| coder.line_count() > count).await {
        count = coder.line_count();
    }
    let played = |started: Started| Played { lines: coder.lines(&started.token), started };
    Ok(started.into_iter().map(played).collect())
}

/// Expected texts that no line contains.
pub(crate) fn missing(scenario: Scenario, lines: &[Line]) -> Vec<&'static str> {
    let plain: Vec<String> = lines.iter().map(Line::plain).collect();
    let absent = |text: &&&str| !plain.iter().any(|line| line.contains(**text));
    scenario.expected().iter().filter(absent).copied().collect()
}

/// Creates a workspace's Deployment. Coder accepts its token [`VALID_AFTER`] later.
async fn start(scenario: Scenario, site: &Site, coder: &CoderStandIn) -> Result<Started> {
    let namespace = if scenario.needs_quota() { &site.namespaces.full } else { &site.namespaces.workspaces };
    let token = Uuid::new_v4().to_string();
    let workspace = scenario.workspace(namespace, &token);
    let deployment: Deployment = serde_json::from_value(workspace.deployment())?;
    coder.add_agent(&token, Valid::After(VALID_AFTER));
    let valid = Instant::now() + VALID_AFTER;
    let deployments: Api<Deployment> = Api::namespaced(site.client.clone(), namespace);
    deployments
        .create(&PostParams::default(), &deployment)
        .await
        .with_context(|| format!("the Deployment of {}", scenario.full_name()))?;
    Ok(Started { scenario, namespace: namespace.clone(), object: workspace.object_name(), token, valid })
}
