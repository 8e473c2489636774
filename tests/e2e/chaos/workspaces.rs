//! Workspaces that start while faults happen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::PostParams, core::DynamicObject};
use logstream_testing::{
    Workspace,
    coder::{Line, Valid},
    poll,
};
use tokio::{sync::watch, time::sleep};

use super::{
    RECOVERY,
    catalogue::{Expected, Scenario},
};
use crate::{
    facts::{Facts, have_come},
    isolated_cluster::IsolatedCluster,
    support::token,
};

/// Number of workspaces at the same time.
const AT_ONCE: usize = 12;
/// Number of finished workspaces of a row that keep their pods. With more, the lists of each new leader would grow with
/// the length of the run, until they take longer than the time between two faults.
const KEPT: usize = 10;

/// History of a workspace.
pub(super) struct Life {
    /// Its agent's token.
    pub(super) agent: String,
    /// Name of its pod.
    pub(super) pod: String,
    /// Number of facts about it.
    pub(super) facts: usize,
    /// Lines of its scenario.
    pub(super) expected: Expected,
    /// Start and duration of the pod's creation; `None` if it took several attempts, because the API server was away.
    pub(super) created: Option<(Instant, Duration)>,
}

impl Life {
    /// Number of lines that its owner must read, without the one about the creation.
    pub(super) fn lines(&self) -> usize {
        self.facts + self.expected.events.len() + usize::from(self.expected.state.is_some())
    }
}

/// Starts workspaces one after the other until the end, several at a time.
pub(super) async fn live(isolated: &IsolatedCluster, seed: u64, end: watch::Receiver<bool>) -> Result<Vec<Life>> {
    let rows = (0..AT_ONCE).map(async |row| {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(row as u64));
        let mut lives = Vec::new();
        while !*end.borrow() {
            lives.push(one(isolated, &format!("chaos-{row}-{}", lives.len()), &mut random).await?);
            if let Some(old) = lives.iter().nth_back(KEPT) {
                delete(isolated, old).await?;
            }
        }
        anyhow::Ok(lives)
    });
    Ok(try_join_all(rows).await?.into_iter().flatten().collect())
}

/// Runs one workspace: creates its pod, writes facts about it, and deletes some pods at once.
async fn one(isolated: &IsolatedCluster, name: &str, random: &mut fastrand::Rng) -> Result<Life> {
    let agent = token();
    // As with a `kubernetes_pod`: the token becomes valid when the pod runs.
    let late = random.u32(..4) == 0;
    isolated.coder.add_agent(&agent, if late { Valid::OnDemand } else { Valid::Now });
    let workspace = Workspace::new(isolated.namespace.name(), "alice", name, &agent);
    let (pod, created) = create(isolated, &workspace).await?;
    let facts = Facts::about(&isolated.client, pod)?.named();
    let pod = facts.pod.name_any();
    let count = random.usize(3..30);
    let (scenario, place) = (Scenario::random(random), random.usize(..count));
    let mut expected = Expected::default();
    for n in 0..count {
        sleep(Duration::from_millis(random.u64(..250))).await;
        facts.happen_eventually(n).await.with_context(|| format!("a fact about {name}"))?;
        if n == place {
            expected = scenario
                .happen(&isolated.client, &facts.pod)
                .await
                .with_context(|| format!("the scenario of {name}"))?;
        }
        if late && n == count / 2 {
            isolated.coder.valid(&agent);
        }
    }
    let life = Life { agent, pod, facts: count, expected, created };
    if random.u32(..3) == 0 {
        delete(isolated, &life).await?;
    }
    Ok(life)
}

/// Deletes the pod once all lines about it have arrived.
async fn delete(isolated: &IsolatedCluster, life: &Life) -> Result<()> {
    let whole = |lines: &[Line]| have_come(lines, 0..life.facts) && life.expected.has_come(lines);
    let come = isolated.coder.wait_for_lines(&life.agent, RECOVERY, whole).await;
    come.with_context(|| format!("the {} facts of {} before its end", life.facts, life.pod))?;
    let pods: Api<Pod> = Api::namespaced(isolated.client.clone(), isolated.namespace.name());
    poll::eventually("the pod is deleted", RECOVERY, || async {
        match pods.delete(&life.pod, &kube::api::DeleteParams::default().grace_period(0)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await
}

/// Creates the pod, and retries while the API server is away. A rejection by the webhook is an error.
async fn create(
    isolated: &IsolatedCluster,
    workspace: &Workspace,
) -> Result<(DynamicObject, Option<(Instant, Duration)>)> {
    let manifest: Pod = serde_json::from_value(workspace.pod())?;
    let pods: Api<Pod> = Api::namespaced(isolated.client.clone(), isolated.namespace.name());
    let mut attempts = 0;
    let (pod, created) = poll::eventually("a pod is created", RECOVERY, || {
        attempts += 1;
        let (pods, manifest) = (&pods, &manifest);
        async move {
            let start = Instant::now();
            let pod = match pods.create(&PostParams::default(), manifest).await {
                Ok(pod) => Ok(pod),
                // An earlier attempt without a response has succeeded.
                Err(kube::Error::Api(status)) if status.code == 409 => Ok(pods.get(&manifest.name_any()).await?),
                Err(kube::Error::Api(status)) if status.message.contains("webhook") => {
                    Err(anyhow::anyhow!("refused: {}", status.message))
                }
                Err(error) => return Err(error),
            };
            Ok((pod, (start, start.elapsed())))
        }
    })
    .await?;
    let mut pod: DynamicObject = serde_json::from_value(serde_json::to_value(pod?)?)?;
    pod.types = Some(kube::core::TypeMeta { api_version: "v1".into(), kind: "Pod".into() });
    Ok((pod, (attempts == 1).then_some(created)))
}
