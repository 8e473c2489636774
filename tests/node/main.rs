//! Failures on a real node: kubelet, containerd and runc, with nothing simulated.
//!
//! One node serves all scenarios, which run concurrently; on another node the program itself runs as a pod of the
//! chart. Needs root and some Debian packages (see `logstream_testing::node`); where they are missing, the tests print
//! that in one line and pass.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test")]

mod chart;
mod scenarios;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::{Node as NodeObject, Pod};
use kube::{
    Api, Client,
    api::{EvictParams, Patch, PatchParams, PostParams},
};
use logstream_testing::{
    Cluster, ClusterOptions, CoderOptions, CoderStandIn, Node, Plan, TestNamespace,
    coder::{Line, Valid},
    node,
};
use scenarios::{Scenario, scenarios};
use serde_json::json;
use tokio::sync::Mutex;

const PROGRAM: &str = env!("CARGO_BIN_EXE_coder-logstream-kube");

/// Deadline of a scenario. The slowest one waits for the third restart of a container.
const PATIENCE: Duration = Duration::from_mins(4);

/// Held to run one node at a time: two cores are barely enough for one.
static TURN: Mutex<()> = Mutex::const_new(());

const NODE: &str = "real-1";

#[tokio::test(flavor = "multi_thread")]
async fn owners_read_why_their_pod_fails_on_a_real_node() -> Result<()> {
    if let Err(reason) = node::supported() {
        // Not with a print macro: its output is shown only if the test fails.
        writeln!(io::stderr(), "skipped: {reason}")?;
        return Ok(());
    }
    let _turn = TURN.lock().await;
    let (cluster, node) = tokio::task::spawn_blocking(|| -> Result<_> {
        let cluster = Cluster::start(ClusterOptions::new())?;
        let node = Node::start(&cluster, NODE)?;
        Ok((cluster, node))
    })
    .await??;
    let namespace = TestNamespace::create(&cluster, "node").await?;
    let coder = CoderStandIn::start(CoderOptions::new())?;
    let _program = Plan::new(PROGRAM, &coder.url(), namespace.name()).install(&cluster).await?;
    let client = cluster.admin_client().await?;
    let test = Test { client, namespace: namespace.name().to_owned(), coder: &coder };

    if !node::has_registry() {
        writeln!(io::stderr(), "skipped: images of a registry: docker-registry is not installed (Debian package)")?;
    }
    let scenarios = scenarios();
    let mut agents = BTreeMap::new();
    for scenario in &scenarios {
        agents.insert(scenario.name, test.create(scenario).await?);
    }
    let mut wrong = Vec::new();
    for scenario in &scenarios {
        if let Err(error) = test.check(scenario, &agents[scenario.name]).await {
            wrong.push(format!("{}: {error:#}", scenario.name));
        }
    }
    ensure!(wrong.is_empty(), "{}\n{}", wrong.join("\n\n"), node.logs());
    test.disruptions().await.with_context(|| node.logs())
}

struct Test<'a> {
    client: Client,
    namespace: String,
    coder: &'a CoderStandIn,
}

impl Test<'_> {
    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates the pod of a scenario and returns its agent's token.
    async fn create(&self, scenario: &Scenario) -> Result<String> {
        let token = uuid::Uuid::new_v4().to_string();
        self.coder.add_agent(&token, Valid::Now);
        let mut spec = scenario.spec.clone();
        let container = &mut spec["containers"][0];
        container["name"] = json!("dev");
        container["env"] = json!([{ "name": "CODER_AGENT_TOKEN", "value": token }]);
        if container["image"].is_null() {
            container["image"] = json!(node::IMAGE);
        }
        spec["terminationGracePeriodSeconds"] = json!(1);
        spec["nodeSelector"] = json!({ "node": "real" });
        // The pod stays on the node in any case, unless the scenario says otherwise.
        spec["tolerations"] = scenario.tolerations.clone();
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": scenario.name }, "spec": spec });
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod)?).await.context(scenario.name)?;
        Ok(token)
    }

    /// Waits for the lines of a scenario, then compares their counts with the pod's own.
    async fn check(&self, scenario: &Scenario, agent: &str) -> Result<()> {
        let has_all =
            |lines: &[Line]| scenario.expected.iter().all(|text| lines.iter().any(|line| line.plain().contains(text)));
        let lines = self.coder.wait_for_lines(agent, PATIENCE, has_all).await?;
        let text: Vec<_> = lines.iter().map(Line::plain).collect();
        for unexpected in scenario.unexpected {
            ensure!(!text.iter().any(|line| line.contains(unexpected)), "{unexpected:?} is in {text:#?}");
        }
        if scenario.ends {
            let pod = self.pods().get(scenario.name).await?;
            let status = pod.status.unwrap_or_default().container_statuses.unwrap_or_default();
            let kills = status.first().map_or(0, |status| i64::from(status.restart_count) + 1);
            let counted = text.iter().filter_map(|line| count(line)).max().unwrap_or(1);
            ensure!(counted <= kills, "{counted} ends are reported of {kills}: {text:#?}");
        }
        ensure!(text.len() <= scenario.most_lines, "{} lines: {text:#?}", text.len());
        Ok(())
    }

    /// Drains one pod and evicts another by a taint: the owner reads which component removed the pod, and why.
    async fn disruptions(&self) -> Result<()> {
        for (name, expected) in [("drained", "EvictionByEvictionAPI"), ("tainted", "taint")] {
            let tolerations = json!([{ "key": "node", "operator": "Exists" }]);
            let spec = json!({ "containers": [{ "command": ["sleep", "3600"] }] });
            let scenario = Scenario { tolerations, ..Scenario::new(name, spec, &[]) };
            let agent = self.create(&scenario).await?;
            self.wait_for_line(&agent, "Container started").await?;
            if name == "drained" {
                self.pods().evict(name, &EvictParams::default()).await?;
            } else {
                let nodes: Api<NodeObject> = Api::all(self.client.clone());
                let taints = json!({ "spec": { "taints": [
                    { "key": "node", "value": "real", "effect": "NoSchedule" },
                    { "key": "maintenance", "value": "now", "effect": "NoExecute" },
                ] } });
                nodes.patch(NODE, &PatchParams::default(), &Patch::Merge(taints)).await?;
            }
            self.wait_for_line(&agent, "Deleted pod").await?;
            let lines = self.coder.wait_for_lines(&agent, PATIENCE, |lines| !lines.is_empty()).await?;
            let text: Vec<_> = lines.iter().map(Line::plain).collect();
            let reported = text.iter().position(|line| line.contains(expected));
            let deleted = text.iter().position(|line| line.contains("Deleted pod"));
            if reported.is_none() || reported > deleted {
                bail!("{name}: no line says {expected:?} before the deletion: {text:#?}");
            }
        }
        Ok(())
    }

    async fn wait_for_line(&self, agent: &str, text: &str) -> Result<()> {
        let has = |lines: &[Line]| lines.iter().any(|line| line.plain().contains(text));
        self.coder.wait_for_lines(agent, PATIENCE, has).await?;
        Ok(())
    }
}

/// The count of a line that ends with `(x4 over 2m)`, possibly before a hint.
fn count(line: &str) -> Option<i64> {
    let (_, behind) = line.split_once("(x")?;
    behind.split_once(" over ")?.0.parse().ok()
}
