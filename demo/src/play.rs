//! The workspaces start, all at once, and their lines come.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::PostParams;
use logstream_testing::CoderStandIn;
use logstream_testing::coder::{Line, Valid};
use uuid::Uuid;

use crate::site::Site;
use crate::story::Story;

/// How long after its Deployment an agent's token works: Coder accepts it when the provision job has completed, a few
/// seconds after the pod's first events.
pub(crate) const VALID_AFTER: Duration = Duration::from_secs(2);

/// When no line has come for so long, the stories are over.
const QUIET: Duration = Duration::from_secs(1);

/// Some stories never end: a refused pod is tried again for ever.
const LONGEST_END: Duration = Duration::from_secs(4);

/// A workspace that was started.
#[derive(Debug, Clone)]
pub(crate) struct Started {
    pub(crate) story: Story,
    pub(crate) namespace: String,
    /// `coder-OWNER-NAME`, with which the names of its ReplicaSets and pods begin.
    pub(crate) object: String,
    pub(crate) token: String,
    /// From when on Coder accepts its agent's token.
    pub(crate) valid: Instant,
}

/// A workspace whose story is over.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) started: Started,
    /// What its owner reads.
    pub(crate) lines: Vec<Line>,
}

/// Starts the workspaces and waits for their lines: until each story's are there or `patience` is over, and then until
/// no more come.
pub(crate) async fn play(
    stories: &[Story],
    site: &Site,
    coder: &CoderStandIn,
    patience: Duration,
) -> Result<Vec<Played>> {
    let started = future::try_join_all(stories.iter().map(|&story| start(story, site, coder))).await?;
    future::join_all(started.iter().map(|started| {
        let complete = |lines: &[Line]| missing(started.story, lines).is_empty();
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

/// The texts that no line has.
pub(crate) fn missing(story: Story, lines: &[Line]) -> Vec<&'static str> {
    let plain: Vec<String> = lines.iter().map(Line::plain).collect();
    let absent = |text: &&&str| !plain.iter().any(|line| line.contains(**text));
    story.expected().iter().filter(absent).copied().collect()
}

/// Its token is known to Coder from the Deployment's making on, and works later.
async fn start(story: Story, site: &Site, coder: &CoderStandIn) -> Result<Started> {
    let namespace = if story.needs_quota() { &site.namespaces.full } else { &site.namespaces.workspaces };
    let token = Uuid::new_v4().to_string();
    let workspace = story.workspace(namespace, &token);
    let deployment: Deployment = serde_json::from_value(workspace.deployment())?;
    coder.add_agent(&token, Valid::After(VALID_AFTER));
    let valid = Instant::now() + VALID_AFTER;
    let deployments: Api<Deployment> = Api::namespaced(site.client.clone(), namespace);
    deployments
        .create(&PostParams::default(), &deployment)
        .await
        .with_context(|| format!("the Deployment of {}", story.whose()))?;
    Ok(Started { story, namespace: namespace.clone(), object: workspace.object_name(), token, valid })
}
